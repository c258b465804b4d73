#include "edge-client/session/model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "base/bytes.h"

#define PREFIX "model-"

static bool hash_holds(const uint8_t *bytes, size_t length, const uint8_t expected[MR_HASH_BYTES])
{
    uint8_t hash[MR_HASH_BYTES];
    return EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL) == 1 &&
           memcmp(hash, expected, sizeof hash) == 0;
}

/* --- the cache ------------------------------------------------------------------------------- */

static int map_file(struct mr_model *model)
{
    struct stat st;
    int fd = open(model->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int bad = fstat(fd, &st) || st.st_size <= 0;
    if (!bad) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        bad = bytes == MAP_FAILED;
        if (!bad) {
            model->bytes = bytes;
            model->length = (size_t)st.st_size;
        }
    }
    close(fd);
    return bad ? -1 : 0;
}

static void unmap_file(struct mr_model *model)
{
    if (model->bytes) {
        munmap(model->bytes, model->length);
    }
    model->bytes = NULL;
    model->length = 0;
}

/* Only the newest model is kept: a device's disk is small. */
static void forget_others(const struct mre_client *client, const char *kept)
{
    DIR *folder = opendir(client->data_dir);
    if (!folder) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            strcmp(entry->d_name, kept) != 0) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
}

static enum mre_result save(const struct mr_model *model, const struct mr_h2_response *response,
                            struct mre_outcome *outcome)
{
    char fresh[sizeof model->path + 4];
    snprintf(fresh, sizeof fresh, "%s.new", model->path);
    int fd = mr_file_create(fresh);
    int bad = fd < 0 || mr_fd_write_all(fd, response->body, response->length);
    if (fd >= 0) {
        bad |= close(fd);
    }
    if (bad || rename(fresh, model->path)) {
        return mr_outcome_set(outcome, MRE_FAILED,
                              "%s cannot be written: %s; make room in data_dir", fresh,
                              strerror(errno));
    }
    return MRE_OK;
}

/* Of the model's file, as announced. */
static size_t values_of(const struct mr_round_terms *terms)
{
    const struct mr_announcement *a = &terms->announcement;
    return a->model_values ? a->model_values : a->dimension;
}

static enum mre_result download(struct mr_model *model, struct mre_client *client,
                                const struct mr_round_terms *terms, const char *hash,
                                struct mre_outcome *outcome)
{
    char path[160];
    struct mr_h2_response response = {0};
    const uint64_t deadline = terms->announcement.deadline_unix_ms;
    struct mr_question question = {.method = "GET",
                                   .path = path,
                                   .until_unix_ms = deadline,
                                   .answer_max = values_of(terms) * sizeof(float) +
                                                 MR_SAFETENSORS_HEADER_MAX + 8};
    snprintf(path, sizeof path, "/v1/tasks/%s/models/%s", client->task, hash);
    enum mre_result result;
    unsigned times = 0;
    do {
        result = mr_control_reach(client, 0, deadline, outcome);
        if (!result) {
            result = mr_control_ask(client, 0, &question, &response, outcome);
        }
    } while (mr_control_again(client, result, deadline, &times, outcome));
    if (result) {
        return result;
    }
    if (!hash_holds(response.body, response.length, terms->announcement.model_hash)) {
        result = mr_outcome_set(outcome, MRE_BAD_MODEL,
                                "the model that the lead sent does not have the announced hash %s",
                                hash);
    } else {
        result = save(model, &response, outcome);
    }
    mr_h2_response_fini(&response);
    return result;
}

/* --- its content ----------------------------------------------------------------------------- */

static enum mre_result parse(struct mr_model *model, const struct mr_round_terms *terms,
                             struct mre_outcome *outcome)
{
    struct mr_error error;
    if (mr_safetensors_parse(&model->parsed, model->bytes, model->length, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_MODEL, "the round's model: %s", error.text);
    }
    const struct mr_safetensors *parsed = &model->parsed;
    if (parsed->trained != terms->announcement.dimension || parsed->count != values_of(terms)) {
        return mr_outcome_set(outcome, MRE_BAD_MODEL,
                              "the model has %zu values, %zu of them to train, but the round "
                              "announces %zu and %u",
                              parsed->count, parsed->trained, values_of(terms),
                              terms->announcement.dimension);
    }
    const uint8_t *data = model->bytes + model->parsed.data_offset;
    size_t bytes = model->parsed.count * sizeof(float);
    if ((uintptr_t)data % _Alignof(float) != 0) {
        model->copy = mr_pages_take(bytes);
        if (!model->copy) {
            return mr_outcome_set(outcome, MRE_FAILED, "out of memory for the model");
        }
        memcpy(model->copy, data, bytes);
        data = (const uint8_t *)model->copy;
    }
    model->values = (const float *)(const void *)data;
    model->tensors = calloc(model->parsed.tensor_count, sizeof *model->tensors);
    if (!model->tensors) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory for the model");
    }
    for (unsigned i = 0; i < model->parsed.tensor_count; i++) {
        const struct mr_tensor *t = &model->parsed.tensors[i];
        model->tensors[i] = (struct mre_tensor){.name = t->name,
                                                .dims = t->dims,
                                                .rank = t->rank,
                                                .offset = t->offset,
                                                .count = t->count,
                                                .part = (enum mre_part)t->part};
    }
    return MRE_OK;
}

enum mre_result mr_model_load(struct mr_model *model, struct mre_client *client,
                              const struct mr_round_terms *terms, struct mre_outcome *outcome)
{
    char hash[2 * MR_HASH_BYTES + 1];
    char name[128];
    enum mre_result result = MRE_OK;
    memset(model, 0, sizeof *model);
    mr_hex_encode(hash, terms->announcement.model_hash, MR_HASH_BYTES);
    snprintf(name, sizeof name, PREFIX "%s.safetensors", hash);
    snprintf(model->path, sizeof model->path, "%s/%s", client->data_dir, name);
    if (map_file(model) ||
        !hash_holds(model->bytes, model->length, terms->announcement.model_hash)) {
        unmap_file(model);
        result = download(model, client, terms, hash, outcome);
        if (!result && map_file(model)) {
            result = mr_outcome_set(outcome, MRE_FAILED, "%s cannot be read back: %s", model->path,
                                    strerror(errno));
        }
        if (!result) {
            forget_others(client, name);
        }
    }
    if (!result) {
        result = parse(model, terms, outcome);
    }
    if (result) {
        mr_model_unload(model);
    }
    return result;
}

void mr_model_unload(struct mr_model *model)
{
    mr_pages_give(model->copy, model->parsed.count * sizeof(float));
    free(model->tensors);
    if (model->parsed.tensors) {
        mr_safetensors_fini(&model->parsed);
    }
    unmap_file(model);
    memset(model, 0, sizeof *model);
}
