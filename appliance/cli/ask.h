/* ask.h - one connection of the operator to one hub. */
#ifndef MR_CLI_ASK_H
#define MR_CLI_ASK_H

#include "appliance/cli/operator.h"

struct mr_ask {
    const struct mr_cli *cli;
    struct mr_operator operator_;
    struct mr_h2_client *client;
    unsigned timeout_ms;
};

/* Connects as the options say. enum mr_exit; the reason of a failure has been written. On success
 * mr_ask_close is owed. */
int mr_ask_open(struct mr_ask *ask, const struct mr_cli *cli);
void mr_ask_close(struct mr_ask *ask);

/* One request, `body` NULL or JSON. The answer of 2xx in *answer (json_decref; a JSON string for an
 * answer that is not JSON). Any other is written as the hub's refusal. The hub may take up to
 * wait_ms longer than usual. enum mr_exit. */
int mr_ask(struct mr_ask *ask, const char *method, const char *path, const json_t *body,
           unsigned wait_ms, json_t **answer);

#endif
