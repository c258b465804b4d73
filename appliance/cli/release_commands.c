/* release_commands.c - what devices are told of a task's models, and how far it goes. */
#include <stdbool.h>
#include <string.h>

#include "appliance/cli/task.h"

/* The task's releases, newest first; *answer is owed a json_decref. enum mr_exit. */
static int ask_list(struct mr_ask *ask, unsigned long long most, json_t **answer)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    *answer = NULL;
    const int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/releases?most=%llu", most);
    return mr_ask(ask, "GET", path, NULL, 0, answer);
}

/* What does not fit a line is for `release show`. */
static void shorten(json_t *list)
{
    static const char *const long_members[] = {"release", "model_hash", "bytes", "epsilon"};
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row) {
        for (unsigned m = 0; m < 4; m++) {
            json_object_del(row, long_members[m]);
        }
    }
}

static int list(struct mr_ask *ask, void *context)
{
    json_t *answer;
    const int code = ask_list(ask, (unsigned long long)*(const uint64_t *)context, &answer);
    if (code == MR_EXIT_OK && ask->cli->json) {
        mr_cli_print(ask->cli, answer);
    } else if (code == MR_EXIT_OK) {
        shorten(json_object_get(answer, "releases"));
        mr_cli_print(ask->cli, json_object_get(answer, "releases"));
    }
    json_decref(answer);
    return code;
}

int mr_command_release_list(struct mr_cli *cli)
{
    uint64_t most = 0;
    return mr_cli_number(cli, MR_CLI_MOST, 1, 32, &most) ? mr_ask_run(cli, list, &most)
                                                         : MR_EXIT_USAGE;
}

/* "7.0", or "7" for short. */
static bool is_version(const json_t *row, const char *version)
{
    const char *found = json_string_value(json_object_get(row, "version"));
    const size_t length = strlen(version);
    return strcmp(found, version) == 0 ||
           (strncmp(found, version, length) == 0 && strcmp(found + length, ".0") == 0);
}

/* The release of that version, or the newest. Borrowed; NULL: there is none. */
static json_t *find(json_t *releases, const char *version)
{
    size_t i;
    json_t *row;
    json_array_foreach(releases, i, row) {
        if (!version || is_version(row, version)) {
            return row;
        }
    }
    return NULL;
}

static int show(struct mr_ask *ask, void *context)
{
    json_t *answer;
    (void)context;
    int code = ask_list(ask, 32, &answer);
    if (code == MR_EXIT_OK) {
        const json_t *row = find(json_object_get(answer, "releases"), ask->cli->argument);
        if (row) {
            mr_cli_print(ask->cli, row);
        } else {
            code =
                mr_cli_fail(ask->cli, MR_EXIT_REFUSED,
                            "no release%s%s is known here: the first round makes one, and "
                            "`millrace release list` has the newest 32. A version is ROUND.STEP: "
                            "7.0 is what round 7 made, 7.1 the import or roll-back after it",
                            ask->cli->argument ? " of version " : "",
                            ask->cli->argument ? ask->cli->argument : "");
        }
    }
    json_decref(answer);
    return code;
}

int mr_command_release_show(struct mr_cli *cli)
{
    return mr_ask_run(cli, show, NULL);
}

/* --- orders ----------------------------------------------------------------------------------- */

static int order(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    json_t *answer = NULL;
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/releases/%s", (const char *)context);
    code = mr_ask(ask, "POST", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

int mr_command_release_hold(struct mr_cli *cli)
{
    return mr_ask_run(cli, order, "hold");
}

int mr_command_release_go_on(struct mr_cli *cli)
{
    return mr_ask_run(cli, order, "go-on");
}

int mr_command_release_withdraw(struct mr_cli *cli)
{
    return mr_ask_run(cli, order, "withdraw");
}
