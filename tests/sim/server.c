/* server.c - in place of the HTTP/2 server: routes, requests, answers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/http/query.h"
#include "appliance/http/route.h"
#include "tests/sim/check.h"
#include "tests/sim/control_internal.h"
#include "tests/sim/device.h"
#include "tests/sim/hub.h"
#include "tests/sim/marks.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "base/assert.h"
#include "wire/messages.h"

#define QUESTIONS_KEPT 64
#define TASK_PARAM     0 /* the first of every path that has one */

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
    char word[MR_H2_WORD_BYTES]; /* to the asker */
    bool has_time_left;
    uint64_t time_left_ms;
};

int mr_server_open(struct mr_server **out, struct mr_loop *loop,
                   const struct mr_server_config *config, const struct mr_route_table *routes,
                   struct mr_log *log, struct mr_error *error)
{
    struct mr_server *server = calloc(1, sizeof *server);
    struct sim_node *node = sim_active()->current;
    (void)loop;
    (void)config;
    (void)log;
    (void)error;
    MR_ASSERT(server);
    server->node = node;
    server->routes = routes->rows;
    server->route_count = routes->count;
    server->context = routes->context;
    sim_hub_set_server(node, server);
    *out = server;
    return 0;
}

void mr_server_close(struct mr_server *server)
{
    sim_hub_set_server(server->node, NULL);
    free(server);
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

void sim_server_handle(struct sim_exchange *exchange)
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
    if (i == TASK_PARAM && sim->options.mutant == SIM_MUTANT_TASK_IGNORED) {
        return first_task(request);
    }
    return request->match.params[i] ? request->match.params[i] : "";
}

uint64_t mr_request_query(const struct mr_request *request, const char *name, uint64_t otherwise)
{
    return mr_query_number(request->match.query, name, otherwise);
}

const uint8_t *mr_request_body(const struct mr_request *request, size_t *length)
{
    *length = request->exchange->length;
    return request->exchange->body;
}

int mr_request_export(const struct mr_request *request, const char *label,
                      uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    return sim_export(request->exchange->secret, label, secret);
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

const char *mr_request_word(const struct mr_request *request)
{
    return request->exchange->word;
}

void mr_request_answer_word(struct mr_request *request, const char *word)
{
    snprintf(request->word, sizeof request->word, "%s", word);
}

void mr_request_validator(struct mr_request *request, const char *tag, bool immutable)
{
    (void)request, (void)tag, (void)immutable; /* simulated devices ask for whole bodies */
}

void mr_request_time_left(struct mr_request *request, uint64_t time_left_ms)
{
    request->has_time_left = true;
    request->time_left_ms = time_left_ms;
}

void mr_request_next_key(struct mr_request *request, uint32_t number)
{
    (void)request, (void)number;
}

void mr_request_answer_owned(struct mr_request *request, int status, const char *content_type,
                             void *body, size_t length)
{
    struct sim_exchange *exchange = request->exchange;
    struct sim_node *node = exchange->to;
    const bool has_time_left = request->has_time_left;
    const uint64_t time_left_ms = request->time_left_ms;
    char word[MR_H2_WORD_BYTES];
    memcpy(word, request->word, sizeof word);
    (void)content_type;
    free(request);
    if (node->dead) { /* the process is gone: so is its connection */
        free(body);
        sim_exchange_fail_back(exchange, MR_H2_BROKEN);
        return;
    }
    if (node->sim->options.mutant == SIM_MUTANT_ANOTHER_ANSWER && length && status == 200 &&
        exchange->from->index < SIM_HUBS && is_repeated(exchange)) {
        ((uint8_t *)body)[length - 1] ^= 1;
    }
    if (status == 200) {
        sim_marks_plant(node, exchange->path, body, length);
    }
    sim_marks_lie(node, exchange->from, exchange->path, body, length);
    sim_check_sends(node, exchange->from, exchange->path, true, body, length);
    sim_mark(node->sim, node, "answers", sim_hash(exchange->path, strlen(exchange->path), 0),
             (uint64_t)status);
    if (status == 200) {
        sim_check_answer(node, exchange->from, exchange->path, exchange->body, exchange->length,
                         body, length);
    }
    exchange->response =
        (struct mr_h2_response){.status = status,
                                .body = body,
                                .length = length,
                                .date_unix_s = (int64_t)(sim_wall_us(node) / SIM_S),
                                .has_time_left = has_time_left,
                                .time_left_ms = time_left_ms};
    memcpy(exchange->response.word, word, sizeof word);
    if (!sim_net_open(node, exchange->from)) {
        sim_exchange_let_go(exchange);
    } else if (sim_net_breaks(exchange->from)) { /* after the hub has acted on it */
        sim_exchange_fail_back(exchange, MR_H2_BROKEN);
    } else {
        sim_exchange_travel_back(exchange);
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
