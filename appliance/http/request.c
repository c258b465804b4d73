/* request.c - the life of a request, what its handler sees of it, and how it is answered. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/http/query.h"
#include "appliance/http/selection.h"
#include "appliance/http/server_internal.h"
#include "base/assert.h"
#include "transport/h2_message.h"
#include "wire/messages.h"

/* --- life ------------------------------------------------------------------------------------ */

struct mr_request *mr_request_new(struct mr_connection *connection, int32_t stream)
{
    struct mr_server *server = connection->server;
    struct mr_request *request = calloc(1, sizeof *request);
    if (!request) {
        return NULL;
    }
    request->server = server;
    request->connection = connection;
    request->quota = mr_identity_quota_use(connection->quota);
    request->stream = stream;
    request->identity = connection->peer.identity;
    request->serial = connection->peer.serial;
    request->content_length = UINT64_MAX;
    request->match.query = "";
    memcpy(request->peer_host, connection->host, sizeof request->peer_host);
    LIST_INSERT_HEAD(&server->requests, request, in_server);
    LIST_INSERT_HEAD(&connection->requests, request, in_connection);
    server->request_count++;
    connection->requests_in[MR_REQUEST_RECEIVING]++;
    mr_queue_note_busy(connection);
    return request;
}

void mr_request_move(struct mr_request *request, enum mr_request_state state)
{
    if (request->connection) {
        request->connection->requests_in[request->state]--;
        request->connection->requests_in[state]++;
    }
    request->state = state;
}

static void drop_body(struct mr_request *request)
{
    free(request->body);
    if (request->server) {
        mr_identity_quota_uncount(request, request->body_room);
    }
    request->body = NULL;
    request->body_length = request->body_room = 0;
}

static void release_answer(struct mr_request *request)
{
    const struct mr_answer answer = request->answer;
    request->answer = (struct mr_answer){0};
    free(answer.owned);
    if (answer.released) {
        answer.released(answer.released_context);
    }
}

static void leave_connection(struct mr_request *request)
{
    struct mr_connection *connection = request->connection;
    if (!connection) {
        return;
    }
    connection->requests_in[request->state]--;
    connection->ended_requests++;
    connection->idle_since_ms = mr_loop_now_ms(request->server->loop);
    LIST_REMOVE(request, in_connection);
    request->connection = NULL;
    if (LIST_EMPTY(&connection->requests)) {
        mr_queue_note_idle(connection);
    }
}

static void request_free(struct mr_request *request)
{
    leave_connection(request);
    drop_body(request);
    if (request->server) {
        LIST_REMOVE(request, in_server);
        request->server->request_count--;
    }
    mr_identity_quota_release(request->quota);
    release_answer(request);
    free(request->word);
    free(request->answer_word);
    free(request);
}

void mr_request_stream_gone(struct mr_request *request)
{
    if (request->state == MR_REQUEST_HANDED) {
        leave_connection(request); /* the handler will answer into the void */
    } else {
        request_free(request);
    }
}

void mr_request_keep_word(struct mr_request *request, const uint8_t *value, size_t length)
{
    if (request->identity.role == MR_ROLE_HUB && length < MR_H2_WORD_BYTES && !request->word) {
        request->word = strndup((const char *)value, length);
    }
}

/* --- looking at it --------------------------------------------------------------------------- */

const struct mr_identity *mr_request_identity(const struct mr_request *request)
{
    return &request->identity;
}

const struct mr_serial *mr_request_serial(const struct mr_request *request)
{
    return &request->serial;
}

const char *mr_request_param(const struct mr_request *request, unsigned i)
{
    return i < MR_REQUEST_PARAMS_MAX && request->match.params[i] ? request->match.params[i] : "";
}

uint64_t mr_request_query(const struct mr_request *request, const char *name, uint64_t otherwise)
{
    return mr_query_number(request->match.query, name, otherwise);
}

const uint8_t *mr_request_body(const struct mr_request *request, size_t *length)
{
    *length = request->body_length;
    return request->body ? request->body : (const uint8_t *)"";
}

const char *mr_request_word(const struct mr_request *request)
{
    return request->word ? request->word : "";
}

const char *mr_request_peer_host(const struct mr_request *request)
{
    return request->peer_host;
}

/* --- answering ------------------------------------------------------------------------------- */

static ssize_t read_answer(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session, (void)stream, (void)context;
    struct mr_answer *answer = &((struct mr_request *)source->ptr)->answer;
    const size_t left = answer->length - answer->at;
    const size_t take = left < room ? left : room;
    memcpy(out, answer->body + answer->at, take);
    answer->at += take;
    if (take == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)take;
}

/* The part of the body that was asked for. Returns the status. */
static int select_part(struct mr_request *request, int status, struct mr_answer *body)
{
    const struct mr_selection_request asked = {.if_none_match = request->if_none_match,
                                               .if_range = request->if_range,
                                               .range = request->range,
                                               .is_head = request->is_head};
    if (status != 200 || request->etag[0] == '\0') {
        return status;
    }
    const struct mr_selection selection = mr_select(&asked, request->etag, body->length);
    body->at = selection.first;
    body->length = selection.first + selection.length;
    return selection.status;
}

static void answer(struct mr_request *request, int status, const char *content_type,
                   struct mr_answer body)
{
    MR_ASSERT(request->state != MR_REQUEST_ANSWERING && status >= 200 && status <= 599);
    struct mr_connection *connection = request->connection;
    const size_t whole = body.length;
    status = select_part(request, status, &body);
    request->answer = body;
    if (request->server) {
        request->server->counters.answers[status / 100]++;
        request->server->counters.answers_void += !connection;
    }
    if (!connection) {
        request_free(request);
        return;
    }
    drop_body(request);
    mr_request_move(request, MR_REQUEST_ANSWERING);
    if (mr_answer_submit(request, status, content_type, whole, read_answer) !=
        0) { /* out of memory, or the session is ending */
        nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, request->stream,
                                  NGHTTP2_INTERNAL_ERROR);
    }
    mr_queue_flush(connection);
}

void mr_request_time_left(struct mr_request *request, uint64_t time_left_ms)
{
    request->has_time_left = true;
    request->time_left_ms = time_left_ms;
}

void mr_request_next_key(struct mr_request *request, uint32_t number)
{
    request->has_next_key = true;
    request->next_key = number;
}

void mr_request_answer_word(struct mr_request *request, const char *word)
{
    free(request->answer_word);
    request->answer_word = *word == '\0' ? NULL : strdup(word);
}

void mr_request_validator(struct mr_request *request, const char *tag, bool immutable)
{
    snprintf(request->etag, sizeof request->etag, "\"%.*s\"", MR_ETAG_MAX - 3, tag);
    request->is_immutable = immutable;
}

void mr_request_answer_owned(struct mr_request *request, int status, const char *content_type,
                             void *body, size_t length)
{
    answer(request, status, content_type,
           (struct mr_answer){.body = body, .length = length, .owned = body});
}

void mr_request_answer_borrowed(struct mr_request *request, int status, const char *content_type,
                                const void *body, size_t length, mr_loop_fn released, void *context)
{
    answer(request, status, content_type,
           (struct mr_answer){
               .body = body, .length = length, .released = released, .released_context = context});
}

void mr_request_answer(struct mr_request *request, int status, const char *content_type,
                       const void *body, size_t length)
{
    void *copy = NULL;
    if (length > 0) {
        copy = malloc(length);
        if (!copy) {
            mr_request_answer_owned(request, 503, NULL, NULL, 0);
            return;
        }
        memcpy(copy, body, length);
    }
    mr_request_answer_owned(request, status, content_type, copy, length);
}

void mr_request_refuse(struct mr_request *request, enum mr_refusal_code code,
                       uint32_t retry_after_ms, const char *format, ...)
{
    struct mr_refusal refusal = {.code = code, .retry_after_ms = retry_after_ms};
    va_list args;
    va_start(args, format);
    vsnprintf(refusal.text, sizeof refusal.text, format, args);
    va_end(args);
    char *text = mr_refusal_encode(&refusal);
    request->retry_after_ms = retry_after_ms;
    request->etag[0] = '\0';
    mr_request_answer_owned(request, mr_refusal_status(code), text ? "application/json" : NULL,
                            text, text ? strlen(text) : 0);
}
