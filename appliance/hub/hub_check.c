#include "appliance/hub/hub_check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "appliance/hub/hub_lists.h"
#include "appliance/model/store.h"
#include "appliance/privacy/task_plan.h"
#include "appliance/runtime/sandbox.h"
#include "appliance/storage/files.h"
#include "appliance/task/owner.h"
#include "base/bytes.h"
#include "transport/fitness.h"
#include "wire/layout.h"
#include "wire/quantiser.h"

static bool leads_any(const struct mr_hub_config *config)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (mr_hub_config_leads(config, &config->tasks[i])) {
            return true;
        }
    }
    return false;
}

struct mr_tls_files mr_hub_tls_files(const struct mr_config_identity *identity)
{
    return (struct mr_tls_files){.ca_file = identity->ca_file,
                                 .certificate_file = identity->certificate_file,
                                 .private_key_file = identity->private_key_file,
                                 .revocation_file = identity->revocation_file};
}

/* Every hub serves; one that leads also dials the others, with the same certificate. */
static int check_certificates(const struct mr_hub_config *config, struct mr_error *error)
{
    const struct mr_config_identity *identity = &config->identity;
    const struct mr_tls_files files = mr_hub_tls_files(identity);
    const struct mr_tls_purpose purpose = {.serves = true,
                                           .dials = leads_any(config),
                                           .role = MR_ROLE_HUB,
                                           .hub_index = identity->index};
    return mr_tls_check_fitness(&files, &purpose, error) == 0 ? 0
                                                              : mr_error_prefix(error, "identity");
}

/* A share of the model has to fit where shares are staged, and where a helper expands its masks. */
static int check_room(const struct mr_hub_config *config, const struct mr_config_task *task,
                      uint32_t dimension, struct mr_error *error)
{
    const struct mr_config_round *round = &task->round;
    struct mr_layout layout;
    const uint8_t rotation_log2 = round->rotation_log2 == MR_ROTATION_AUTO
                                      ? mr_quantiser_rotation_log2(dimension)
                                      : round->rotation_log2;
    if (mr_layout_init(&layout, round->ring_bits, dimension, rotation_log2, round->chunk_bytes) !=
        0) {
        return mr_error_set(error,
                            "its model's %u values make more chunks than a round can number: "
                            "raise tasks.round.chunk_bytes",
                            dimension);
    }
    return layout.share_bytes <= config->upload.share_bytes_max
               ? 0
               : mr_error_set(error,
                              "a share of its model (%u values of %u bits) has %llu bytes, more "
                              "than upload.share_bytes_max: %llu; raise that to %llu on every hub "
                              "of the task",
                              dimension, round->ring_bits, (unsigned long long)layout.share_bytes,
                              (unsigned long long)config->upload.share_bytes_max,
                              (unsigned long long)layout.share_bytes);
}

/* Against what this hub has seen before. */
static int check_lists(const struct mr_hub_config *config, struct mr_error *error)
{
    const struct mr_tls_files files = mr_hub_tls_files(&config->identity);
    struct mr_tls *tls;
    if (*files.revocation_file == '\0') {
        return 0;
    }
    if (mr_tls_open(&tls, MR_TLS_SERVER, &files, error) != 0) {
        return -1;
    }
    const int older = mr_hub_lists_check(config->data_dir, mr_tls_revocations(tls), error);
    mr_tls_close(tls);
    return older;
}

/* What is read in data_dir comes back from the child that may have read it. */
struct data_check {
    const struct mr_hub_config *config;
    struct mr_store_found *found; /* shared; one a task */
};

static int check_tasks(const struct data_check *check, struct mr_error *error)
{
    const struct mr_hub_config *config = check->config;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_task *task = &config->tasks[i];
        char folder[PATH_MAX];
        const int length =
            snprintf(folder, sizeof folder, "%s/tasks/%s", config->data_dir, task->name);
        if (length < 0 || (size_t)length >= sizeof folder) {
            return mr_error_set(error, "data_dir: the path is too long");
        }
        const struct mr_task_owner owner = {.task = task->name};
        struct mr_store_found *found = &check->found[i];
        if (mr_owner_check_task(folder, &owner, error) != 0 ||
            mr_store_check(folder, task->initial_model_file, found, error) != 0 ||
            check_room(config, task, found->dimension, error) != 0) {
            return mr_error_prefix(error, "task %s", task->name);
        }
    }
    return 0;
}

/* The public half of this hub's signing key, from the address book. NULL: it is not there to read,
 * which the start says in its own words. */
static const uint8_t *public_key_of(const struct mr_hub_config *config, uint8_t key[32])
{
    const struct mr_config_hub *own = mr_hub_config_address(config, config->identity.index);
    struct mr_error ignored;
    uint8_t *text = NULL;
    size_t length = 0;
    if (!own || mr_file_read(own->public_key_file, &text, &length, &ignored) != 0) {
        return NULL;
    }
    text[length < 64 ? length : 64] = '\0';
    const int bad = mr_hex_decode(key, 32, (const char *)text);
    free(text);
    return bad ? NULL : key;
}

static int check_owner(const struct mr_hub_config *config, struct mr_error *error)
{
    uint8_t key[32];
    const struct mr_owner owner = {.hub = config->identity.index,
                                   .public_key = public_key_of(config, key)};
    return mr_owner_check(config->data_dir, &owner, error);
}

/* All that is read in data_dir, which may be a folder that the user can change. */
static int check_data(void *context, struct mr_error *error)
{
    const struct data_check *check = context;
    return check_lists(check->config, error) != 0 || check_owner(check->config, error) != 0 ||
                   check_tasks(check, error) != 0
               ? -1
               : 0;
}

/* Rounds with noise have to be possible with this model. */
static int check_plans(struct mr_hub_config *config, const struct mr_store_found *found,
                       struct mr_error *error)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        struct mr_config_task *task = &config->tasks[i];
        struct mr_plan plan;
        task->dimension = found[i].dimension;
        memcpy(task->model_hash, found[i].model_hash, MR_HASH_BYTES);
        const struct mr_plan_question question = mr_task_plan_question(task, task->dimension);
        if (question.noise != MR_NOISE_NONE && mr_plan_make(&plan, &question, error) != 0) {
            mr_error_prefix(error, "task %s: privacy", task->name);
            return -1;
        }
    }
    return 0;
}

/* Whom the hub will be; "": who started it. */
static const char *user_of(const struct mr_hub_config *config)
{
    return strcmp(config->sandbox.mode, "off") == 0 ? "" : config->sandbox.user;
}

/* A new connection to another hub reads them, and so does a change of the list. */
static int check_user(const struct mr_hub_config *config, struct mr_error *error)
{
    const struct mr_config_identity *identity = &config->identity;
    const struct mr_config_sandbox *sandbox = &config->sandbox;
    const char *const files[] = {identity->ca_file, identity->certificate_file,
                                 identity->private_key_file, identity->revocation_file};
    return mr_sandbox_check_files(user_of(config), sandbox->group, files,
                                  sizeof files / sizeof files[0], error);
}

/* As at a start: root asks as the user that it will become. */
static int check_as_user(struct data_check *check, struct mr_error *error)
{
    const struct mr_hub_config *config = check->config;
    const struct mr_config_sandbox *sandbox = &config->sandbox;
    return mr_sandbox_check_user(sandbox->user, sandbox->group, error) != 0 ||
                   check_certificates(config, error) != 0 || check_user(config, error) != 0 ||
                   mr_sandbox_as_user(user_of(config), sandbox->group, check_data, check, error) !=
                       0
               ? -1
               : 0;
}

static int check(struct mr_hub_config **out, const char *path, bool user, struct mr_error *error)
{
    struct mr_hub_config *config;
    *out = NULL;
    if (mr_hub_config_load(&config, path, error) != 0) {
        return -1;
    }
    const size_t bytes = config->tasks_count * sizeof(struct mr_store_found);
    struct mr_store_found *found =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) {
        mr_hub_config_free(config);
        return mr_error_set(error, "out of memory");
    }
    struct data_check data = {config, found};
    const int failed =
        (user ? check_as_user(&data, error)
              : check_certificates(config, error) != 0 || check_data(&data, error) != 0) ||
        check_plans(config, found, error) != 0;
    munmap(found, bytes);
    if (failed) {
        mr_hub_config_free(config);
        return -1;
    }
    *out = config;
    return 0;
}

int mr_hub_check(struct mr_hub_config **config, const char *path, struct mr_error *error)
{
    return check(config, path, true, error);
}

int mr_hub_check_again(struct mr_hub_config **config, const char *path, struct mr_error *error)
{
    return check(config, path, false, error);
}
