/* control.c - in place of the HTTP/2 client and server. */
#include "tests/sim/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "appliance/api/routes.h"
#include "appliance/http/route.h"
#include "tests/sim/check.h"
#include "tests/sim/device.h"
#include "tests/sim/hub.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "base/assert.h"
#include "wire/messages.h"

#define SECRET_BYTES 32

struct mr_h2_client {
    struct sim_node *from, *to;
    uint32_t to_life;
    uint8_t secret[SECRET_BYTES];
};

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
    struct sim_co *waiting; /* NULL: the client has gone */
    bool over;
    int failure; /* enum mr_h2_failure */
    struct mr_h2_response response;
};

#define QUESTIONS_KEPT 64

struct mr_server {
    struct sim_node *node;
    const struct mr_route *routes;
    unsigned route_count;
    void *context;
    uint64_t questions[QUESTIONS_KEPT]; /* of leads, for a planted defect */
    unsigned question_count;
};

struct mr_request {
    struct sim_exchange *exchange;
    struct mr_identity identity;
    struct mr_serial serial; /* zero: all certificates are the same to the hub */
    struct mr_route_match match;
    char path[160];
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

static void let_go(struct sim_exchange *exchange)
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

void mr_h2_response_fini(struct mr_h2_response *response)
{
    free(response->body);
    *response = (struct mr_h2_response){.body = NULL};
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
    sim_fill(sim, client->secret, sizeof client->secret);
    *out = client;
    return MR_H2_OK;
}

void mr_h2_client_close(struct mr_h2_client *client)
{
    free(client);
}

static int export(const uint8_t secret[SECRET_BYTES], const char *label, const uint8_t *context,
                  size_t context_bytes, uint8_t *out, size_t out_bytes)
{
    uint8_t message[160], mac[32];
    unsigned mac_bytes = sizeof mac;
    const size_t label_bytes = strlen(label);
    MR_ASSERT(label_bytes + context_bytes <= sizeof message && out_bytes == sizeof mac);
    memcpy(message, label, label_bytes);
    memcpy(message + label_bytes, context, context_bytes);
    if (!HMAC(EVP_sha256(), secret, SECRET_BYTES, message, label_bytes + context_bytes, mac,
              &mac_bytes)) {
        return -1;
    }
    memcpy(out, mac, out_bytes);
    return 0;
}

int mr_h2_client_export(struct mr_h2_client *client, const char *label, const uint8_t *context,
                        size_t context_bytes, uint8_t *out, size_t out_bytes)
{
    return export(client->secret, label, context, context_bytes, out, out_bytes);
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
    let_go(exchange);
}

/* Sends the end of the exchange on its way back; the server lets go of it. */
static void travel_back(struct sim_exchange *exchange)
{
    struct sim *sim = exchange->to->sim;
    struct sim_exchange **argument = malloc(sizeof *argument);
    MR_ASSERT(argument);
    *argument = exchange;
    /* To nobody in particular: the exchange itself knows whether somebody still waits. */
    sim_at_owned(sim, sim->now_us + sim_net_delay_us(exchange->to, exchange->from), NULL,
                 answer_arrives, argument);
}

static void fail_back(struct sim_exchange *exchange, int failure)
{
    exchange->failure = failure;
    travel_back(exchange);
}

static void handle(struct sim_exchange *exchange);

static void request_arrives(struct sim *sim, void *argument)
{
    struct sim_exchange *exchange = *(struct sim_exchange **)argument;
    struct sim_node *to = exchange->to;
    if (!sim_net_open(exchange->from, to)) {
        let_go(exchange); /* the client hears nothing and gives up in its own time */
        return;
    }
    if (!to->up || to->life != exchange->to_life) {
        fail_back(exchange, MR_H2_BROKEN);
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
    handle(exchange);
    sim->current = NULL;
}

static struct sim_exchange *exchange_new(const struct mr_h2_client *client, const char *method,
                                         const char *path, const void *body, size_t length)
{
    struct sim_exchange *exchange = calloc(1, sizeof *exchange);
    MR_ASSERT(exchange && strlen(path) < sizeof exchange->path);
    exchange->holders = 2;
    exchange->from = client->from;
    exchange->to = client->to;
    exchange->to_life = client->to_life;
    memcpy(exchange->secret, client->secret, SECRET_BYTES);
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
    snprintf(exchange->path, sizeof exchange->path, "%s", path);
    exchange->body = malloc(length + 1);
    MR_ASSERT(exchange->body);
    if (length) {
        memcpy(exchange->body, body, length);
    }
    exchange->length = length;
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

int mr_h2_client_request(struct mr_h2_client *client, const char *method, const char *path,
                         const char *content_type, const void *body, size_t length, size_t body_max,
                         unsigned timeout_ms, struct mr_h2_response *response,
                         struct mr_error *error)
{
    struct sim *sim = client->from->sim;
    (void)content_type;
    *response = (struct mr_h2_response){.body = NULL};
    if (client->from->dead) {
        mr_error_set(error, "connection lost");
        return MR_H2_BROKEN;
    }
    struct sim_exchange *exchange = exchange_new(client, method, path, body, length);
    struct sim_exchange **argument = malloc(sizeof *argument);
    MR_ASSERT(argument);
    *argument = exchange;
    sim_check_question(client->from, client->to, path, exchange->body, length);
    const uint64_t travel_us = sim_net_delay_us(client->from, client->to);
    if (sim_net_breaks(client->from)) { /* before the hub has heard of it */
        sim_at_owned(sim, sim->now_us + travel_us, NULL, answer_arrives, argument);
        exchange->failure = MR_H2_BROKEN;
    } else {
        sim_at_owned(sim, sim->now_us + travel_us, NULL, request_arrives, argument);
    }
    const uint64_t until_us = sim->now_us + timeout_ms * SIM_MS;
    while (!exchange->over && sim->now_us < until_us && !client->from->dead) {
        sim_wait_until(sim, until_us);
    }
    exchange->waiting = NULL;
    int failure = exchange->over ? exchange->failure : MR_H2_TIMEOUT;
    if (client->from->dead || (!failure && exchange->response.length > body_max)) {
        failure = MR_H2_BROKEN;
    }
    if (failure) {
        mr_error_set(error, failure == MR_H2_TIMEOUT ? "no answer in time" : "connection lost");
    } else {
        *response = exchange->response;
        exchange->response = (struct mr_h2_response){.body = NULL};
    }
    let_go(exchange);
    return failure;
}

/* Here a body of any length arrives at once: nothing is ever half on its way. */
int mr_h2_client_transfer(struct mr_h2_client *client, const char *method, const char *path,
                          const char *content_type, const void *body, size_t length,
                          size_t body_max, unsigned timeout_ms, unsigned whole_ms,
                          struct mr_h2_response *response, struct mr_error *error)
{
    (void)whole_ms;
    return mr_h2_client_request(client, method, path, content_type, body, length, body_max,
                                timeout_ms, response, error);
}

/* --- the server ------------------------------------------------------------------------------ */

int mr_server_open(struct mr_server **out, struct mr_loop *loop,
                   const struct mr_server_config *config, const struct mr_route *routes,
                   unsigned route_count, void *context, struct mr_log *log, struct mr_error *error)
{
    struct mr_server *server = calloc(1, sizeof *server);
    struct sim_node *node = sim_active()->current;
    (void)loop;
    (void)config;
    (void)log;
    (void)error;
    MR_ASSERT(server);
    server->node = node;
    server->routes = routes;
    server->route_count = route_count;
    server->context = context;
    sim_hub_set_server(node, server);
    *out = server;
    return 0;
}

void mr_server_close(struct mr_server *server)
{
    sim_hub_set_server(server->node, NULL);
    free(server);
}

/* The routes of the operator name these; nobody asks them here. */
uint16_t mr_server_port(const struct mr_server *server)
{
    (void)server;
    return 1;
}

void mr_server_metrics(const struct mr_server *server, struct mr_metrics *metrics)
{
    (void)server;
    (void)metrics;
}

/* No certificate is ever taken back here. */
int mr_server_reload_revocations(struct mr_server *server, struct mr_error *error)
{
    (void)server;
    (void)error;
    return 0;
}

const struct mr_revocations *mr_server_revocations(const struct mr_server *server)
{
    (void)server;
    return NULL;
}

const struct mr_serial *mr_request_serial(const struct mr_request *request)
{
    return &request->serial;
}

const char *mr_request_peer_host(const struct mr_request *request)
{
    return request->exchange->from->name;
}

static struct mr_identity identity_of(const struct sim_node *node)
{
    struct mr_identity identity = {.role = MR_ROLE_HUB};
    if (node->index < SIM_HUBS) {
        identity.hub_index = (uint16_t)(SIM_HUB_INDEX + node->index);
    } else {
        identity.role = MR_ROLE_DEVICE;
        sim_device_id(identity.client_id, node->index - SIM_HUBS);
    }
    return identity;
}

static void handle(struct sim_exchange *exchange)
{
    struct sim_node *node = exchange->to;
    const struct mr_server *server = sim_hub_server(node);
    struct mr_request *request = calloc(1, sizeof *request);
    MR_ASSERT(request && server);
    request->exchange = exchange;
    request->identity = identity_of(exchange->from);
    memcpy(request->path, exchange->path, sizeof request->path);
    sim_mark(node->sim, node, "asked", sim_hash(exchange->path, strlen(exchange->path), 0),
             exchange->from->index);
    if (mr_route_find(&request->match, server->routes, server->route_count, exchange->method,
                      request->path) != MR_ROUTE_FOUND) {
        mr_request_refuse(request, MR_REFUSAL_NOT_FOUND, 0, "no such route");
    } else if (!(request->match.route->roles & MR_ROLE_BIT(request->identity.role))) {
        mr_request_refuse(request, MR_REFUSAL_UNAUTHORISED_ROLE, 0, "not for this role");
    } else if (exchange->length > request->match.route->body_max) {
        mr_request_refuse(request, MR_REFUSAL_BODY_TOO_LARGE, 0, "the body is too long");
    } else {
        request->match.route->handler(server->context, request);
    }
}

const struct mr_identity *mr_request_identity(const struct mr_request *request)
{
    return &request->identity;
}

/* The name of the first task that the hub serves, for a planted defect. */
static const char *first_task(const struct mr_request *request)
{
    const struct sim *sim = request->exchange->to->sim;
    const struct sim_task *task = sim->plan.tasks;
    while (!sim_task_serves(task, request->exchange->to)) {
        task++;
    }
    return task->name;
}

const char *mr_request_param(const struct mr_request *request, unsigned i)
{
    const struct sim *sim = request->exchange->to->sim;
    if (i == MR_PARAM_TASK && sim->options.mutant == SIM_MUTANT_TASK_IGNORED) {
        return first_task(request);
    }
    return request->match.params[i] ? request->match.params[i] : "";
}

uint64_t mr_request_query(const struct mr_request *request, const char *name, uint64_t otherwise)
{
    return mr_route_query(request->match.query, name, otherwise);
}

const uint8_t *mr_request_body(const struct mr_request *request, size_t *length)
{
    *length = request->exchange->length;
    return request->exchange->body;
}

int mr_request_export(const struct mr_request *request, const char *label, const uint8_t *context,
                      size_t context_bytes, uint8_t *out, size_t out_bytes)
{
    return export(request->exchange->secret, label, context, context_bytes, out, out_bytes);
}

/* --- answers --------------------------------------------------------------------------------- */

/* Whether a lead has asked this before. */
static bool is_repeated(const struct sim_exchange *exchange)
{
    struct mr_server *server = (struct mr_server *)sim_hub_server(exchange->to);
    const uint64_t asked = sim_hash(exchange->body, exchange->length,
                                    sim_hash(exchange->path, strlen(exchange->path), 0));
    for (unsigned i = 0; i < QUESTIONS_KEPT; i++) {
        if (server->questions[i] == asked) {
            return true;
        }
    }
    server->questions[server->question_count++ % QUESTIONS_KEPT] = asked;
    return false;
}

void mr_request_answer_owned(struct mr_request *request, int status, const char *content_type,
                             void *body, size_t length)
{
    struct sim_exchange *exchange = request->exchange;
    struct sim_node *node = exchange->to;
    (void)content_type;
    free(request);
    if (node->dead) { /* the process is gone: so is its connection */
        free(body);
        fail_back(exchange, MR_H2_BROKEN);
        return;
    }
    if (node->sim->options.mutant == SIM_MUTANT_ANOTHER_ANSWER && length && status == 200 &&
        exchange->from->index < SIM_HUBS && is_repeated(exchange)) {
        ((uint8_t *)body)[length - 1] ^= 1;
    }
    sim_mark(node->sim, node, "answers", sim_hash(exchange->path, strlen(exchange->path), 0),
             (uint64_t)status);
    if (status == 200) {
        sim_check_answer(node, exchange->from, exchange->path, exchange->body, exchange->length,
                         body, length);
    }
    exchange->response = (struct mr_h2_response){status, body, length};
    if (!sim_net_open(node, exchange->from)) {
        let_go(exchange);
    } else if (sim_net_breaks(exchange->from)) { /* after the hub has acted on it */
        fail_back(exchange, MR_H2_BROKEN);
    } else {
        travel_back(exchange);
    }
}

void mr_request_answer(struct mr_request *request, int status, const char *content_type,
                       const void *body, size_t length)
{
    uint8_t *copy = malloc(length + 1);
    MR_ASSERT(copy);
    if (length) {
        memcpy(copy, body, length);
    }
    copy[length] = 0;
    mr_request_answer_owned(request, status, content_type, copy, length);
}

void mr_request_answer_borrowed(struct mr_request *request, int status, const char *content_type,
                                const void *body, size_t length, mr_loop_fn released, void *context)
{
    mr_request_answer(request, status, content_type, body, length);
    released(context);
}

void mr_request_refuse(struct mr_request *request, enum mr_refusal_code code,
                       uint32_t retry_after_ms, const char *format, ...)
{
    struct mr_refusal refusal = {.code = code, .retry_after_ms = retry_after_ms};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal.text, sizeof refusal.text, format, arguments);
    va_end(arguments);
    char *text = mr_refusal_encode(&refusal);
    MR_ASSERT(text);
    mr_request_answer_owned(request, mr_refusal_status(code), "application/json", text,
                            strlen(text));
}
