#include "appliance/hub/hub_check.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "appliance/model/store.h"
#include "appliance/runtime/sandbox.h"
#include "transport/tls.h"

static int check_certificates(const struct mr_config_identity *identity, struct mr_error *error)
{
    const struct mr_tls_files files = {.ca_file = identity->ca_file,
                                       .certificate_file = identity->certificate_file,
                                       .private_key_file = identity->private_key_file,
                                       .revocation_file = identity->revocation_file};
    struct mr_tls *tls;
    if (mr_tls_open(&tls, MR_TLS_SERVER, &files, error) != 0) {
        return -1;
    }
    mr_tls_close(tls);
    return 0;
}

/* A new connection to another hub reads them, and so does a change of the list. */
static int check_user(const struct mr_hub_config *config, struct mr_error *error)
{
    const struct mr_config_identity *identity = &config->identity;
    const struct mr_config_sandbox *sandbox = &config->sandbox;
    const char *const files[] = {identity->ca_file, identity->certificate_file,
                                 identity->private_key_file, identity->revocation_file};
    if (strcmp(sandbox->mode, "off") == 0) {
        return 0;
    }
    return mr_sandbox_check_files(sandbox->user, sandbox->group, files,
                                  sizeof files / sizeof files[0], error);
}

static int check_tasks(const struct mr_hub_config *config, struct mr_error *error)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_task *task = &config->tasks[i];
        char folder[PATH_MAX];
        const int length =
            snprintf(folder, sizeof folder, "%s/tasks/%s", config->data_dir, task->name);
        if (length < 0 || (size_t)length >= sizeof folder) {
            return mr_error_set(error, "data_dir: the path is too long");
        }
        if (mr_store_check(folder, task->initial_model_file, error) != 0) {
            return mr_error_prefix(error, "task %s", task->name);
        }
    }
    return 0;
}

static int check(struct mr_hub_config **out, const char *path, bool user, struct mr_error *error)
{
    struct mr_hub_config *config;
    *out = NULL;
    if (mr_hub_config_load(&config, path, error) != 0) {
        return -1;
    }
    const struct mr_config_sandbox *sandbox = &config->sandbox;
    if ((user && mr_sandbox_check_user(sandbox->user, sandbox->group, error) != 0) ||
        check_certificates(&config->identity, error) != 0 || check_tasks(config, error) != 0 ||
        (user && check_user(config, error) != 0)) {
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
