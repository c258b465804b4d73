/* csv_reader.c - reads many CSV files in one process, for csv_agrees.py.
 *
 * Standard input, for each file, little-endian: u32 length, u32 chunk (bytes that a read gives at
 * most), i32 fail_at (the read behind so many bytes fails; -1: none), the bytes. Standard output,
 * for each: u8 0, u32 count, u32 columns, the features as f32, the labels as u16; or u8 1, u32
 * length, the error's text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "edge-client/trainer/dataset.h"

struct file {
    const uint8_t *bytes;
    size_t length, at, chunk;
    int32_t fail_at;
};

static ssize_t read_memory(void *context, void *out, size_t capacity)
{
    struct file *file = context;
    size_t count = file->length - file->at;
    count = count < file->chunk ? count : file->chunk;
    count = count < capacity ? count : capacity;
    if (file->fail_at >= 0 && file->at + count >= (size_t)file->fail_at) {
        count = (size_t)file->fail_at - file->at;
        if (count == 0) {
            errno = EIO;
            return -1;
        }
    }
    memcpy(out, file->bytes + file->at, count);
    file->at += count;
    return (ssize_t)count;
}

static void put(const void *bytes, size_t count)
{
    MR_ASSERT(fwrite(bytes, 1, count, stdout) == count);
}

static void answer(struct file *file)
{
    struct mr_dataset dataset;
    struct mr_error error = {.text = ""};
    const struct mr_csv_source source = {read_memory, file};
    const uint8_t bad = mr_dataset_take(&dataset, &source, "file", 1, &error) != 0;
    put(&bad, 1);
    if (bad) {
        const uint32_t length = (uint32_t)strlen(error.text);
        put(&length, sizeof length);
        put(error.text, length);
        return;
    }
    put(&dataset.count, sizeof dataset.count);
    put(&dataset.columns, sizeof dataset.columns);
    put(dataset.features, (size_t)dataset.count * dataset.columns * sizeof *dataset.features);
    put(dataset.labels, dataset.count * sizeof *dataset.labels);
    mr_dataset_fini(&dataset);
}

int main(void)
{
    uint32_t head[3];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        uint8_t *bytes = malloc(head[0] ? head[0] : 1); /* exact: a sanitizer sees a step beyond */
        MR_ASSERT(bytes && fread(bytes, 1, head[0], stdin) == head[0] && head[1]);
        struct file file = {
            .bytes = bytes, .length = head[0], .chunk = head[1], .fail_at = (int32_t)head[2]};
        answer(&file);
        free(bytes);
    }
    return 0;
}
