/* way_on_commands.c - round void, task resume: what an operator decides where a round or a task
 * cannot go on by itself. The hub says what it costs; --yes accepts that. */
#include <string.h>

#include "appliance/cli/task.h"
#include "base/json_text.h"

/* The hub is older than itself, and that was told with what it costs to recover. */
static bool may_accept(const struct mr_ask *ask)
{
    return ask->refusal.code == MR_REFUSAL_OLDER && !ask->cli->values[MR_CLI_YES];
}

/* Asks with what was accepted; a refusal that says what it costs is told with the way to accept it.
 */
static int ask_way_on(struct mr_ask *ask, const char *path, json_t *body)
{
    json_t *answer = NULL;
    json_object_set_new(body, "accepted", json_boolean(!!ask->cli->values[MR_CLI_YES]));
    const int code = mr_ask(ask, "POST", path, body, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    } else if ((ask->refusal.code == MR_REFUSAL_RELEASED || may_accept(ask)) && !ask->cli->json) {
        fputs("nothing was changed; --yes does it all the same\n", ask->cli->err);
    }
    json_decref(answer);
    return code;
}

static int give_up(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    int code = mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        json_t *body = json_object();
        mr_task_path(path, task, "admin/rounds/%llu/void",
                     (unsigned long long)*(const uint64_t *)context);
        code = ask_way_on(ask, path, body);
        json_decref(body);
    }
    return code;
}

int mr_command_round_void(struct mr_cli *cli)
{
    uint64_t round;
    const int code = mr_task_round_number(cli, &round);
    return code == MR_EXIT_OK ? mr_ask_run(cli, give_up, &round) : code;
}

static int resume(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    const char *given = ask->cli->argument, *model = ask->cli->values[MR_CLI_MODEL_HASH];
    const char *codes = ask->cli->values[MR_CLI_RECOVERY_CODE];
    (void)context;
    int code = given ? mr_task_take(ask->cli, given, task) : mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        json_t *body = json_object();
        if (model) {
            json_object_set_new(body, "model", mr_json_text(model));
        }
        if (codes) {
            json_object_set_new(body, "codes", mr_json_text(codes));
        }
        mr_task_path(path, task, "admin/resume");
        code = ask_way_on(ask, path, body);
        json_decref(body);
    }
    return code;
}

static int recover(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    const char *given = ask->cli->argument;
    (void)context;
    int code = given ? mr_task_take(ask->cli, given, task) : mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        json_t *body = json_object();
        mr_task_path(path, task, "admin/recover");
        code = ask_way_on(ask, path, body);
        json_decref(body);
    }
    return code;
}

int mr_command_recover(struct mr_cli *cli)
{
    return mr_ask_run(cli, recover, NULL);
}

int mr_command_task_resume(struct mr_cli *cli)
{
    return mr_ask_run(cli, resume, NULL);
}

static int go_on(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    const char *given = ask->cli->argument;
    json_t *answer = NULL;
    (void)context;
    int code = given ? mr_task_take(ask->cli, given, task) : mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/go-on");
    code = mr_ask(ask, "POST", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

int mr_command_task_go_on(struct mr_cli *cli)
{
    return mr_ask_run(cli, go_on, NULL);
}
