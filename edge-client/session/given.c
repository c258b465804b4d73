#include "edge-client/session/given.h"

#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "edge-client/files/files.h"
#include "edge-client/session/number_type.h"
#include "edge-client/session/outcome.h"

#define FILE_NAME "given-model.safetensors" /* not among the cached models: its hash is no name */
#define ALIGNMENT 64

/* The model's own header, of tensors of another type and half the bytes. With the length before it
 * and spaces behind, so that the data begins at a multiple of ALIGNMENT. malloc'd; NULL: out of
 * memory. The model was parsed: its header is as it has to be. */
static char *header_of(const struct mr_model *model, const char *code, size_t *length)
{
    json_t *root =
        json_loadb((const char *)model->bytes + 8, model->parsed.data_offset - 8, 0, NULL);
    const char *name;
    json_t *tensor;
    json_object_foreach(root, name, tensor) {
        json_t *offsets = json_object_get(tensor, "data_offsets"); /* none: the texts */
        for (size_t i = 0; i < json_array_size(offsets); i++) {
            const json_int_t at = json_integer_value(json_array_get(offsets, i));
            json_array_set_new(offsets, i, json_integer(at / 2));
            json_object_set_new(tensor, "dtype", mr_json_text(code));
        }
    }
    const size_t text = json_dumpb(root, NULL, 0, JSON_COMPACT);
    *length = (8 + text + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *header = text ? malloc(*length) : NULL;
    if (header) {
        const uint64_t bytes = htole64(*length - 8);
        memcpy(header, &bytes, sizeof bytes);
        memset(header + 8, ' ', *length - 8);
        json_dumpb(root, header + 8, text, JSON_COMPACT);
    }
    json_decref(root);
    return header;
}

static enum mre_result write_file(struct mr_given *given, const struct mre_client *client,
                                  const struct mr_model *model, uint16_t *numbers,
                                  struct mre_outcome *outcome)
{
    size_t length;
    char *header = header_of(model, mr_number_code(client->number_type), &length);
    if (!header) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory for the model");
    }
    const struct iovec pieces[] = {{header, length}, {numbers, given->count * sizeof *numbers}};
    snprintf(given->path, sizeof given->path, "%s/" FILE_NAME, client->data_dir);
    const int bad = mr_file_renew(given->path, pieces, 2);
    free(header);
    return bad ? mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                "%s cannot be written: %s; make room in data_dir", given->path,
                                strerror(errno))
               : MRE_OK;
}

enum mre_result mr_given_begin(struct mr_given *given, const struct mre_client *client,
                               const struct mr_model *model, const float *values, const char *file,
                               struct mre_outcome *outcome)
{
    const enum mre_number_type type = client->number_type;
    *given = (struct mr_given){.values = values, .file = file, .count = model->parsed.count};
    if (type == MRE_F32) {
        return MRE_OK;
    }
    const size_t bytes = given->count * sizeof(uint16_t);
    uint16_t *numbers = mr_pages_take(bytes);
    given->values = given->rounded = mr_pages_take(given->count * sizeof *given->rounded);
    given->file = given->path;
    enum mre_result result = MRE_FAILED;
    if (numbers && given->rounded) {
        mre_numbers_round(type, numbers, values, given->count);
        mre_numbers_widen(type, given->rounded, numbers, given->count);
        result = write_file(given, client, model, numbers, outcome);
    } else {
        mr_outcome_set(outcome, result, "out of memory for the model");
    }
    mr_pages_give(numbers, bytes);
    return result;
}

void mr_given_end(struct mr_given *given)
{
    mr_pages_give(given->rounded, given->count * sizeof *given->rounded);
}
