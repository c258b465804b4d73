/* model_fetch.h - a version as the hub knows it, and its model's bytes. */
#ifndef MR_CLI_MODEL_FETCH_H
#define MR_CLI_MODEL_FETCH_H

#include "appliance/cli/task.h"

/* The name of a version as it may stand in a path. enum mr_exit; the reason of a failure has been
 * written. */
int mr_model_name_check(const struct mr_cli *cli, const char *which);

/* What the hub says of the version (json_decref). enum mr_exit, as above. */
int mr_model_ask(struct mr_ask *ask, const char *task, const char *which, json_t **version);

/* The same, with the model's file, whose SHA-256 is the one that was named (mr_h2_response_fini).
 * enum mr_exit, as above; both are empty after a failure. */
int mr_model_fetch(struct mr_ask *ask, const char *task, const char *which, json_t **version,
                   struct mr_h2_response *file);

#endif
