/* fuzz_safetensors.c - model files: an accepted one is tiled by its tensors, and its header written
 * anew reads as the same tensors. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/safetensors.h"

#define COUNT_MAX ((size_t)1 << 16) /* larger models are not written again: memory */

static void check_tensors(const struct mr_safetensors *model, size_t size)
{
    size_t next = 0;
    MR_ASSERT(model->tensor_count >= 1 && model->data_offset + 4 * model->count == size);
    for (unsigned i = 0; i < model->tensor_count; i++) {
        const struct mr_tensor *tensor = &model->tensors[i];
        size_t count = 1;
        MR_ASSERT(tensor->rank <= 8 && tensor->offset == next);
        for (unsigned d = 0; d < tensor->rank; d++) {
            count *= tensor->dims[d];
        }
        MR_ASSERT(count == tensor->count);
        next += count;
    }
    MR_ASSERT(next == model->count);
}

static void write_again(const struct mr_safetensors *model)
{
    struct mr_safetensors second;
    struct mr_error error = {.text = ""};
    size_t header = 0;
    uint8_t *bytes = mr_safetensors_header(model->tensors, model->tensor_count, &header);
    MR_ASSERT(bytes && header % 64 == 0);
    const size_t length = header + 4 * model->count;
    bytes = realloc(bytes, length);
    MR_ASSERT(bytes);
    memset(bytes + header, 0, length - header);
    MR_ASSERT(mr_safetensors_parse(&second, bytes, length, &error) == 0);
    MR_ASSERT(second.tensor_count == model->tensor_count && second.count == model->count);
    for (unsigned i = 0; i < model->tensor_count; i++) {
        const struct mr_tensor *a = &model->tensors[i], *b = &second.tensors[i];
        MR_ASSERT(strcmp(a->name, b->name) == 0 && a->rank == b->rank && a->offset == b->offset);
        MR_ASSERT(memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0);
    }
    mr_safetensors_fini(&second);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_safetensors model;
    struct mr_error error = {.text = ""};
    if (mr_safetensors_parse(&model, data, size, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0' && !model.tensors);
        return 0;
    }
    check_tensors(&model, size);
    if (model.count <= COUNT_MAX) {
        write_again(&model);
    }
    mr_safetensors_fini(&model);
    return 0;
}
