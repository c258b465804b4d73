#include "appliance/model/import.h"

#include <endian.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/half.h"
#include "base/json_text.h"
#include "wire/safetensors.h"

#define LENGTH_BYTES   8
#define DATA_ALIGNMENT 64

enum dtype { F32, F16, BF16 };

static const struct {
    const char *name;
    unsigned bytes;
} dtypes[] = {[F32] = {"F32", 4}, [F16] = {"F16", 2}, [BF16] = {"BF16", 2}};

struct part {
    const char *name; /* borrowed from the header */
    json_t *entry;    /* likewise */
    enum dtype dtype;
    uint64_t from, count; /* byte in the data, values */
};

static void convert(uint8_t *out, const uint8_t *in, const struct part *part)
{
    if (part->dtype == F32) {
        memcpy(out, in, (size_t)part->count * 4);
        return;
    }
    for (uint64_t i = 0; i < part->count; i++) {
        uint16_t half;
        memcpy(&half, in + 2 * i, sizeof half);
        half = le16toh(half);
        const uint32_t bits =
            htole32(part->dtype == BF16 ? (uint32_t)half << 16 : mr_half_widen(half));
        memcpy(out + 4 * i, &bits, sizeof bits);
    }
}

/* --- the header ------------------------------------------------------------------------------- */

static int read_part(struct part *part, const char *name, json_t *entry, struct mr_error *error)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_int_t from = json_integer_value(json_array_get(offsets, 0));
    const json_int_t to = json_integer_value(json_array_get(offsets, 1));
    unsigned i = 0;
    while (i < sizeof dtypes / sizeof dtypes[0] && (!dtype || strcmp(dtype, dtypes[i].name) != 0)) {
        i++;
    }
    if (i == sizeof dtypes / sizeof dtypes[0]) {
        return mr_error_set(error,
                            "tensor \"%.64s\" has dtype %.16s: F32, F16 and BF16 are taken; "
                            "convert it, or leave the tensor out",
                            name, dtype ? dtype : "none");
    }
    if (from < 0 || to < from || (to - from) % dtypes[i].bytes != 0) {
        return mr_error_set(error, "tensor \"%.64s\": data_offsets do not fit its dtype", name);
    }
    *part = (struct part){.name = name,
                          .entry = entry,
                          .dtype = (enum dtype)i,
                          .from = (uint64_t)from,
                          .count = (uint64_t)(to - from) / dtypes[i].bytes};
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* The tensors of a header by their place in the data, which they tile. Their number, or -1. */
static int read_parts(struct part *parts, json_t *header, uint64_t data_bytes,
                      struct mr_error *error)
{
    const char *name;
    json_t *entry;
    uint64_t end = 0;
    unsigned count = 0;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") != 0 &&
            read_part(&parts[count++], name, entry, error) != 0) {
            return -1;
        }
    }
    qsort(parts, count, sizeof *parts, by_place);
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].from != end) {
            return mr_error_set(error, "tensor \"%.64s\" does not begin where the one before ends",
                                parts[i].name);
        }
        end += parts[i].count * dtypes[parts[i].dtype].bytes;
    }
    return end == data_bytes ? (int)count
                             : mr_error_set(error, "the tensors do not cover the file's data");
}

/* The header of the converted file, as text. NULL: out of memory. */
static char *new_header(const struct part *parts, unsigned count, json_t *metadata)
{
    json_t *header = json_object();
    json_int_t at = 0;
    if (metadata) {
        json_object_set(header, "__metadata__", metadata);
    }
    for (unsigned i = 0; i < count; i++) {
        const json_int_t end = at + 4 * (json_int_t)parts[i].count;
        json_object_set_new(header, parts[i].name,
                            json_pack("{s:o, s:O, s:[I, I]}", "dtype", mr_json_text("F32"), "shape",
                                      json_object_get(parts[i].entry, "shape"), "data_offsets", at,
                                      end));
        at = end;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static uint8_t *write_file(const char *header, const struct part *parts, unsigned count,
                           const uint8_t *data, size_t *length)
{
    const size_t used = strlen(header);
    const size_t begin =
        (LENGTH_BYTES + used + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    uint64_t values = 0;
    for (unsigned i = 0; i < count; i++) {
        values += parts[i].count;
    }
    uint8_t *out = malloc(begin + 4 * values);
    if (!out) {
        return NULL;
    }
    const uint64_t header_bytes = htole64(begin - LENGTH_BYTES);
    memset(out, ' ', begin);
    memcpy(out, &header_bytes, sizeof header_bytes);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): values follow, no NUL */
    memcpy(out + LENGTH_BYTES, header, used);
    uint8_t *at = out + begin;
    for (unsigned i = 0; i < count; i++) {
        convert(at, data + parts[i].from, &parts[i]);
        at += 4 * parts[i].count;
    }
    *length = begin + 4 * values;
    return out;
}

static bool all_f32(const struct part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].dtype != F32) {
            return false;
        }
    }
    return true;
}

/* --- a file ----------------------------------------------------------------------------------- */

static int convert_file(json_t *header, const uint8_t *data, uint64_t data_bytes, uint8_t **out,
                        size_t *out_length, struct mr_error *error)
{
    const size_t entries = json_object_size(header);
    if (!json_is_object(header) || entries > MR_SAFETENSORS_TENSORS_MAX + 1) {
        return mr_error_set(error,
                            "not a safetensors file: its header is no JSON object of at "
                            "most %d tensors",
                            MR_SAFETENSORS_TENSORS_MAX);
    }
    struct part *parts = calloc(entries + 1, sizeof *parts);
    if (!parts) {
        return mr_error_set(error, "out of memory");
    }
    const int count = read_parts(parts, header, data_bytes, error);
    int result = count < 0 ? -1 : 0;
    if (count >= 0 && !all_f32(parts, (unsigned)count)) {
        char *text = new_header(parts, (unsigned)count, json_object_get(header, "__metadata__"));
        *out = text ? write_file(text, parts, (unsigned)count, data, out_length) : NULL;
        result = *out ? 0 : mr_error_set(error, "out of memory for the converted model");
        free(text);
    }
    free(parts);
    return result;
}

int mr_import_convert(const uint8_t *bytes, size_t length, uint8_t **out, size_t *out_length,
                      struct mr_error *error)
{
    uint64_t header_bytes = 0;
    struct mr_safetensors model;
    *out = NULL;
    *out_length = length;
    if (length > LENGTH_BYTES) {
        memcpy(&header_bytes, bytes, sizeof header_bytes);
        header_bytes = le64toh(header_bytes);
    }
    if (header_bytes == 0 || header_bytes > MR_SAFETENSORS_HEADER_MAX ||
        header_bytes > length - LENGTH_BYTES) {
        return mr_error_set(error, "not a safetensors file: its header would be %llu bytes long",
                            (unsigned long long)header_bytes);
    }
    json_t *header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes,
                                JSON_REJECT_DUPLICATES, NULL);
    const size_t data_at = LENGTH_BYTES + (size_t)header_bytes;
    int result = convert_file(header, bytes + data_at, length - data_at, out, out_length, error);
    json_decref(header);
    /* Shapes, names and sizes are judged where every other model's are. */
    if (result == 0) {
        result = mr_safetensors_parse(&model, *out ? *out : bytes, *out_length, error);
    }
    if (result == 0) {
        mr_safetensors_fini(&model);
    } else {
        free(*out);
        *out = NULL;
    }
    return result;
}
