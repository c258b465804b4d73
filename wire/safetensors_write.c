/* safetensors_write.c - headers that are written anew: of named tensors, or of a file that gets
 * another name. */
#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/json_text.h"
#include "wire/safetensors.h"

#define LENGTH_BYTES   8
#define DATA_ALIGNMENT 64
#define FLOAT_BYTES    4

/* One entry; *offset moves on by the tensor's bytes. NULL when out of memory. */
static json_t *tensor_entry(const struct mr_tensor *tensor, uint64_t *offset)
{
    json_t *shape = json_array();
    uint64_t count = 1;
    for (unsigned i = 0; i < tensor->rank; i++) {
        count *= tensor->dims[i];
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->dims[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    uint64_t begin = *offset;
    *offset += count * FLOAT_BYTES;
    return json_pack("{s:o, s:o, s:[I, I]}", "dtype", json_string("F32"), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)*offset);
}

static char *header_text(const struct mr_tensor *tensors, unsigned tensor_count)
{
    json_t *header = json_object();
    uint64_t offset = 0;
    char *text = NULL;
    bool good = header;
    for (unsigned i = 0; good && i < tensor_count; i++) {
        good =
            json_object_set_new(header, tensors[i].name, tensor_entry(&tensors[i], &offset)) == 0;
    }
    if (good) {
        text = json_dumps(header, JSON_COMPACT); /* in the order of insertion */
    }
    json_decref(header);
    return text;
}

/* Length field, text, and blanks up to the data. NULL: out of memory, or too long. */
static uint8_t *put_header(const char *text, size_t more, size_t *length)
{
    const size_t used = strlen(text);
    const size_t total =
        (LENGTH_BYTES + used + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    uint8_t *out = total - LENGTH_BYTES <= MR_SAFETENSORS_HEADER_MAX ? malloc(total + more) : NULL;
    if (out) {
        const uint64_t header_bytes = htole64(total - LENGTH_BYTES);
        memset(out, ' ', total);
        memcpy(out, &header_bytes, sizeof header_bytes);
        for (size_t i = 0; i < used; i++) { /* text without its terminator */
            out[LENGTH_BYTES + i] = (uint8_t)text[i];
        }
        *length = total;
    }
    return out;
}

uint8_t *mr_safetensors_header(const struct mr_tensor *tensors, unsigned tensor_count,
                               size_t *length)
{
    char *text = header_text(tensors, tensor_count);
    uint8_t *out = text ? put_header(text, 0, length) : NULL;
    free(text);
    return out;
}

uint8_t *mr_safetensors_rename(const uint8_t *bytes, size_t length, const char *name,
                               const char *text, size_t *renamed_length, struct mr_error *error)
{
    struct mr_safetensors model;
    if (mr_safetensors_parse(&model, bytes, length, error) != 0) {
        return NULL;
    }
    const size_t data_at = model.data_offset, data_bytes = length - model.data_offset;
    mr_safetensors_fini(&model);
    json_t *header = json_loadb((const char *)bytes + LENGTH_BYTES, data_at - LENGTH_BYTES,
                                JSON_REJECT_DUPLICATES, NULL);
    json_t *metadata = json_object_get(header, "__metadata__");
    if (text && !metadata) {
        metadata = json_object();
        json_object_set_new(header, "__metadata__", metadata);
    }
    if (text) {
        json_object_set_new(metadata, name, mr_json_text(text));
    } else {
        json_object_del(metadata, name);
    }
    char *whole = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    uint8_t *out = whole ? put_header(whole, data_bytes, renamed_length) : NULL;
    free(whole);
    if (!out) {
        mr_error_set(error, "out of memory, or the header is too long for another name");
        return NULL;
    }
    memcpy(out + *renamed_length, bytes + data_at, data_bytes);
    *renamed_length += data_bytes;
    return out;
}
