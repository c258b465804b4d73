/* round_watch.c - round watch: one line for each change of a round, then of the next one.
 *
 * It ends when it is interrupted, or with the round under --once. A hub that goes away is waited
 * for: the round goes on when the hub is back. */
#include <string.h>

#include "appliance/cli/patience.h"
#include "appliance/cli/round_line.h"
#include "appliance/cli/task.h"

/* A state is told at once; counts are looked at this often. */
#define POLL_MS 1000
/* A hub is never asked more often than this. */
#define PAUSE_MS 100
/* A round that is not there yet is looked for this often. */
#define RETRY_MS 500

struct watch {
    struct mr_ask *ask;
    char task[MR_CLI_TASK_BYTES];
    uint64_t round; /* 0: none yet */
    json_t *shown;  /* what the last line about it said; NULL: none yet */
};

/* --- asking ---------------------------------------------------------------------------------- */

/* Finds the newest round, or the first one after `watch->round`; leaves it alone where there is
 * none. */
static int find_round(struct watch *watch)
{
    char path[MR_CLI_PATH_BYTES];
    json_t *answer, *entry;
    uint64_t found = 0;
    size_t i;
    mr_task_path(path, watch->task, "admin/rounds");
    const int code = mr_patience_get(watch->ask, path, 0, &answer);
    const json_t *rounds = mr_task_rounds(answer);
    json_array_foreach(rounds, i, entry) {
        const uint64_t number = (uint64_t)json_integer_value(json_object_get(entry, "round"));
        const bool newest = watch->round == 0 && number > found;
        const bool next = watch->round > 0 && number > watch->round;
        if (newest || (next && (found == 0 || number < found))) {
            found = number;
        }
    }
    json_decref(answer);
    if (found > 0) {
        watch->round = found;
        json_decref(watch->shown);
        watch->shown = NULL;
    }
    return code;
}

/* Waits for a round to follow: the newest at first, then the next one. */
static int await_round(struct watch *watch)
{
    const uint64_t before = watch->round;
    bool said = false;
    for (;;) {
        const int code = find_round(watch);
        if (code != MR_EXIT_OK || watch->round != before) {
            return code;
        }
        if (!said) {
            mr_patience_say(watch->ask,
                            before == 0 ? "no round yet: waiting for the first"
                                        : "waiting for the next round",
                            "");
            said = true;
        }
        mr_patience_pause(RETRY_MS);
    }
}

/* --- following ------------------------------------------------------------------------------- */

static void round_path(const struct watch *watch, char path[MR_CLI_PATH_BYTES])
{
    const char *state = json_string_value(json_object_get(watch->shown, "state"));
    const unsigned long long round = watch->round;
    if (state && strspn(state, "abcdefghijklmnopqrstuvwxyz_") == strlen(state)) {
        mr_task_path(path, watch->task, "admin/rounds/%llu?wait_ms=%d&state=%.32s", round, POLL_MS,
                     state);
    } else {
        mr_task_path(path, watch->task, "admin/rounds/%llu", round);
    }
}

/* Prints the round where it differs from the last line. False: standard output is gone. */
static bool print_change(struct watch *watch, const json_t *round)
{
    json_t *told = mr_round_line_told(round);
    if (watch->shown && json_equal(watch->shown, told)) {
        json_decref(told);
        return true;
    }
    json_decref(watch->shown);
    watch->shown = told;
    return mr_round_line_put(watch->ask->cli, round);
}

/* Follows the round to its end; *is_void says which. enum mr_exit. */
static int follow(struct watch *watch, bool *is_void)
{
    for (;;) {
        char path[MR_CLI_PATH_BYTES];
        json_t *round;
        round_path(watch, path);
        const int code = mr_patience_get(watch->ask, path, POLL_MS, &round);
        if (code != MR_EXIT_OK) {
            return code;
        }
        const bool written = print_change(watch, round);
        const bool ended = mr_task_round_ended(round, is_void);
        json_decref(round);
        if (!written) {
            mr_error_set(&watch->ask->error, "standard output cannot be written any more");
            return MR_EXIT_FAILED;
        }
        if (ended) {
            return MR_EXIT_OK;
        }
        mr_patience_pause(PAUSE_MS);
    }
}

/* A round that was seen and is no longer known was lost by a restart; the next one is followed. */
static bool is_lost(const struct watch *watch, int code)
{
    return code == MR_EXIT_REFUSED && watch->shown &&
           watch->ask->refusal.code == MR_REFUSAL_NO_ROUND && !watch->ask->cli->values[MR_CLI_ONCE];
}

static int watch_rounds(struct watch *watch)
{
    const bool once = watch->ask->cli->values[MR_CLI_ONCE];
    int code = watch->round > 0 ? MR_EXIT_OK : await_round(watch);
    while (code == MR_EXIT_OK) {
        bool is_void = false;
        code = follow(watch, &is_void);
        if (is_lost(watch, code)) {
            mr_patience_say(watch->ask, "going on with the next round", watch->ask->error.text);
            code = MR_EXIT_OK;
        } else if (code == MR_EXIT_OK && once) {
            return is_void ? MR_EXIT_VOID : MR_EXIT_OK;
        }
        if (code == MR_EXIT_OK) {
            code = await_round(watch);
        }
    }
    return mr_cli_fail(watch->ask->cli, code, "%s", watch->ask->error.text);
}

static int run(struct mr_ask *ask, void *context)
{
    struct watch watch = {.ask = ask, .round = *(const uint64_t *)context};
    int code = mr_task_choose(ask, watch.task);
    if (code == MR_EXIT_OK) {
        code = watch_rounds(&watch);
    }
    json_decref(watch.shown);
    return code;
}

int mr_command_round_watch(struct mr_cli *cli)
{
    uint64_t round = 0;
    if (!mr_cli_number(cli, MR_CLI_ROUND, 1, INT64_MAX, &round)) {
        return MR_EXIT_USAGE;
    }
    return mr_ask_run(cli, run, &round);
}
