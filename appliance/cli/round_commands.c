/* round_commands.c - round list, round show, round open. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/task.h"
#include "base/json_reader.h"
#include "base/json_text.h"

/* One long poll; the hub answers earlier when the round ends. */
#define WAIT_MS 20000

static int list(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    json_t *answer;
    (void)context;
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/rounds");
    code = mr_ask(ask, "GET", path, NULL, 0, &answer);
    json_t *rounds = mr_task_rounds(answer);
    if (code == MR_EXIT_OK && ask->cli->json) {
        json_t *whole = json_pack("{s:O}", "rounds", rounds);
        mr_cli_print(ask->cli, whole);
        json_decref(whole);
    } else if (code == MR_EXIT_OK && json_array_size(rounds) == 0) {
        fputs("no round yet\n", ask->cli->out);
    } else if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, rounds);
    }
    json_decref(answer);
    return code;
}

int mr_command_round_list(struct mr_cli *cli)
{
    return mr_ask_run(cli, list, NULL);
}

/* --- one round ------------------------------------------------------------------------------- */

/* Prints the round, waiting for its end where --wait asks for it. */
static int show_round(struct mr_ask *ask, const char *task, uint64_t round)
{
    const bool wait = ask->cli->values[MR_CLI_WAIT];
    char path[MR_CLI_PATH_BYTES];
    mr_task_path(path, task, "admin/rounds/%llu", (unsigned long long)round);
    if (wait) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "?wait_ms=%d", WAIT_MS);
    }
    for (;;) {
        json_t *answer;
        bool is_void = false;
        int code = mr_ask(ask, "GET", path, NULL, wait ? WAIT_MS : 0, &answer);
        const bool again = code == MR_EXIT_OK && wait && !mr_task_round_ended(answer, &is_void);
        if (code == MR_EXIT_OK && !again) {
            mr_cli_print(ask->cli, answer);
            code = wait && is_void ? MR_EXIT_VOID : MR_EXIT_OK;
        }
        json_decref(answer);
        if (!again) {
            return code;
        }
        if (!ask->cli->json) {
            fprintf(ask->cli->err, "millrace: waiting for round %llu to end\n",
                    (unsigned long long)round);
        }
    }
}

static int show(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES];
    const int code = mr_task_choose(ask, task);
    return code == MR_EXIT_OK ? show_round(ask, task, *(const uint64_t *)context) : code;
}

int mr_command_round_show(struct mr_cli *cli)
{
    const char *text = cli->argument;
    const size_t length = strlen(text);
    if (length == 0 || length > 18 || strspn(text, "0123456789") != length) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "ROUND must be a number, not '%s'", text);
    }
    uint64_t round = strtoull(text, NULL, 10);
    return mr_ask_run(cli, show, &round);
}

/* --- open ------------------------------------------------------------------------------------ */

/* Adds the numbers that the options ask for; false after a wrong one, whose reason is written. */
static bool add_numbers(const struct mr_cli *cli, json_t *body)
{
    static const struct {
        enum mr_cli_option_id option;
        const char *member;
        uint64_t min, max;
    } numbers[] = {
        {MR_CLI_QUORUM, "quorum", 2, UINT32_MAX},
        {MR_CLI_DEADLINE_MS, "deadline_ms", 1, UINT32_MAX},
        {MR_CLI_COHORT_MIN, "cohort_min", 2, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t value = 0;
        if (!mr_cli_number(cli, numbers[i].option, numbers[i].min, numbers[i].max, &value)) {
            return false;
        }
        if (cli->values[numbers[i].option]) {
            json_object_set_new(body, numbers[i].member, json_integer((json_int_t)value));
        }
    }
    return true;
}

/* The same for --training. */
static bool add_training(const struct mr_cli *cli, json_t *body)
{
    const char *training = cli->values[MR_CLI_TRAINING];
    json_error_t why;
    char text[MR_JSON_WHY_BYTES];
    json_t *object = training ? json_loads(training, JSON_REJECT_DUPLICATES, &why) : NULL;
    const bool good = !training || json_is_object(object);
    if (!good) {
        mr_cli_fail(cli, MR_EXIT_USAGE,
                    "--training must be a JSON object, such as '{\"epochs\": 2}', not '%s' (%s)",
                    training, object ? "another kind of value" : mr_json_why(text, &why));
    } else if (training) {
        json_object_set_new(body, "training", mr_json_text(training));
    }
    json_decref(object);
    return good;
}

static int open_round(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    json_t *answer;
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/rounds");
    code = mr_ask(ask, "POST", path, context, 0, &answer);
    const json_t *round = json_object_get(answer, "round");
    if (code == MR_EXIT_OK && ask->cli->values[MR_CLI_WAIT] && json_is_integer(round)) {
        code = show_round(ask, task, (uint64_t)json_integer_value(round));
    } else if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

int mr_command_round_open(struct mr_cli *cli)
{
    json_t *body = json_object(); /* what is asked for beyond the task's policy */
    const bool good = add_numbers(cli, body) && add_training(cli, body);
    const int code = good ? mr_ask_run(cli, open_round, body) : MR_EXIT_USAGE;
    json_decref(body);
    return code;
}
