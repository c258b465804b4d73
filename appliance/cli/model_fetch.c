#include "appliance/cli/model_fetch.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/bytes.h"

int mr_model_name_check(const struct mr_cli *cli, const char *which)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const size_t length = strlen(which);
    return length > 0 && length <= 40 && strspn(which, letters) == length
               ? MR_EXIT_OK
               : mr_cli_fail(cli, MR_EXIT_USAGE,
                             "'%s' is no version: give a number, an alias, or current; see "
                             "`millrace model list`",
                             which);
}

int mr_model_ask(struct mr_ask *ask, const char *task, const char *which, json_t **version)
{
    char path[MR_CLI_PATH_BYTES];
    *version = NULL;
    const int code = mr_model_name_check(ask->cli, which);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/models/%s", which);
    return mr_ask(ask, "GET", path, NULL, 0, version);
}

int mr_model_fetch(struct mr_ask *ask, const char *task, const char *which, json_t **version,
                   struct mr_h2_response *file)
{
    char path[MR_CLI_PATH_BYTES];
    uint8_t actual[SHA256_DIGEST_LENGTH], wanted[SHA256_DIGEST_LENGTH];
    *file = (struct mr_h2_response){.status = 0};
    int code = mr_model_ask(ask, task, which, version);
    if (code != MR_EXIT_OK) {
        return code;
    }
    const char *hash = json_string_value(json_object_get(*version, "model_hash"));
    if (!hash || mr_hex_decode(wanted, sizeof wanted, hash) != 0) {
        code = mr_cli_fail(ask->cli, MR_EXIT_FAILED, "the hub names no model of version %s", which);
    } else {
        mr_task_path(path, task, "models/%s", hash);
        code = mr_ask_bytes(ask, path, NULL, 0, file);
    }
    if (code == MR_EXIT_OK) {
        SHA256(file->body, file->length, actual);
        if (memcmp(actual, wanted, sizeof actual) != 0) {
            mr_h2_response_fini(file);
            code = mr_cli_fail(ask->cli, MR_EXIT_FAILED,
                               "the hub sent another model than version %s has", which);
        }
    }
    if (code != MR_EXIT_OK) {
        json_decref(*version);
        *version = NULL;
    }
    return code;
}
