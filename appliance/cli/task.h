/* task.h - which task a command is about, and where its routes and its rounds are. */
#ifndef MR_CLI_TASK_H
#define MR_CLI_TASK_H

#include "appliance/cli/ask.h"
#include "wire/task.h"

#define MR_CLI_TASK_BYTES (MR_TASK_NAME_MAX + 1)
#define MR_CLI_PATH_BYTES 160

/* Finds the task: --task, or the only one that the hub serves. With none or several the reason, the
 * names and what to type have been written. enum mr_exit. */
int mr_task_choose(struct mr_ask *ask, char name[MR_CLI_TASK_BYTES]);

/* Takes `given` as the task's name. enum mr_exit; the reason of a failure has been written. */
int mr_task_take(const struct mr_cli *cli, const char *given, char name[MR_CLI_TASK_BYTES]);

/* Writes the path of one of the task's routes, such as "admin/rounds"; the format is printf's. */
void mr_task_path(char path[MR_CLI_PATH_BYTES], const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The command's argument as a round's number. enum mr_exit; the reason of a failure has been
 * written. */
int mr_task_round_number(const struct mr_cli *cli, uint64_t *round);

/* The list in the hub's answer to a GET of a task's rounds, newest last; borrowed. */
json_t *mr_task_rounds(json_t *answer);

/* Whether the round has ended; *is_void says whether without a model. */
bool mr_task_round_ended(const json_t *round, bool *is_void);

#endif
