#include "edge-client/session/given.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/files/files.h"
#include "edge-client/session/number_type.h"
#include "edge-client/session/outcome.h"

#define FILE_NAME "given-model.safetensors" /* not among the cached models: its hash is no name */

static enum mre_result write_file(struct mr_given *given, const struct mre_client *client,
                                  const struct mr_model *model, uint16_t *numbers,
                                  struct mre_outcome *outcome)
{
    size_t length;
    char *header =
        mr_number_header(model->bytes, model->parsed.data_offset, client->number_type, &length);
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
