/* ask.h - one connection of the operator to one hub. */
#ifndef MR_CLI_ASK_H
#define MR_CLI_ASK_H

#include "appliance/cli/operator.h"
#include "base/error.h"
#include "wire/refusal.h"

struct mr_ask {
    const struct mr_cli *cli;
    struct mr_operator operator_;
    struct mr_h2_client *client; /* NULL: there is no connection */
    unsigned timeout_ms;
    /* About the last call, where it failed: */
    struct mr_error error;     /* why, for people */
    struct mr_refusal refusal; /* what the hub said; code MR_REFUSAL_NONE where it said nothing */
};

/* Connects as the options say, calls `body`, closes the connection. Returns what `body` returns, or
 * enum mr_exit of a connection that failed, whose reason has been written. */
int mr_ask_run(const struct mr_cli *cli, int (*body)(struct mr_ask *ask, void *context),
               void *context);

/* One request, `body` NULL or JSON. The answer of 2xx in *answer (json_decref; a JSON string for an
 * answer that is not JSON), else NULL. The hub may take up to wait_ms longer than usual. Returns
 * enum mr_exit; the reason of a failure has been written. */
int mr_ask(struct mr_ask *ask, const char *method, const char *path, const json_t *body,
           unsigned wait_ms, json_t **answer);

/* One request whose body, whose answer or both are no JSON: a model. `sent` may be NULL. The answer
 * of 2xx in *answer (mr_h2_response_fini), else zero. enum mr_exit; the reason of a failure has
 * been written. */
int mr_ask_bytes(struct mr_ask *ask, const char *path, const uint8_t *sent, size_t length,
                 struct mr_h2_response *answer);

/* The same for a GET, but a failure is only noted in `ask`, not written. After
 * MR_EXIT_UNREACHABLE there is no connection: mr_ask_reconnect makes one. */
int mr_ask_quietly(struct mr_ask *ask, const char *path, unsigned wait_ms, json_t **answer);

/* Closes the connection and tries once to make a new one; writes nothing. enum mr_exit. */
int mr_ask_reconnect(struct mr_ask *ask);

#endif
