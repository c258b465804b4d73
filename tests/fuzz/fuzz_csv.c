/* fuzz_csv.c - data files: however the bytes come, the answer is the same; a read that fails is
 * refused; rows that are taken are finite, and written anew they are the same rows. The first byte
 * says how many bytes a read gives, the second and third where one fails. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge-client/trainer/dataset.h"
#include "tests/fuzz/fuzz.h"

#define VALUES_MAX 512 /* larger tables are not written again */

struct file {
    const uint8_t *bytes;
    size_t length, at, chunk, fail_at;
};

static ssize_t read_memory(void *context, void *out, size_t capacity)
{
    struct file *file = context;
    size_t count = file->length - file->at;
    count = count < file->chunk ? count : file->chunk;
    count = count < capacity ? count : capacity;
    if (file->at + count >= file->fail_at) {
        count = file->fail_at - file->at;
        if (count == 0) {
            errno = EIO;
            return -1;
        }
    }
    memcpy(out, file->bytes + file->at, count);
    file->at += count;
    return (ssize_t)count;
}

static int take(struct mr_dataset *dataset, struct file file, struct mr_error *error)
{
    const struct mr_csv_source source = {read_memory, &file};
    *error = (struct mr_error){.text = ""};
    const int bad = mr_dataset_take(dataset, &source, "f", 0.5f, error);
    if (bad) {
        MR_ASSERT(!dataset->features && !dataset->labels && !dataset->count);
        MR_ASSERT(strstr(error->text, "f: line ") == error->text ||
                  strstr(error->text, "f: no examples") == error->text);
    }
    return bad;
}

static bool same(const struct mr_dataset *a, const struct mr_dataset *b)
{
    return a->count == b->count && a->columns == b->columns && a->label_max == b->label_max &&
           memcmp(a->features, b->features, (size_t)a->count * a->columns * sizeof *a->features) ==
               0 &&
           memcmp(a->labels, b->labels, a->count * sizeof *a->labels) == 0;
}

static void check_values(const struct mr_dataset *dataset)
{
    const size_t values = (size_t)dataset->count * dataset->columns;
    uint16_t most = 0;
    MR_ASSERT(dataset->count >= 1 && dataset->columns >= 1);
    for (size_t i = 0; i < values; i++) {
        MR_ASSERT(isfinite(dataset->features[i]));
    }
    for (uint32_t i = 0; i < dataset->count; i++) {
        most = dataset->labels[i] > most ? dataset->labels[i] : most;
    }
    MR_ASSERT(most == dataset->label_max);
}

static void write_again(const struct mr_dataset *dataset)
{
    struct mr_dataset second;
    struct mr_error error;
    char text[VALUES_MAX * 32];
    size_t length = 0;
    for (uint32_t i = 0; i < dataset->count; i++) {
        for (uint32_t c = 0; c < dataset->columns; c++) {
            const double value = dataset->features[(size_t)i * dataset->columns + c];
            length += (size_t)snprintf(text + length, sizeof text - length, "%.9g,", 2 * value);
        }
        length += (size_t)snprintf(text + length, sizeof text - length, "%u\n", dataset->labels[i]);
    }
    const struct file file = {(const uint8_t *)text, length, 0, SIZE_MAX, SIZE_MAX};
    MR_ASSERT(take(&second, file, &error) == 0);
    MR_ASSERT(same(dataset, &second) && !second.unended);
    mr_dataset_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct mr_dataset whole, parts;
    struct mr_error error, other;
    const size_t chunk = 1 + fuzz_byte(&input);
    size_t fail_at = fuzz_byte(&input);
    fail_at = fail_at << 8 | fuzz_byte(&input);
    struct file file = {.chunk = SIZE_MAX, .fail_at = SIZE_MAX};
    file.bytes = fuzz_take(&input, SIZE_MAX, &file.length);
    const int bad = take(&whole, file, &error);
    file.chunk = chunk;
    MR_ASSERT(take(&parts, file, &other) == bad && strcmp(error.text, other.text) == 0);
    if (!bad) {
        MR_ASSERT(same(&whole, &parts) && whole.unended == parts.unended);
        check_values(&whole);
        if ((size_t)whole.count * (whole.columns + 1) <= VALUES_MAX) {
            write_again(&whole);
        }
        mr_dataset_fini(&whole);
        mr_dataset_fini(&parts);
    }
    file.fail_at = fail_at;
    if (fail_at <= file.length) {
        MR_ASSERT(take(&parts, file, &other) != 0);
    }
    return 0;
}
