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

/* --- files ------------------------------------------------------------------------------------ */

static int write_all(int fd, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    while (length > 0) {
        const ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

/* What is written in the place of a file is whole or not there. */
struct replacing {
    char path[4096], fresh[4096 + 4];
    int fd; /* -1: could not be made */
    int bad;
};

static void replace_begin(struct replacing *file, const struct mre_client *client, const char *name)
{
    snprintf(file->path, sizeof file->path, "%s/%s", client->data_dir, name);
    snprintf(file->fresh, sizeof file->fresh, "%s.new", file->path);
    file->fd = mr_file_create(file->fresh);
    file->bad = file->fd < 0;
}

static void replace_write(struct replacing *file, const void *bytes, size_t length)
{
    file->bad = file->bad || write_all(file->fd, bytes, length) != 0;
}

static enum mre_result replace_end(struct replacing *file, const struct mre_client *client,
                                   struct mre_outcome *outcome)
{
    file->bad = file->bad || fsync(file->fd) != 0;
    if (file->fd >= 0 && close(file->fd) != 0) {
        file->bad = 1;
    }
    if (file->bad || rename(file->fresh, file->path) != 0 ||
        mr_folder_sync(client->data_dir) != 0) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "%s cannot be written: %s; make room in data_dir", file->fresh,
                              strerror(errno));
    }
    return MRE_OK;
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
    struct replacing file;
    replace_begin(&file, client, MERGED);
    replace_write(&file, model->bytes, model->parsed.data_offset);
    replace_write(&file, values, model->parsed.count * sizeof *values);
    snprintf(path, path_bytes, "%s", file.path);
    return replace_end(&file, client, outcome);
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

enum mre_result mr_personal_keep(const struct mre_client *client, const struct mr_model *model,
                                 const float *values, struct mre_outcome *outcome)
{
    const struct mr_safetensors *parsed = &model->parsed;
    struct replacing file;
    unsigned count = 0;
    size_t header_bytes;
    if (!mr_personal_has(model)) {
        return MRE_OK;
    }
    struct mr_tensor *own = calloc(parsed->tensor_count, sizeof *own);
    for (unsigned i = 0; own && i < parsed->tensor_count; i++) {
        if (parsed->tensors[i].part == MR_PART_PERSONAL) {
            own[count++] = parsed->tensors[i];
        }
    }
    uint8_t *header = own ? mr_safetensors_header(own, count, &header_bytes) : NULL;
    if (!header) {
        free(own);
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory for the personal tensors");
    }
    replace_begin(&file, client, KEPT);
    replace_write(&file, header, header_bytes);
    for (unsigned i = 0; i < count; i++) {
        replace_write(&file, values + own[i].offset, own[i].count * sizeof *values);
    }
    free(header);
    free(own);
    return replace_end(&file, client, outcome);
}
