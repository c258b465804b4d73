/* cli.h - the millrace-edge command: its subcommands and exit codes. */
#ifndef MR_EDGE_CLI_H
#define MR_EDGE_CLI_H

#include "edge-client/include/millrace_edge.h"

/* The one table of exit codes: EXIT(name, value, sentence). */
#define MR_EDGE_EXITS(EXIT)                                                                        \
    EXIT(OK, 0, "everything asked for was done")                                                   \
    EXIT(FAILED, 1, "this device failed: out of memory, disk or library")                          \
    EXIT(USAGE, 2, "the command line is wrong")                                                    \
    EXIT(CONFIG, 3, "device.json, a file it names, or data_dir is wrong")                          \
    EXIT(CERTIFICATE, 4, "a hub refused our certificate, or we refused its")                       \
    EXIT(UNREACHABLE, 5, "a hub could not be reached within --patience-ms")                        \
    EXIT(UNTRUSTED, 6, "the announcement is not signed by every pinned hub")                       \
    EXIT(NOT_COUNTED, 7,                                                                           \
         "a round ended without this device, or was given up: closed, void, refused")              \
    EXIT(TRAINING, 8, "the trainer failed, or its delta or loss is NaN or infinite")               \
    EXIT(END_UNKNOWN, 9, "committed, but the round's end was not heard within --end-wait-ms")      \
    EXIT(RELEASE, 10, "a release was not taken, or was put back: the line says by which name")

enum mr_edge_exit {
#define MR_EDGE_EXIT_ENUM(name, value, sentence) MR_EDGE_EXIT_##name = value,
    MR_EDGE_EXITS(MR_EDGE_EXIT_ENUM)
};

enum mr_edge_exit mr_edge_exit_of(enum mre_result result);

#define MR_EDGE_TASKS_MAX 16

/* One task: its device.json, and who trains for it on what. */
struct mr_edge_task {
    const char *config;
    const char *data;
    const char *trainer; /* "builtin" or a program */
    unsigned trainer_timeout_ms;
};

/* Options of all subcommands; each takes those its usage names. */
struct mr_edge_arguments {
    struct mr_edge_task tasks[MR_EDGE_TASKS_MAX];
    unsigned task_count; /* times that --config was given */
    const char *transport;
    const char *dump_dir;
    const char *cpu_mask;
    unsigned rounds;      /* 0 = for ever */
    unsigned patience_ms; /* 0 = for ever */
    unsigned end_wait_ms; /* after a round's deadline, for its end; 0 = do not wait at all */
    unsigned stop_after_chunks;
    unsigned json;
    const char *into;   /* pull, install, status, rollback: what the application opens */
    const char *health; /* install: the program that judges; NULL: nobody */
    unsigned health_timeout_ms;
    const char *installed_as; /* install: the number type; NULL: as the model says */
    unsigned wait_ms;         /* pull, install: for news */
    const char *finished;     /* state-reset: the last finished round; NULL: as it is */
};

int mr_edge_run(const struct mr_edge_arguments *arguments);
int mr_edge_check(const struct mr_edge_arguments *arguments);
int mr_edge_state(const struct mr_edge_arguments *arguments);
int mr_edge_pull(const struct mr_edge_arguments *arguments);
int mr_edge_install(const struct mr_edge_arguments *arguments);
int mr_edge_release_status(const struct mr_edge_arguments *arguments);
int mr_edge_rollback(const struct mr_edge_arguments *arguments);
int mr_edge_state_reset(const struct mr_edge_arguments *arguments);

/* Loads a task's config and applies the command line's overrides. 0 or an exit code (text printed).
 */
int mr_edge_load(const struct mr_edge_arguments *arguments, const struct mr_edge_task *task,
                 struct mre_config **config);

#endif
