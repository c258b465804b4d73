#include "wire/tensor_parts.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether a pattern (a name, or a beginning and `*`) is for that tensor. */
static bool matches(const char *pattern, size_t length, const char *name)
{
    if (length > 0 && pattern[length - 1] == '*') {
        return strncmp(name, pattern, length - 1) == 0;
    }
    return strlen(name) == length && memcmp(name, pattern, length) == 0;
}

static int mark_one(struct mr_safetensors *model, const char *pattern, size_t length,
                    enum mr_tensor_part part, const char *member, struct mr_error *error)
{
    bool found = false;
    for (unsigned i = 0; i < model->tensor_count; i++) {
        struct mr_tensor *tensor = &model->tensors[i];
        if (!matches(pattern, length, tensor->name)) {
            continue;
        }
        if (tensor->part != MR_PART_TRAINED && tensor->part != (uint8_t)part) {
            return mr_error_set(error, "tensor \"%.64s\" is both frozen and personal",
                                tensor->name);
        }
        tensor->part = (uint8_t)part;
        found = true;
    }
    return found ? 0
                 : mr_error_set(error, "%s names \"%.*s\", but the model has no such tensor",
                                member, (int)(length < 64 ? length : 64), pattern);
}

static int mark(struct mr_safetensors *model, const char *patterns, enum mr_tensor_part part,
                const char *member, struct mr_error *error)
{
    while (patterns && patterns[0]) {
        const size_t length = strcspn(patterns, ",");
        if (mark_one(model, patterns, length, part, member, error) != 0) {
            return -1;
        }
        patterns += length + (patterns[length] == ',');
    }
    return 0;
}

/* Tensors that are trained and lie beside each other are one span. */
static void add_span(struct mr_safetensors *model, const struct mr_tensor *tensor)
{
    struct mr_tensor_span *last = model->span_count ? &model->spans[model->span_count - 1] : NULL;
    if (last && last->at + last->count == tensor->offset) {
        last->count += tensor->count;
    } else {
        model->spans[model->span_count++] = (struct mr_tensor_span){
            .first = model->trained, .at = tensor->offset, .count = tensor->count};
    }
    model->trained += tensor->count;
}

int mr_tensor_parts_read(struct mr_safetensors *model, const char *frozen, const char *personal,
                         struct mr_error *error)
{
    if (mark(model, frozen, MR_PART_FROZEN, MR_FROZEN_MEMBER, error) != 0 ||
        mark(model, personal, MR_PART_PERSONAL, MR_PERSONAL_MEMBER, error) != 0) {
        return -1;
    }
    model->spans = calloc(model->tensor_count, sizeof *model->spans);
    if (!model->spans) {
        return mr_error_set(error, "out of memory");
    }
    for (unsigned i = 0; i < model->tensor_count; i++) {
        if (model->tensors[i].part == MR_PART_TRAINED) {
            add_span(model, &model->tensors[i]);
        }
    }
    return model->trained > 0
               ? 0
               : mr_error_set(error, "every tensor is frozen or personal: none is left for rounds "
                                     "to train");
}

void mr_tensor_parts_gather(const struct mr_safetensors *model, float *out, const uint8_t *data)
{
    for (unsigned i = 0; i < model->span_count; i++) {
        const struct mr_tensor_span *span = &model->spans[i];
        memmove(out + span->first, data + span->at * sizeof *out, span->count * sizeof *out);
    }
}

void mr_tensor_parts_scatter(const struct mr_safetensors *model, uint8_t *data, const float *in)
{
    for (unsigned i = 0; i < model->span_count; i++) {
        const struct mr_tensor_span *span = &model->spans[i];
        memcpy(data + span->at * sizeof *in, in + span->first, span->count * sizeof *in);
    }
}

int mr_tensor_parts_add(const struct mr_safetensors *model, uint8_t *data, const float *step,
                        const struct mr_kernels *kernels, bool *finite)
{
    const bool aligned = (uintptr_t)data % _Alignof(float) == 0;
    float *copy = aligned ? NULL : malloc(model->trained * sizeof *copy);
    if (!aligned && !copy) {
        return -1;
    }
    if (copy) {
        mr_tensor_parts_gather(model, copy, data);
    }
    *finite = true;
    for (unsigned i = 0; i < model->span_count; i++) {
        const struct mr_tensor_span *span = &model->spans[i];
        float *values =
            copy ? copy + span->first : (float *)(void *)(data + span->at * sizeof *values);
        kernels->axpy(values, 1.0f, step + span->first, span->count);
        *finite = *finite && isfinite(kernels->sum_squares(values, span->count));
    }
    if (copy) {
        mr_tensor_parts_scatter(model, data, copy);
    }
    free(copy);
    return 0;
}

const struct mr_tensor_span *mr_tensor_parts_span(const struct mr_safetensors *model, size_t value)
{
    unsigned low = 0, high = model->span_count - 1; /* the last whose first is not above */
    while (low < high) {
        const unsigned middle = (low + high + 1) / 2;
        if (model->spans[middle].first <= value) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return &model->spans[low];
}
