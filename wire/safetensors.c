#include "wire/safetensors.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "wire/layout.h"
#include "wire/tensor_parts.h"
#include "base/json_reader.h"
#include "base/json_text.h"

#define LENGTH_BYTES   8
#define RANK_MAX       8
#define FLOAT_BYTES    4
#define DATA_BYTES_MAX ((uint64_t)MR_DIMENSION_MAX * FLOAT_BYTES)

/* A name from outside inside an error text: short, and cut at the first odd byte. */
static int name_length(const char *name)
{
    int length = 0;
    while (length < 64 && name[length] >= 0x20 && name[length] <= 0x7e) {
        length++;
    }
    return length;
}

#define NAME(name) name_length(name), (name)

static int read_shape(struct mr_tensor *tensor, const json_t *shape, const char *name,
                      struct mr_error *error)
{
    uint64_t count = 1;
    if (!json_is_array(shape) || json_array_size(shape) > RANK_MAX) {
        return mr_error_set(error, "tensor \"%.*s\": shape must be a list of at most %d numbers",
                            NAME(name), RANK_MAX);
    }
    tensor->rank = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < tensor->rank; i++) {
        const json_t *entry = json_array_get(shape, i);
        json_int_t dim = json_integer_value(entry);
        if (!json_is_integer(entry) || dim < 1 || dim > MR_DIMENSION_MAX) {
            return mr_error_set(error, "tensor \"%.*s\": a dimension must be 1 to %u", NAME(name),
                                MR_DIMENSION_MAX);
        }
        tensor->dims[i] = (uint32_t)dim;
        count *= (uint64_t)dim; /* both factors are at most 2^30 */
        if (count > MR_DIMENSION_MAX) {
            return mr_error_set(error, "tensor \"%.*s\": more than %u floats", NAME(name),
                                MR_DIMENSION_MAX);
        }
    }
    tensor->count = (size_t)count;
    return 0;
}

static int read_offsets(struct mr_tensor *tensor, const json_t *offsets, const char *name,
                        struct mr_error *error)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return mr_error_set(error, "tensor \"%.*s\": data_offsets must be two numbers", NAME(name));
    }
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > DATA_BYTES_MAX || from % FLOAT_BYTES != 0) {
        return mr_error_set(error, "tensor \"%.*s\": data_offsets are out of range", NAME(name));
    }
    if ((uint64_t)(to - from) != (uint64_t)tensor->count * FLOAT_BYTES) {
        return mr_error_set(error, "tensor \"%.*s\": data_offsets do not fit its shape",
                            NAME(name));
    }
    tensor->offset = (size_t)from / FLOAT_BYTES;
    return 0;
}

static int read_tensor(struct mr_tensor *tensor, const char *name, const json_t *entry,
                       struct mr_error *error)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!json_is_object(entry) || json_object_size(entry) != 3) {
        return mr_error_set(error, "tensor \"%.*s\": must have dtype, shape and data_offsets only",
                            NAME(name));
    }
    if (!dtype || strcmp(dtype, "F32") != 0) {
        return mr_error_set(error, "tensor \"%.*s\": only dtype F32 is taken", NAME(name));
    }
    if (read_shape(tensor, json_object_get(entry, "shape"), name, error) != 0 ||
        read_offsets(tensor, json_object_get(entry, "data_offsets"), name, error) != 0) {
        return -1;
    }
    tensor->name = strdup(name);
    if (!tensor->name) {
        return mr_error_set(error, "out of memory");
    }
    return 0;
}

/* "__metadata__" maps texts to texts. */
static int check_metadata(json_t *metadata, struct mr_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) {
        return mr_error_set(error, "__metadata__ must be an object");
    }
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) {
            return mr_error_set(error, "__metadata__ may hold texts only");
        }
    }
    return 0;
}

static int compare_offset(const void *a, const void *b)
{
    const struct mr_tensor *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Every tensor starts where the one before it ends, and the last ends with the file. */
static int check_tiling(struct mr_safetensors *model, size_t data_bytes, struct mr_error *error)
{
    size_t next = 0;
    qsort(model->tensors, model->tensor_count, sizeof *model->tensors, compare_offset);
    for (unsigned i = 0; i < model->tensor_count; i++) {
        const struct mr_tensor *tensor = &model->tensors[i];
        if (tensor->offset != next) {
            return mr_error_set(error, "tensor \"%.*s\": %s before it", NAME(tensor->name),
                                tensor->offset > next ? "a gap" : "an overlap with the one");
        }
        next += tensor->count; /* stays below 2^31: offsets and counts are bounded */
    }
    if (next > MR_DIMENSION_MAX || next * FLOAT_BYTES != data_bytes) {
        return mr_error_set(error, "the tensors cover %zu floats, the file holds %zu bytes of data",
                            next, data_bytes);
    }
    model->count = next;
    return 0;
}

static int read_tensors(struct mr_safetensors *model, json_t *header, struct mr_error *error)
{
    const char *name;
    json_t *entry;
    json_t *metadata = json_object_get(header, "__metadata__");
    if (metadata && check_metadata(metadata, error) != 0) {
        return -1;
    }
    size_t count = json_object_size(header) - (metadata ? 1 : 0);
    if (count == 0 || count > MR_SAFETENSORS_TENSORS_MAX) {
        return mr_error_set(error, "the model has %zu tensors: 1 to %d are taken", count,
                            MR_SAFETENSORS_TENSORS_MAX);
    }
    model->tensors = calloc(count, sizeof *model->tensors);
    if (!model->tensors) {
        return mr_error_set(error, "out of memory");
    }
    json_object_foreach(header, name, entry) {
        if (entry == metadata) {
            continue;
        }
        if (read_tensor(&model->tensors[model->tensor_count], name, entry, error) != 0) {
            return -1;
        }
        model->tensor_count++;
    }
    return 0;
}

int mr_safetensors_parse(struct mr_safetensors *model, const uint8_t *bytes, size_t length,
                         struct mr_error *error)
{
    uint64_t header_bytes;
    memset(model, 0, sizeof *model);
    if (length < LENGTH_BYTES) {
        return mr_error_set(error, "not a safetensors file: shorter than %d bytes", LENGTH_BYTES);
    }
    memcpy(&header_bytes, bytes, sizeof header_bytes);
    header_bytes = le64toh(header_bytes);
    if (header_bytes > MR_SAFETENSORS_HEADER_MAX || header_bytes > length - LENGTH_BYTES) {
        return mr_error_set(error, "not a safetensors file: its header would be %llu bytes long",
                            (unsigned long long)header_bytes);
    }
    if (header_bytes == 0 || bytes[LENGTH_BYTES] != '{') {
        return mr_error_set(error, "not a safetensors file: its header is no JSON object");
    }
    json_error_t why;
    json_t *header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes,
                                JSON_REJECT_DUPLICATES, &why);
    if (!header) {
        char text[MR_JSON_WHY_BYTES];
        return mr_error_set(error, "the safetensors header is not JSON: %s",
                            mr_json_why(text, &why));
    }
    const json_t *metadata = json_object_get(header, "__metadata__");
    int status = read_tensors(model, header, error);
    model->data_offset = LENGTH_BYTES + (size_t)header_bytes;
    if (status == 0) {
        status = check_tiling(model, length - model->data_offset, error);
    }
    if (status == 0) {
        status = mr_tensor_parts_read(
            model, json_string_value(json_object_get(metadata, MR_FROZEN_MEMBER)),
            json_string_value(json_object_get(metadata, MR_PERSONAL_MEMBER)), error);
    }
    json_decref(header);
    if (status != 0) {
        mr_safetensors_fini(model);
    }
    return status;
}

void mr_safetensors_fini(struct mr_safetensors *model)
{
    for (unsigned i = 0; i < model->tensor_count; i++) {
        free((void *)(uintptr_t)model->tensors[i].name);
    }
    free(model->tensors);
    free(model->spans);
    memset(model, 0, sizeof *model);
}
