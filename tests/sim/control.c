/* control.c - in place of the HTTP/2 client: connections, and requests on their way. */
#include "tests/sim/control_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/sim/check.h"
#include "tests/sim/marks.h"
#include "tests/sim/net.h"
#include "base/assert.h"

struct mr_h2_client {
    struct sim_node *from, *to;
    uint32_t to_life, given_up;
    uint8_t secret[SECRET_BYTES];
};

static void exchange_free(struct sim_exchange *exchange)
{
    *exchange->at = exchange->next;
    if (exchange->next) {
        exchange->next->at = exchange->at;
    }
    free(exchange->body);
    mr_h2_response_fini(&exchange->response);
    free(exchange);
}

void sim_exchange_let_go(struct sim_exchange *exchange)
{
    if (--exchange->holders == 0) {
        exchange_free(exchange);
    }
}

void sim_control_end(struct sim *sim)
{
    while (sim->exchanges) {
        exchange_free(sim->exchanges);
    }
}

/* --- connecting ------------------------------------------------------------------------------ */

int mr_h2_client_open(struct mr_h2_client **out, const struct mr_h2_endpoint *endpoint,
                      unsigned timeout_ms, struct mr_error *error)
{
    struct sim *sim = sim_active();
    struct sim_node *from = sim->current;
    struct sim_node *to = sim_hub_node(sim, endpoint->hub_index - SIM_HUB_INDEX);
    *out = NULL;
    const uint64_t travel_us = sim_net_delay_us(from, to) + sim_net_delay_us(to, from);
    if (!sim_net_open(from, to) || !sim_net_open(to, from)) {
        sim_wait_for(sim, timeout_ms * SIM_MS);
        mr_error_set(error, "no answer in time");
        return MR_H2_TIMEOUT;
    }
    sim_wait_for(sim, 2 * travel_us);
    if (from->dead || !to->up) {
        mr_error_set(error, "connection refused");
        return MR_H2_UNREACHABLE;
    }
    struct mr_h2_client *client = calloc(1, sizeof *client);
    MR_ASSERT(client);
    client->from = from;
    client->to = to;
    client->to_life = to->life;
    client->given_up = to->given_up;
    sim_fill(sim, client->secret, sizeof client->secret);
    *out = client;
    return MR_H2_OK;
}

void mr_h2_client_close(struct mr_h2_client *client)
{
    free(client);
}

int sim_export(const uint8_t secret[SECRET_BYTES], const char *label,
               uint8_t exported[MR_CONNECTION_SECRET_BYTES])
{
    unsigned bytes = MR_CONNECTION_SECRET_BYTES;
    return HMAC(EVP_sha256(), secret, SECRET_BYTES, (const uint8_t *)label, strlen(label), exported,
                &bytes)
               ? 0
               : -1;
}

int mr_h2_client_export(struct mr_h2_client *client, const char *label,
                        uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    return sim_export(client->secret, label, secret);
}

/* Here each client has connections of its own, and makes its own use of them. */
void mr_h2_client_retire(struct mr_h2_client *client)
{
    (void)client;
}

unsigned mr_h2_client_streams_max(struct mr_h2_client *client)
{
    (void)client;
    return 1;
}

int mr_h2_client_peer(const struct mr_h2_client *client, char *host, size_t room)
{
    return snprintf(host, room, SIM_HOST, client->to->index + 1) > 0 ? 0 : -1;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void answer_arrives(struct sim *sim, void *argument)
{
    struct sim_exchange *exchange = *(struct sim_exchange **)argument;
    (void)sim;
    exchange->over = true;
    if (exchange->waiting) {
        sim_wake(exchange->waiting);
    }
    sim_exchange_let_go(exchange);
}

/* Sends the end of the exchange on its way back; the server lets go of it. */
void sim_exchange_travel_back(struct sim_exchange *exchange)
{
    struct sim *sim = exchange->to->sim;
    struct sim_exchange **argument = malloc(sizeof *argument);
    MR_ASSERT(argument);
    *argument = exchange;
    /* To nobody in particular: the exchange itself knows whether somebody still waits. */
    sim_at_owned(sim, sim->now_us + sim_net_delay_us(exchange->to, exchange->from), NULL,
                 answer_arrives, argument);
}

void sim_exchange_fail_back(struct sim_exchange *exchange, int failure)
{
    exchange->failure = failure;
    sim_exchange_travel_back(exchange);
}

static void request_arrives(struct sim *sim, void *argument)
{
    struct sim_exchange *exchange = *(struct sim_exchange **)argument;
    struct sim_node *to = exchange->to;
    if (!sim_net_open(exchange->from, to)) {
        sim_exchange_let_go(exchange); /* the client hears nothing and gives up in its own time */
        return;
    }
    if (!to->up || to->life != exchange->to_life) {
        sim_exchange_fail_back(exchange, MR_H2_BROKEN);
        return;
    }
    if (to->stalled_until_us > sim->now_us) {
        struct sim_exchange **again = malloc(sizeof *again);
        MR_ASSERT(again);
        *again = exchange;
        sim_at_owned(sim, to->stalled_until_us, NULL, request_arrives, again);
        return;
    }
    sim->current = to;
    sim_server_handle(exchange);
    sim->current = NULL;
}

static struct sim_exchange *exchange_new(const struct mr_h2_client *client,
                                         const struct mr_h2_request *request)
{
    struct sim_exchange *exchange = calloc(1, sizeof *exchange);
    MR_ASSERT(exchange && strlen(request->path) < sizeof exchange->path);
    exchange->holders = 2;
    exchange->from = client->from;
    exchange->to = client->to;
    exchange->to_life = client->to_life;
    memcpy(exchange->secret, client->secret, SECRET_BYTES);
    snprintf(exchange->method, sizeof exchange->method, "%s", request->method);
    snprintf(exchange->path, sizeof exchange->path, "%s", request->path);
    exchange->body = malloc(request->length + 1);
    MR_ASSERT(exchange->body);
    if (request->length) {
        memcpy(exchange->body, request->body, request->length);
    }
    exchange->length = request->length;
    snprintf(exchange->word, sizeof exchange->word, "%s", request->word ? request->word : "");
    struct sim *sim = client->from->sim;
    exchange->waiting = sim->running;
    exchange->next = sim->exchanges;
    exchange->at = &sim->exchanges;
    if (exchange->next) {
        exchange->next->at = &exchange->next;
    }
    sim->exchanges = exchange;
    return exchange;
}

/* Here a body of any length arrives at once, so whole_ms gives it no more time: nothing is ever
 * half on its way. */
int mr_h2_client_request(struct mr_h2_client *client, const struct mr_h2_request *request,
                         struct mr_h2_response *response, struct mr_error *error)
{
    struct sim *sim = client->from->sim;
    *response = (struct mr_h2_response){.body = NULL};
    if (client->from->dead) {
        mr_error_set(error, "connection lost");
        return MR_H2_BROKEN;
    }
    if (client->from->index >= SIM_HUBS &&
        client->given_up != client->to->given_up) { /* its end lies there to be read */
        mr_error_set(error, "it closed the connection");
        return MR_H2_BROKEN;
    }
    struct sim_exchange *exchange = exchange_new(client, request);
    struct sim_exchange **argument = malloc(sizeof *argument);
    MR_ASSERT(argument);
    *argument = exchange;
    sim_marks_lie(client->from, client->to, request->path, exchange->body, request->length);
    sim_check_question(client->from, request->path, exchange->body, request->length);
    sim_check_sends(client->from, client->to, request->path, false, exchange->body,
                    request->length);
    const uint64_t travel_us = sim_net_delay_us(client->from, client->to);
    if (sim_net_breaks(client->from)) { /* before the hub has heard of it */
        sim_at_owned(sim, sim->now_us + travel_us, NULL, answer_arrives, argument);
        exchange->failure = MR_H2_BROKEN;
    } else {
        sim_at_owned(sim, sim->now_us + travel_us, NULL, request_arrives, argument);
    }
    const uint64_t until_us = sim->now_us + request->timeout_ms * SIM_MS;
    while (!exchange->over && sim->now_us < until_us && !client->from->dead) {
        sim_wait_until(sim, until_us);
    }
    exchange->waiting = NULL;
    int failure = exchange->over ? exchange->failure : MR_H2_TIMEOUT;
    if (client->from->dead || (!failure && exchange->response.length > request->answer_max)) {
        failure = MR_H2_BROKEN;
    }
    if (failure) {
        mr_error_set(error, failure == MR_H2_TIMEOUT ? "no answer in time" : "connection lost");
    } else {
        *response = exchange->response;
        exchange->response = (struct mr_h2_response){.body = NULL};
    }
    sim_exchange_let_go(exchange);
    return failure;
}
