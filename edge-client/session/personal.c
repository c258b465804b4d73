#include "edge-client/session/personal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/session/outcome.h"

#define KEPT   "personal.safetensors"
#define MERGED "personal-model.safetensors" /* not among the cached models: its hash is no name */

bool mr_personal_has(const struct mr_model *model)
{
    for (unsigned i = 0; i < model->parsed.tensor_count; i++) {
        if (model->parsed.tensors[i].part == MR_PART_PERSONAL) {
            return true;
        }
    }
    return false;
}

static enum mre_result renew(const char *path, const struct iovec *pieces, unsigned count,
                             struct mre_outcome *outcome)
{
    return mr_file_renew(path, pieces, count) == 0
               ? MRE_OK
               : mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                "%s cannot be written: %s; make room in data_dir", path,
                                strerror(errno));
}

/* --- the kept values -------------------------------------------------------------------------- */

static const struct mr_tensor *find(const struct mr_safetensors *kept,
                                    const struct mr_tensor *wanted)
{
    for (unsigned i = 0; i < kept->tensor_count; i++) {
        const struct mr_tensor *one = &kept->tensors[i];
        if (strcmp(one->name, wanted->name) == 0 && one->count == wanted->count) {
            return one;
        }
    }
    return NULL;
}

/* A tensor that is not kept yet, or has another shape now, begins as the model has it. */
static void put_all(const struct mr_model *model, const struct mr_safetensors *kept,
                    const uint8_t *bytes, float *values)
{
    for (unsigned i = 0; i < model->parsed.tensor_count; i++) {
        const struct mr_tensor *tensor = &model->parsed.tensors[i];
        const struct mr_tensor *own = tensor->part == MR_PART_PERSONAL ? find(kept, tensor) : NULL;
        if (own) {
            memcpy(values + tensor->offset,
                   bytes + kept->data_offset + own->offset * sizeof *values,
                   own->count * sizeof *values);
        }
    }
}

static enum mre_result write_merged(const struct mre_client *client, const struct mr_model *model,
                                    const float *values, char *path, size_t path_bytes,
                                    struct mre_outcome *outcome)
{
    const struct iovec pieces[] = {
        {model->bytes, model->parsed.data_offset},
        {(void *)(uintptr_t)values, model->parsed.count * sizeof *values}};
    snprintf(path, path_bytes, "%s/" MERGED, client->data_dir);
    return renew(path, pieces, 2, outcome);
}

enum mre_result mr_personal_load(const struct mre_client *client, const struct mr_model *model,
                                 float *values, char *path, size_t path_bytes,
                                 struct mre_outcome *outcome)
{
    char name[4096];
    struct mr_safetensors kept;
    struct mr_error error;
    size_t length = 0;
    if (!mr_personal_has(model)) {
        return MRE_OK;
    }
    snprintf(name, sizeof name, "%s/" KEPT, client->data_dir);
    /* Its tensors are some of the model's, its header likewise. */
    const size_t most = model->length + 4096;
    char *bytes = access(name, F_OK) == 0 ? mr_file_text(name, most, &length, &error) : NULL;
    if (!bytes && access(name, F_OK) == 0) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s: %s", name, error.text);
    }
    if (bytes) {
        if (mr_safetensors_parse(&kept, (const uint8_t *)bytes, length, &error) != 0) {
            free(bytes);
            return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                  "%s: %s; put a backup back, or remove it to begin with the "
                                  "model's values",
                                  name, error.text);
        }
        put_all(model, &kept, (const uint8_t *)bytes, values);
        mr_safetensors_fini(&kept);
        free(bytes);
    }
    return write_merged(client, model, values, path, path_bytes, outcome);
}

/* The header and the values of the tensors that are this device's own. Returns how many pieces. */
static unsigned own_pieces(struct iovec *pieces, struct mr_tensor *own,
                           const struct mr_model *model, const float *values)
{
    unsigned count = 0;
    for (unsigned i = 0; i < model->parsed.tensor_count; i++) {
        const struct mr_tensor *tensor = &model->parsed.tensors[i];
        if (tensor->part == MR_PART_PERSONAL) {
            own[count++] = *tensor;
            pieces[count] = (struct iovec){(void *)(uintptr_t)(values + tensor->offset),
                                           tensor->count * sizeof *values};
        }
    }
    pieces[0].iov_base = mr_safetensors_header(own, count, &pieces[0].iov_len);
    return count + 1;
}

enum mre_result mr_personal_keep(const struct mre_client *client, const struct mr_model *model,
                                 const float *values, struct mre_outcome *outcome)
{
    char path[4096];
    if (!mr_personal_has(model)) {
        return MRE_OK;
    }
    struct mr_tensor *own = calloc(model->parsed.tensor_count, sizeof *own);
    struct iovec *pieces = calloc(model->parsed.tensor_count + 1, sizeof *pieces);
    const unsigned count = own && pieces ? own_pieces(pieces, own, model, values) : 0;
    enum mre_result result;
    snprintf(path, sizeof path, "%s/" KEPT, client->data_dir);
    if (count > 0 && pieces[0].iov_base) {
        result = renew(path, pieces, count, outcome);
        free(pieces[0].iov_base);
    } else {
        result = mr_outcome_set(outcome, MRE_FAILED, "out of memory for the personal tensors");
    }
    free(pieces);
    free(own);
    return result;
}
