/* model_commands.c - a task's versions: list, show, name, tag, import, roll back, verify. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/model_fetch.h"
#include "base/json_text.h"

#define TAG_NAME_BYTES 41

static const char *which_of(const struct mr_ask *ask)
{
    return ask->cli->argument ? ask->cli->argument : "current";
}

/* POSTs to a route of the task and prints the answer; a refusal that says what it costs is told
 * with the way to accept it. `body` is taken over. */
static int post(struct mr_ask *ask, const char *path, json_t *body)
{
    json_t *answer = NULL;
    const int code = mr_ask(ask, "POST", path, body, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    } else if (ask->refusal.code == MR_REFUSAL_RELEASED && !ask->cli->json) {
        fputs("nothing was changed; --yes does it all the same\n", ask->cli->err);
    }
    json_decref(answer);
    json_decref(body);
    return code;
}

/* --- looking -----------------------------------------------------------------------------------
 */

static int list(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    json_t *answer;
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/models?most=%llu",
                 (unsigned long long)*(const uint64_t *)context);
    code = mr_ask(ask, "GET", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, ask->cli->json ? answer : json_object_get(answer, "models"));
    }
    json_decref(answer);
    return code;
}

int mr_command_model_list(struct mr_cli *cli)
{
    uint64_t most = 0;
    return mr_cli_number(cli, MR_CLI_MOST, 1, 100000, &most) ? mr_ask_run(cli, list, &most)
                                                             : MR_EXIT_USAGE;
}

static int show(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES];
    json_t *version = NULL;
    (void)context;
    int code = mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        code = mr_model_ask(ask, task, which_of(ask), &version);
    }
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, version);
    }
    json_decref(version);
    return code;
}

int mr_command_model_show(struct mr_cli *cli)
{
    return mr_ask_run(cli, show, NULL);
}

/* --- without a version -------------------------------------------------------------------------
 */

static int verify(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    json_t *answer = NULL;
    (void)context;
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/store/verify");
    code = mr_ask(ask, "POST", path, NULL, 600000, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
        code =
            json_array_size(json_object_get(answer, "faults")) == 0 ? MR_EXIT_OK : MR_EXIT_INVALID;
    }
    json_decref(answer);
    return code;
}

int mr_command_model_verify(struct mr_cli *cli)
{
    return mr_ask_run(cli, verify, NULL);
}

static int gc(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    (void)context;
    const int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/store/gc");
    return post(ask, path, NULL);
}

int mr_command_model_gc(struct mr_cli *cli)
{
    return mr_ask_run(cli, gc, NULL);
}

/* --- names -------------------------------------------------------------------------------------
 */

/* Of a version: a route of its own with a JSON body, which is taken over. */
static int post_to_version(struct mr_ask *ask, const char *what, json_t *body)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    int code = mr_model_name_check(ask->cli, which_of(ask));
    if (code == MR_EXIT_OK) {
        code = mr_task_choose(ask, task);
    }
    if (code != MR_EXIT_OK) {
        json_decref(body);
        return code;
    }
    mr_task_path(path, task, "admin/models/%s/%s", which_of(ask), what);
    return post(ask, path, body);
}

static int promote(struct mr_ask *ask, void *context)
{
    (void)context;
    return post_to_version(
        ask, "promote", json_pack("{s:o}", "alias", mr_json_text(ask->cli->values[MR_CLI_ALIAS])));
}

int mr_command_model_promote(struct mr_cli *cli)
{
    return mr_ask_run(cli, promote, NULL);
}

static int unalias(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    (void)context;
    int code = mr_model_name_check(ask->cli, ask->cli->argument);
    if (code == MR_EXIT_OK) {
        code = mr_task_choose(ask, task);
    }
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/aliases/%s/drop", ask->cli->argument);
    return post(ask, path, NULL);
}

int mr_command_model_unalias(struct mr_cli *cli)
{
    return mr_ask_run(cli, unalias, NULL);
}

static int tag(struct mr_ask *ask, void *context)
{
    const char *pair = ask->cli->more[0];
    char name[TAG_NAME_BYTES];
    const size_t length = strcspn(pair, "=");
    (void)context;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), pair);
    return post_to_version(ask, "tag",
                           json_pack("{s:o, s:o}", "name", mr_json_text(name), "value",
                                     mr_json_text(pair + length + 1)));
}

int mr_command_model_tag(struct mr_cli *cli)
{
    if (cli->more_count != 1 || !strchr(cli->more[0], '=')) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "give a version and one tag, as in: millrace model tag 12 site=berlin");
    }
    return mr_ask_run(cli, tag, NULL);
}

/* --- another model -----------------------------------------------------------------------------
 */

/* What is easily forgotten: a helper signs no round on a model that is not its current one. */
static int tell_next(const struct mr_ask *ask, int code)
{
    if (code == MR_EXIT_OK && !ask->cli->json) {
        fputs("next: the same at every other hub of the task; until then no round opens\n",
              ask->cli->err);
    }
    return code;
}

static int rollback(struct mr_ask *ask, void *context)
{
    const char *note = ask->cli->values[MR_CLI_NOTE];
    (void)context;
    json_t *body = json_pack("{s:b, s:o}", "accepted", !!ask->cli->values[MR_CLI_YES], "note",
                             mr_json_text(note ? note : ""));
    return tell_next(ask, post_to_version(ask, "rollback", body));
}

int mr_command_model_rollback(struct mr_cli *cli)
{
    return mr_ask_run(cli, rollback, NULL);
}

struct file {
    uint8_t *bytes;
    size_t length;
};

static int import(struct mr_ask *ask, void *context)
{
    const struct file *file = context;
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    struct mr_h2_response response = {.status = 0};
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/models?accepted=%d", ask->cli->values[MR_CLI_YES] ? 1 : 0);
    code = mr_ask_bytes(ask, path, file->bytes, file->length, &response);
    if (code == MR_EXIT_OK) {
        json_t *answer = json_loadb((const char *)response.body, response.length, 0, NULL);
        mr_cli_print(ask->cli, answer);
        json_decref(answer);
    } else if (ask->refusal.code == MR_REFUSAL_RELEASED && !ask->cli->json) {
        fputs("nothing was changed; --yes does it all the same\n", ask->cli->err);
    }
    mr_h2_response_fini(&response);
    return tell_next(ask, code);
}

int mr_command_model_import(struct mr_cli *cli)
{
    struct file file = {NULL, 0};
    int code = mr_cli_read(cli, cli->argument, &file.bytes, &file.length);
    if (code == MR_EXIT_OK) {
        code = mr_ask_run(cli, import, &file);
    }
    free(file.bytes);
    return code;
}
