#include "appliance/cli/task.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int mr_task_take(const struct mr_cli *cli, const char *given, char name[MR_CLI_TASK_BYTES])
{
    if (!mr_task_name_valid(given)) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "'%s' cannot be a task: a name has 1 to %d of a-z, 0-9 and -, and does "
                           "not begin with -; see `millrace task list`",
                           given, MR_TASK_NAME_MAX);
    }
    snprintf(name, MR_CLI_TASK_BYTES, "%s", given);
    return MR_EXIT_OK;
}

/* "digits, faces, voices", cut off where there is no more room. */
static void join_names(char *text, size_t bytes, const json_t *tasks)
{
    size_t i, used = 0;
    json_t *task;
    text[0] = '\0';
    json_array_foreach(tasks, i, task) {
        const char *name = json_string_value(json_object_get(task, "task"));
        const size_t length = name ? strlen(name) : 0;
        if (length > 0 && used + length + 8 < bytes) {
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "", name);
        } else if (length > 0) {
            snprintf(text + used, bytes - used, ", ...");
            return;
        }
    }
}

/* The one task of the list. */
static int only_task(const struct mr_ask *ask, const json_t *tasks, char name[MR_CLI_TASK_BYTES])
{
    const unsigned hub = ask->operator_.endpoint.hub_index;
    const size_t count = json_array_size(tasks);
    const char *first = json_string_value(json_object_get(json_array_get(tasks, 0), "task"));
    if (count == 0 || !first) {
        return mr_cli_fail(ask->cli, MR_EXIT_REFUSED,
                           "hub %u serves no task: add one to tasks: in its hub.yaml, and send the "
                           "hub SIGHUP",
                           hub);
    }
    if (count > 1) {
        char names[400];
        join_names(names, sizeof names, tasks);
        return mr_cli_fail(ask->cli, MR_EXIT_USAGE,
                           "hub %u serves %zu tasks: %s. Say which one is meant: --task %.32s", hub,
                           count, names, first);
    }
    return mr_task_take(ask->cli, first, name);
}

int mr_task_choose(struct mr_ask *ask, char name[MR_CLI_TASK_BYTES])
{
    const char *given = ask->cli->values[MR_CLI_TASK];
    json_t *answer;
    if (given) {
        return mr_task_take(ask->cli, given, name);
    }
    int code = mr_ask_quietly(ask, "/v1/tasks", 0, &answer);
    if (code == MR_EXIT_OK) {
        code = only_task(ask, json_object_get(answer, "tasks"), name);
    } else {
        mr_cli_fail(ask->cli, code, "%s", ask->error.text);
    }
    json_decref(answer);
    return code;
}

void mr_task_path(char path[MR_CLI_PATH_BYTES], const char *name, const char *format, ...)
{
    va_list arguments;
    const int used = snprintf(path, MR_CLI_PATH_BYTES, "/v1/tasks/%s/", name);
    va_start(arguments, format);
    vsnprintf(path + used, MR_CLI_PATH_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
}

int mr_task_round_number(const struct mr_cli *cli, uint64_t *round)
{
    const char *text = cli->argument;
    const size_t length = strlen(text);
    if (length == 0 || length > 18 || strspn(text, "0123456789") != length) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "ROUND must be a number, not '%s'", text);
    }
    *round = strtoull(text, NULL, 10);
    return MR_EXIT_OK;
}

json_t *mr_task_rounds(json_t *answer)
{
    return json_object_get(answer, "rounds");
}

bool mr_task_round_ended(const json_t *round, bool *is_void)
{
    static const char *const ends[] = {"published", "revealed", "done", "void"};
    const char *state = json_string_value(json_object_get(round, "state"));
    *is_void = state && strcmp(state, "void") == 0;
    for (size_t i = 0; state && i < sizeof ends / sizeof *ends; i++) {
        if (strcmp(state, ends[i]) == 0) {
            return true;
        }
    }
    return false; /* also with an end's time: the lead is still writing down how it ended */
}
