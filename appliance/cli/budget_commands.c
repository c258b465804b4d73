/* budget_commands.c - budget list, budget show, budget export. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/ask.h"
#include "base/json_text.h"
#include "wire/task.h"

#define PATH_BYTES 160

static int list(struct mr_ask *ask, void *context)
{
    json_t *answer;
    (void)context;
    const int code = mr_ask(ask, "GET", "/v1/budgets", NULL, 0, &answer);
    const json_t *pools = json_object_get(answer, "pools");
    if (code == MR_EXIT_OK && !ask->cli->json && json_array_size(pools) == 0) {
        fputs("nothing was ever spent: no round with noise has been opened\n", ask->cli->out);
    } else if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, ask->cli->json ? answer : pools);
    }
    json_decref(answer);
    return code;
}

int mr_command_budget_list(struct mr_cli *cli)
{
    return mr_ask_run(cli, list, NULL);
}

/* --- one device ------------------------------------------------------------------------------ */

static int show_in(struct mr_ask *ask, const char *pool, json_t *rows)
{
    char path[PATH_BYTES];
    json_t *answer;
    snprintf(path, sizeof path, "/v1/budgets/%.40s/%.40s", pool, ask->cli->argument);
    const int code = mr_ask(ask, "GET", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        json_array_append(rows, answer);
    }
    json_decref(answer);
    return code;
}

static int show(struct mr_ask *ask, void *context)
{
    json_t *answer, *pool, *rows = json_array();
    size_t i;
    (void)context;
    int code = mr_ask(ask, "GET", "/v1/budgets", NULL, 0, &answer);
    json_array_foreach(json_object_get(answer, "pools"), i, pool) {
        const char *name = json_string_value(json_object_get(pool, "pool"));
        code = code == MR_EXIT_OK && name ? show_in(ask, name, rows) : code;
    }
    if (code == MR_EXIT_OK && ask->cli->json) {
        json_t *whole = json_pack("{s:O}", "pools", rows);
        mr_cli_print(ask->cli, whole);
        json_decref(whole);
    } else if (code == MR_EXIT_OK && json_array_size(rows) == 0) {
        fputs("nothing was ever spent: no round with noise has been opened\n", ask->cli->out);
    } else if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, rows);
    }
    json_decref(rows);
    json_decref(answer);
    return code;
}

int mr_command_budget_show(struct mr_cli *cli)
{
    return mr_ask_run(cli, show, NULL);
}

/* --- all devices ----------------------------------------------------------------------------- */

/* One line a device, in the order of their ids; pages of the hub's choosing. */
static void put_devices(const struct mr_cli *cli, const json_t *devices)
{
    size_t i;
    json_t *device;
    json_array_foreach((json_t *)devices, i, device) {
        const char *id = json_string_value(json_object_get(device, "device"));
        const json_int_t spent = json_integer_value(json_object_get(device, "spent"));
        if (cli->json) {
            char *line = json_dumps(device, JSON_COMPACT);
            fprintf(cli->out, "%s\n", line);
            free(line);
        } else {
            fprintf(cli->out, "%s %lld\n", id ? id : "?", (long long)spent);
        }
    }
}

static int export(struct mr_ask *ask, void *context)
{
    char path[PATH_BYTES];
    json_int_t from = 0;
    (void)context;
    if (!mr_task_name_valid(ask->cli->argument)) {
        return mr_cli_fail(ask->cli, MR_EXIT_USAGE, "'%s' is no pool's name: see budget list",
                           ask->cli->argument);
    }
    for (;;) {
        json_t *answer;
        snprintf(path, sizeof path, "/v1/budgets/%.40s?from=%lld", ask->cli->argument,
                 (long long)from);
        const int code = mr_ask(ask, "GET", path, NULL, 0, &answer);
        if (code != MR_EXIT_OK) {
            return code;
        }
        put_devices(ask->cli, json_object_get(answer, "list"));
        const json_int_t next = json_integer_value(json_object_get(answer, "next"));
        json_decref(answer);
        if (next <= from) {
            return MR_EXIT_OK;
        }
        from = next;
    }
}

int mr_command_budget_export(struct mr_cli *cli)
{
    return mr_ask_run(cli, export, NULL);
}
