/* task_commands.c - task list, task show. */
#include <string.h>

#include "appliance/cli/task.h"
#include "base/json_text.h"

/* "0 1 2" */
static json_t *hubs_text(const json_t *hubs)
{
    char text[128] = "";
    size_t i, used = 0;
    json_t *index;
    json_array_foreach(hubs, i, index) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i > 0 ? " " : "",
                                 (long long)json_integer_value(index));
        if (used > sizeof text - 24) {
            break;
        }
    }
    return mr_json_text(text);
}

/* One line of the table: the hub's object with its lists and objects made flat. A task that waits
 * for its operator is paused, whatever its last round is; `task show` says why. */
static json_t *row_of(const json_t *task)
{
    const json_t *devices = json_object_get(task, "devices");
    json_t *row = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)task, key, value) {
        if (strcmp(key, "hubs") == 0) {
            json_object_set_new(row, key, hubs_text(value));
        } else if (!json_is_object(value) && !json_is_array(value)) {
            json_object_set(row, key, value);
        }
    }
    if (json_object_get(task, "paused")) {
        json_object_set_new(row, "state", mr_json_text("paused"));
        json_object_del(row, "paused");
    }
    json_object_foreach((json_t *)devices, key, value) {
        json_object_set(row, key, value);
    }
    return row;
}

static int list(struct mr_ask *ask, void *context)
{
    json_t *answer, *task, *rows = json_array();
    size_t i;
    (void)context;
    const int code = mr_ask(ask, "GET", "/v1/tasks", NULL, 0, &answer);
    const json_t *tasks = json_object_get(answer, "tasks");
    json_array_foreach(tasks, i, task) {
        json_array_append_new(rows, row_of(task));
    }
    if (code == MR_EXIT_OK && !ask->cli->json && json_array_size(tasks) == 0) {
        fprintf(ask->cli->out, "hub %u serves no task\n", ask->operator_.endpoint.hub_index);
    } else if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, ask->cli->json ? answer : rows);
    }
    json_decref(rows);
    json_decref(answer);
    return code;
}

int mr_command_task_list(struct mr_cli *cli)
{
    return mr_ask_run(cli, list, NULL);
}

static int show(struct mr_ask *ask, void *context)
{
    char name[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    const char *given = ask->cli->argument;
    json_t *answer;
    (void)context;
    int code = given ? mr_task_take(ask->cli, given, name) : mr_task_choose(ask, name);
    if (code != MR_EXIT_OK) {
        return code;
    }
    snprintf(path, sizeof path, "/v1/tasks/%s", name);
    code = mr_ask(ask, "GET", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

int mr_command_task_show(struct mr_cli *cli)
{
    const char *option = cli->values[MR_CLI_TASK];
    if (cli->argument && option && strcmp(cli->argument, option) != 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "two tasks are named, '%s' and '%s': leave one out",
                           cli->argument, option);
    }
    return mr_ask_run(cli, show, NULL);
}
