/* control_internal.h - a request between the two ends, shared by control.c and server.c. */
#ifndef MR_TESTS_SIM_CONTROL_INTERNAL_H
#define MR_TESTS_SIM_CONTROL_INTERNAL_H

#include "tests/sim/control.h"
#include "wire/keys.h"

#define SECRET_BYTES 32

/* One request and its answer; the client's and the server's until both have let go. */
struct sim_exchange {
    struct sim_exchange *next, **at; /* in the simulation's list */
    unsigned holders;
    struct sim_node *from, *to;
    uint32_t to_life;
    uint8_t secret[SECRET_BYTES];
    char method[8], path[160];
    uint8_t *body;
    size_t length;
    char word[MR_H2_WORD_BYTES];
    struct sim_co *waiting; /* NULL: the client has gone */
    bool over;
    int failure; /* enum mr_h2_failure */
    struct mr_h2_response response;
};

/* The server answers it with `response`, or with a failure; it lets go of it in either case. */
void sim_exchange_travel_back(struct sim_exchange *exchange);
void sim_exchange_fail_back(struct sim_exchange *exchange, int failure);
void sim_exchange_let_go(struct sim_exchange *exchange);
/* Keys that both ends of the connection derive from its secret. */
int sim_export(const uint8_t secret[SECRET_BYTES], const char *label,
               uint8_t exported[MR_CONNECTION_SECRET_BYTES]);

/* server.c: the hub has it. */
void sim_server_handle(struct sim_exchange *exchange);

#endif
