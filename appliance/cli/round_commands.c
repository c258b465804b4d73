/* round_commands.c - round list, round show, round open. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/patience.h"
#include "appliance/cli/task.h"
#include "base/json_reader.h"
#include "base/json_text.h"
#include "wire/announcement.h"

/* One long poll: the hub answers earlier when the round ends, and what it waits for is looked at
 * this often. */
#define WAIT_MS 1000

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

/* Where the waiting stands; said when it changes. */
struct progress {
    char task[MR_CLI_TASK_BYTES];
    uint64_t round;
    char said[600];
};

static void say_progress(const struct mr_ask *ask, struct progress *progress, const json_t *round)
{
    const char *state = json_string_value(json_object_get(round, "state"));
    const char *waits_for = json_string_value(json_object_get(round, "waits_for"));
    char now[sizeof progress->said];
    snprintf(now, sizeof now, "round %llu is %.40s%s%.400s", (unsigned long long)progress->round,
             state ? state : "-", waits_for ? ", waiting for " : "", waits_for ? waits_for : "");
    if (strcmp(now, progress->said) != 0) {
        mr_patience_say(ask, now, "");
        memcpy(progress->said, now, sizeof now);
    }
}

static void say_begin(const struct mr_ask *ask, const struct progress *progress)
{
    char text[400];
    const struct mr_h2_endpoint *hub = &ask->operator_.endpoint;
    snprintf(text, sizeof text,
             "waiting for the end of round %llu of task %.40s, asking hub %u at %.200s:%u",
             (unsigned long long)progress->round, progress->task, hub->hub_index, hub->host,
             hub->port);
    mr_patience_say(ask, text, "");
}

/* A task whose round is void may go on by itself or not. */
static void say_paused(struct mr_ask *ask, const struct progress *progress)
{
    char path[MR_CLI_PATH_BYTES], what[120];
    json_t *task;
    snprintf(path, sizeof path, "/v1/tasks/%s", progress->task);
    const int code = mr_patience_get(ask, path, 0, &task);
    const char *why = json_string_value(json_object_get(task, "paused"));
    if (code == MR_EXIT_OK && why) {
        snprintf(what, sizeof what, "task %.60s is paused", progress->task);
        mr_patience_say(ask, what, why);
    }
    json_decref(task);
}

/* Waits for the round's end, over restarts of the hub, and prints the round then. */
static int await_end(struct mr_ask *ask, struct progress *progress)
{
    say_begin(ask, progress);
    for (;;) {
        char path[MR_CLI_PATH_BYTES];
        json_t *answer;
        bool is_void = false;
        mr_task_path(path, progress->task, "admin/rounds/%llu?wait_ms=%d",
                     (unsigned long long)progress->round, WAIT_MS);
        const int code = mr_patience_get(ask, path, WAIT_MS, &answer);
        if (code != MR_EXIT_OK) {
            return mr_cli_fail(ask->cli, code, "%s", ask->error.text);
        }
        const bool ended = mr_task_round_ended(answer, &is_void);
        if (ended) {
            mr_cli_print(ask->cli, answer);
        } else {
            say_progress(ask, progress, answer);
        }
        json_decref(answer);
        if (ended && is_void) {
            say_paused(ask, progress);
        }
        if (ended) {
            return is_void ? MR_EXIT_VOID : MR_EXIT_OK;
        }
    }
}

/* Prints the round, waiting for its end where --wait asks for it. */
static int show_round(struct mr_ask *ask, const char *task, uint64_t round)
{
    char path[MR_CLI_PATH_BYTES];
    json_t *answer;
    if (ask->cli->values[MR_CLI_WAIT]) {
        struct progress progress = {.round = round};
        snprintf(progress.task, sizeof progress.task, "%s", task);
        return await_end(ask, &progress);
    }
    mr_task_path(path, task, "admin/rounds/%llu", (unsigned long long)round);
    const int code = mr_ask(ask, "GET", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

static int show(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES];
    const int code = mr_task_choose(ask, task);
    return code == MR_EXIT_OK ? show_round(ask, task, *(const uint64_t *)context) : code;
}

int mr_command_round_show(struct mr_cli *cli)
{
    uint64_t round;
    const int code = mr_task_round_number(cli, &round);
    return code == MR_EXIT_OK ? mr_ask_run(cli, show, &round) : code;
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
        {MR_CLI_AUDIT_HOURS, "audit_hours", 0, MR_AUDIT_HOURS_MAX},
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
    if (cli->values[MR_CLI_EVALUATE]) {
        json_object_set_new(body, "kind", mr_json_text("evaluation"));
    }
    const int code = good ? mr_ask_run(cli, open_round, body) : MR_EXIT_USAGE;
    json_decref(body);
    return code;
}
