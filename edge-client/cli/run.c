/* run.c - millrace-edge run: round after round, one line each. Several tasks run side by side, each
 * with a client and a thread of its own, over the same connections. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edge-client/cli/cli.h"
#include "edge-client/cli/line.h"
#include "edge-client/cli/wait.h"

#define WAIT_MS        20000
#define RETRY_FIRST_MS 200
#define CLOCK_MS_MAX   5000 /* further from the lead's, it is told */

struct run {
    const struct mr_edge_arguments *arguments;
    const char *name; /* of the task */
    struct mre_client *client;
    struct mre_connections *connections; /* of all tasks */
    mre_train_fn train;
    void *trainer;
    unsigned ended; /* rounds that came to an end, counted or not */
    unsigned retry_ms;
    unsigned waited_ms;   /* without the lead, in a row */
    enum mre_result said; /* why it waits, as it was said last; MRE_OK: it does not */
    bool said_waiting;    /* that no round is open: once each time */
    bool said_clock;      /* that this device's clock is wrong */
    bool end_owed;        /* a round was committed whose end was not heard yet */
    int code;
};

/* Once, as long as it stays so. */
static void say_clock(struct run *run, const struct mre_outcome *o)
{
    const bool wrong = o->clock_ahead_ms > CLOCK_MS_MAX || o->clock_ahead_ms < -CLOCK_MS_MAX;
    if (wrong && !run->said_clock) {
        const int64_t off_ms = o->clock_ahead_ms < 0 ? -o->clock_ahead_ms : o->clock_ahead_ms;
        fprintf(stderr,
                "millrace-edge: %s: WARNING: this device's clock is %lld.%lld s %s the lead's; "
                "rounds go by the lead's, certificates by this one: set it (NTP)\n",
                run->name, (long long)(off_ms / 1000), (long long)(off_ms % 1000 / 100),
                o->clock_ahead_ms < 0 ? "behind" : "ahead of");
    }
    run->said_clock = wrong;
}

static void pause_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) {
        ;
    }
}

static unsigned next_pause_ms(const struct run *run, const struct mre_outcome *o)
{
    const unsigned asked =
        o->retry_after_ms < MRE_RETRY_AFTER_MAX_MS ? o->retry_after_ms : MRE_RETRY_AFTER_MAX_MS;
    return asked > run->retry_ms ? asked : run->retry_ms;
}

/* Says so when the waiting begins, and when its reason changes. Waits longer each time, and not
 * less than it was asked to. */
static bool wait_and_retry(struct run *run, const struct mre_outcome *o)
{
    unsigned patience = run->arguments->patience_ms;
    if (run->said != o->result) {
        fprintf(stderr, "millrace-edge: %s: waiting for %s: %s: %s\n", run->name,
                mr_edge_waits_for(o->result), mre_result_name(o->result), o->text);
        run->said = o->result;
    }
    if (patience && run->waited_ms >= patience) {
        return false;
    }
    const unsigned ms = next_pause_ms(run, o);
    pause_ms(ms);
    run->waited_ms += ms;
    const unsigned most = mr_edge_pause_max_ms(o->result);
    run->retry_ms = 2 * run->retry_ms < most ? 2 * run->retry_ms : most;
    return true;
}

static void lead_is_back(struct run *run)
{
    run->waited_ms = 0;
    run->said = MRE_OK;
    run->retry_ms = RETRY_FIRST_MS;
}

static void note_code(struct run *run, enum mr_edge_exit code)
{
    if (run->code == MR_EDGE_EXIT_OK) {
        run->code = (int)code;
    }
}

/* Whether the end of the round was told, and printed. */
static bool hear_end(struct run *run, unsigned wait_ms, struct mre_outcome *end)
{
    enum mre_result result = mre_client_end(run->client, wait_ms, end);
    if (result != MRE_PUBLISHED && result != MRE_VOID) {
        return false;
    }
    run->end_owed = false;
    mr_edge_print_end(run->arguments->json, run->name, end);
    note_code(run, mr_edge_exit_of(result));
    return true;
}

/* A hub that is away or busy may still tell; anything else it says of this round is its last word.
 */
static bool may_tell_later(const struct mre_outcome *end)
{
    return end->result == MRE_OK || end->result == MRE_UNREACHABLE ||
           end->result == MRE_CERTIFICATE_REFUSED || end->retry_after_ms;
}

/* Waits for the end of a round that this device is counted in. False: patience is over. */
static bool await_end(struct run *run, const struct mre_outcome *committed)
{
    struct mre_outcome end;
    uint64_t left_ms = (uint64_t)committed->deadline_left_ms + run->arguments->end_wait_ms;
    if (!run->arguments->end_wait_ms) {
        return true;
    }
    run->end_owed = true;
    fprintf(stderr, "millrace-edge: %s: waiting for the end of round %llu\n", run->name,
            (unsigned long long)committed->round);
    while (left_ms > 0) {
        const unsigned wait_ms = left_ms < WAIT_MS ? (unsigned)left_ms : WAIT_MS;
        const unsigned before_ms = run->waited_ms;
        if (hear_end(run, wait_ms, &end)) {
            break;
        }
        if (!may_tell_later(&end)) {
            break;
        }
        if (end.result != MRE_OK && !wait_and_retry(run, &end)) {
            run->code = mr_edge_exit_of(end.result);
            return false;
        }
        const unsigned spent_ms = end.result == MRE_OK ? wait_ms : run->waited_ms - before_ms;
        left_ms -= spent_ms < left_ms ? spent_ms : left_ms;
    }
    lead_is_back(run);
    if (run->end_owed) {
        fprintf(stderr, "millrace-edge: %s: round %llu: committed, but its end is not known: %s\n",
                run->name, (unsigned long long)committed->round, end.text);
    }
    return true;
}

/* A round's own end goes before the line of a newer one. */
static void hear_owed_end(struct run *run)
{
    struct mre_outcome end;
    if (run->end_owed && !hear_end(run, 0, &end)) {
        note_code(run, MR_EDGE_EXIT_END_UNKNOWN);
    }
    run->end_owed = false;
}

/* True while there is more to do. */
static bool one_round(struct run *run)
{
    struct mre_outcome outcome;
    enum mre_result result =
        mre_client_round(run->client, WAIT_MS, run->train, run->trainer, &outcome);
    if (result == MRE_NO_ROUND) {
        if (!run->said_waiting) {
            fprintf(stderr, "millrace-edge: %s: waiting for a round: %s yet\n", run->name,
                    outcome.text);
        }
        run->said_waiting = true;
        lead_is_back(run);
        return true;
    }
    const enum mr_edge_next next = mr_edge_next(&outcome, run->arguments->rounds == 0);
    if (next == MR_EDGE_WAIT) {
        bool more = wait_and_retry(run, &outcome);
        if (!more) {
            run->code = mr_edge_exit_of(result);
        }
        return more;
    }
    lead_is_back(run);
    run->said_waiting = false;
    if (outcome.round) {
        say_clock(run, &outcome);
        hear_owed_end(run);
        mr_edge_print_round(run->arguments->json, run->name, &outcome);
    }
    if (next == MR_EDGE_END) {
        fprintf(stderr, "millrace-edge: %s: %s: %s\n", run->name, mre_result_name(result),
                outcome.text);
        run->code = mr_edge_exit_of(result);
        return false;
    }
    note_code(run, mr_edge_exit_of(result));
    const bool counted = result == MRE_COMMITTED || result == MRE_ALREADY_COUNTED;
    if (counted && !await_end(run, &outcome)) {
        return false;
    }
    return run->arguments->rounds == 0 || ++run->ended < run->arguments->rounds;
}

static int run_client(struct run *run, const struct mre_options *options)
{
    struct mre_outcome outcome;
    if (mre_client_open(&run->client, options, &outcome)) {
        fprintf(stderr, "millrace-edge: %s\n", outcome.text);
        return mr_edge_exit_of(outcome.result);
    }
    mre_client_share(run->client, run->connections);
    if (options->dump_dir) {
        fprintf(stderr,
                "millrace-edge: WARNING: --dump-dir writes every vector before it is masked; "
                "for audits and demonstrations only\n");
    }
    while (one_round(run)) {
        ;
    }
    if (run->end_owed) {
        note_code(run, MR_EDGE_EXIT_END_UNKNOWN);
    }
    mre_client_close(run->client);
    return run->code;
}

/* The data_dirs of all tasks of the command: one device, which is counted once on one model. */
struct folders {
    char *dirs[MR_EDGE_TASKS_MAX]; /* NULL: no such task, or the only one */
};

/* What all tasks of the command have in common. */
struct device {
    const struct mr_edge_arguments *arguments;
    struct folders folders;
    struct mre_connections *connections;
};

/* All or none: without the folder of one, the others would not know what it was counted on. An exit
 * code, with the text printed. */
static int find_folders(struct folders *folders, const struct mr_edge_arguments *arguments)
{
    struct mre_config *config;
    struct mre_outcome outcome;
    for (unsigned i = 0; arguments->task_count > 1 && i < arguments->task_count; i++) {
        if (mre_config_load(&config, arguments->tasks[i].config, &outcome)) {
            fprintf(stderr, "millrace-edge: %s; none of the tasks is started\n", outcome.text);
            return mr_edge_exit_of(outcome.result);
        }
        folders->dirs[i] = strdup(mre_config_options(config)->data_dir);
        mre_config_free(config);
        if (!folders->dirs[i]) {
            fprintf(stderr, "millrace-edge: out of memory\n");
            return MR_EDGE_EXIT_FAILED;
        }
    }
    return MR_EDGE_EXIT_OK;
}

static void free_folders(struct folders *folders)
{
    for (unsigned i = 0; i < MR_EDGE_TASKS_MAX; i++) {
        free(folders->dirs[i]);
    }
}

static void name_siblings(const struct folders *folders, unsigned own, const char **siblings,
                          struct mre_options *options)
{
    for (unsigned i = 0; i < MR_EDGE_TASKS_MAX; i++) {
        if (folders->dirs[i] && i != own) {
            siblings[options->sibling_count++] = folders->dirs[i];
        }
    }
    options->siblings = siblings;
}

/* Loads, runs and lets go of one task. */
static int run_task(const struct device *device, unsigned number)
{
    const struct mr_edge_arguments *arguments = device->arguments;
    const struct mr_edge_task *task = &arguments->tasks[number];
    const char *siblings[MR_EDGE_TASKS_MAX];
    struct mre_config *config;
    struct mre_mlp *mlp = NULL;
    struct mre_outcome outcome;
    struct mre_program program = {
        .path = task->trainer, .data_file = task->data, .timeout_ms = task->trainer_timeout_ms};
    struct run run = {.arguments = arguments,
                      .train = mre_program_train,
                      .trainer = &program,
                      .retry_ms = RETRY_FIRST_MS};
    int code = mr_edge_load(arguments, task, &config);
    if (code) {
        return code;
    }
    name_siblings(&device->folders, number, siblings, mre_config_options(config));
    run.connections = device->connections;
    run.name = mre_config_options(config)->task;
    if (strcmp(task->trainer, "builtin") == 0) {
        run.train = mre_mlp_train;
        if (!task->data) {
            fprintf(stderr, "millrace-edge: %s: --data FILE is needed by the built-in trainer\n",
                    task->config);
            code = MR_EDGE_EXIT_USAGE;
        } else if (mre_mlp_open(&mlp, task->data, &outcome)) {
            fprintf(stderr, "millrace-edge: %s\n", outcome.text);
            code = mr_edge_exit_of(outcome.result);
        } else if (outcome.text[0]) {
            fprintf(stderr, "millrace-edge: WARNING: %s\n", outcome.text);
        }
        run.trainer = mlp;
    }
    if (!code) {
        code = run_client(&run, mre_config_options(config));
    }
    mre_mlp_close(mlp);
    mre_config_free(config);
    return code;
}

struct task_thread {
    const struct device *device;
    unsigned number;
    pthread_t thread;
    bool started;
    int code;
};

static void *task_main(void *context)
{
    struct task_thread *own = context;
    own->code = run_task(own->device, own->number);
    return NULL;
}

/* Every task but the first has a thread of its own. The greatest of the exit codes. */
static int run_tasks(const struct device *device)
{
    const struct mr_edge_arguments *arguments = device->arguments;
    struct task_thread others[MR_EDGE_TASKS_MAX] = {{.started = false}};
    for (unsigned i = 1; i < arguments->task_count; i++) {
        others[i] =
            (struct task_thread){.device = device, .number = i, .code = MR_EDGE_EXIT_FAILED};
        others[i].started = pthread_create(&others[i].thread, NULL, task_main, &others[i]) == 0;
        if (!others[i].started) {
            fprintf(stderr, "millrace-edge: %s: no thread could be started\n",
                    arguments->tasks[i].config);
        }
    }
    int worst = run_task(device, 0);
    for (unsigned i = 1; i < arguments->task_count; i++) {
        if (others[i].started) {
            pthread_join(others[i].thread, NULL);
        }
        worst = others[i].code > worst ? others[i].code : worst;
    }
    return worst;
}

int mr_edge_run(const struct mr_edge_arguments *arguments)
{
    struct device device = {.arguments = arguments};
    int code = find_folders(&device.folders, arguments);
    if (!code && mre_connections_open(&device.connections)) {
        fprintf(stderr, "millrace-edge: out of memory\n");
        code = MR_EDGE_EXIT_FAILED;
    }
    if (!code) {
        code = run_tasks(&device);
    }
    mre_connections_close(device.connections);
    free_folders(&device.folders);
    return code;
}
