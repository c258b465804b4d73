#include "transport/h2_exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/h2_date.h"

/* What one stream and the connection may have in flight towards us: a model in one go. */
#define STREAM_WINDOW     (4 * 1024 * 1024)
#define CONNECTION_WINDOW (8 * 1024 * 1024)
#define ANSWER_ROOM_FIRST ((size_t)4096)

static void fail(struct mr_h2_exchange *exchange, const char *reason)
{
    exchange->state = MR_H2_EXCHANGE_FAILED;
    exchange->reason = reason;
}

/* The one that waits on that stream; NULL: nobody does, or not any more. */
static struct mr_h2_exchange *exchange_of(nghttp2_session *session, int32_t stream)
{
    struct mr_h2_exchange *exchange = nghttp2_session_get_stream_user_data(session, stream);
    return exchange && exchange->state == MR_H2_EXCHANGE_OPEN ? exchange : NULL;
}

/* --- the answer ------------------------------------------------------------------------------ */

/* Room for `need` bytes and a NUL, or the exchange fails. What comes again and again is nearly as
 * long as before: a sixteenth more saves a buffer that is kept from being given up for a larger
 * one. */
static bool reach(struct mr_h2_exchange *exchange, size_t need)
{
    struct mr_h2_response *answer = &exchange->answer;
    if (need > exchange->answer_max) {
        fail(exchange, "its answer is longer than allowed");
        return false;
    }
    if (answer->body && need <= answer->room) {
        return true;
    }
    size_t room = 2 * answer->room;
    room = room < ANSWER_ROOM_FIRST ? ANSWER_ROOM_FIRST : room;
    room = room < need + need / 16 ? need + need / 16 : room;
    room = room > exchange->answer_max ? exchange->answer_max : room;
    room = room < need ? need : room;
    if (answer->length == 0) { /* nothing to move */
        free(answer->body);
        answer->body = NULL;
    }
    uint8_t *body = realloc(answer->body, room + 1);
    if (!body) {
        fail(exchange, "out of memory");
        return false;
    }
    answer->body = body;
    answer->room = room;
    return true;
}

static void take_length(struct mr_h2_exchange *exchange, const uint8_t *digits, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count && length <= exchange->answer_max; i++) {
        length = length * 10 + (size_t)(digits[i] - '0'); /* nghttp2 lets only digits through */
    }
    (void)reach(exchange, length);
}

#define DIGITS_MAX 18

/* One that is none, or has more digits, is as good as absent. */
static bool take_number(uint64_t *number, const uint8_t *digits, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    *number = value;
    return count > 0;
}

static bool is_named(const uint8_t *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context)
{
    (void)flags, (void)context;
    struct mr_h2_exchange *exchange = exchange_of(session, frame->hd.stream_id);
    if (!exchange) {
        return 0;
    }
    if (is_named(name, name_length, ":status")) {
        exchange->answer.status = 0;
        for (size_t i = 0; i < value_length && i < 3; i++) {
            exchange->answer.status = exchange->answer.status * 10 + (value[i] - '0');
        }
    } else if (is_named(name, name_length, "content-length")) {
        take_length(exchange, value, value_length);
    } else if (is_named(name, name_length, MR_H2_TIME_LEFT) && value_length <= DIGITS_MAX) {
        exchange->answer.has_time_left =
            take_number(&exchange->answer.time_left_ms, value, value_length);
    } else if (is_named(name, name_length, MR_H2_NEXT_KEY) && value_length <= DIGITS_MAX) {
        exchange->answer.has_next_key =
            take_number(&exchange->answer.next_key, value, value_length);
    } else if (is_named(name, name_length, MR_H2_WORD) && value_length < MR_H2_WORD_BYTES &&
               !memchr(value, 0, value_length)) {
        memcpy(exchange->answer.word, value, value_length);
        exchange->answer.word[value_length] = '\0';
    } else if (is_named(name, name_length, "date")) {
        exchange->answer.date_unix_s = mr_h2_date_parse((const char *)value, value_length);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context)
{
    (void)flags, (void)context;
    struct mr_h2_exchange *exchange = exchange_of(session, stream);
    if (!exchange) {
        return 0;
    }
    struct mr_h2_response *answer = &exchange->answer;
    if (reach(exchange, answer->length + length)) {
        memcpy(answer->body + answer->length, data, length);
        answer->length += length;
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    const int ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                     frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct mr_h2_exchange *exchange = ends ? exchange_of(session, frame->hd.stream_id) : NULL;
    if (!exchange) {
        return 0;
    }
    if (!reach(exchange, exchange->answer.length)) {
        return 0;
    }
    exchange->answer.body[exchange->answer.length] = 0;
    exchange->state = MR_H2_EXCHANGE_ANSWERED;
    if (exchange->body_left > 0) { /* refused early: the rest of our body is of no use */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, exchange->stream, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    (void)context;
    struct mr_h2_exchange *exchange = exchange_of(session, stream);
    if (exchange) {
        fail(exchange, code == NGHTTP2_REFUSED_STREAM ? "it takes no more requests just now"
                                                      : "it broke the request off");
    }
    return 0;
}

/* --- the request ----------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)source, (void)context;
    struct mr_h2_exchange *exchange = exchange_of(session, stream);
    if (!exchange) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the body may be gone */
    }
    const size_t take = exchange->body_left < room ? exchange->body_left : room;
    memcpy(out, exchange->body, take);
    exchange->body += take;
    exchange->body_left -= take;
    if (exchange->body_left == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)take;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

int mr_h2_exchange_begin(nghttp2_session *session, struct mr_h2_exchange *exchange,
                         const char *authority, const struct mr_h2_request *request)
{
    mr_h2_exchange_fini(exchange);
    exchange->answer_max = request->answer_max;
    if (request->room) {
        exchange->answer.body = request->room->bytes;
        exchange->answer.room = request->room->size;
        *request->room = (struct mr_h2_room){0};
    }
    exchange->body = request->body;
    exchange->body_left = request->content_type ? request->length : 0;

    char length[24], range[64];
    size_t count = 0;
    nghttp2_nv fields[8];
    snprintf(length, sizeof length, "%zu", request->length);
    fields[count++] = field(":method", request->method);
    fields[count++] = field(":scheme", "https");
    fields[count++] = field(":authority", authority);
    fields[count++] = field(":path", request->path);
    if (request->content_type) {
        fields[count++] = field("content-type", request->content_type);
        fields[count++] = field("content-length", length);
    }
    if (request->word && request->word[0]) {
        fields[count++] = field(MR_H2_WORD, request->word);
    }
    if (request->range_bytes > 0) {
        snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, request->range_first,
                 request->range_first + request->range_bytes - 1);
        fields[count++] = field("range", range);
    }
    const nghttp2_data_provider body = {.read_callback = read_body};
    exchange->stream = nghttp2_submit_request(session, NULL, fields, count,
                                              exchange->body_left ? &body : NULL, exchange);
    if (exchange->stream < 0) {
        return -1;
    }
    exchange->state = MR_H2_EXCHANGE_OPEN;
    return 0;
}

/* What still comes on its stream is thrown away, by nghttp2 or for want of an exchange. */
void mr_h2_exchange_abandon(nghttp2_session *session, struct mr_h2_exchange *exchange)
{
    if (exchange->state == MR_H2_EXCHANGE_OPEN) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, exchange->stream,
                                        NGHTTP2_CANCEL);
    }
    if (exchange->state != MR_H2_EXCHANGE_NONE) {
        (void)nghttp2_session_set_stream_user_data(session, exchange->stream, NULL);
    }
}

void mr_h2_exchange_take(struct mr_h2_exchange *exchange, struct mr_h2_response *response)
{
    *response = exchange->answer;
    exchange->answer = (struct mr_h2_response){0};
    mr_h2_exchange_fini(exchange);
}

void mr_h2_exchange_fini(struct mr_h2_exchange *exchange)
{
    mr_h2_response_fini(&exchange->answer);
    *exchange = (struct mr_h2_exchange){0};
}

/* --- the session ----------------------------------------------------------------------------- */

static int set_up(nghttp2_session *session)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0) {
        return -1;
    }
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

int mr_h2_exchange_session(nghttp2_session **session)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return -1;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    const bool made = nghttp2_session_client_new(session, callbacks, NULL) == 0;
    nghttp2_session_callbacks_del(callbacks);
    if (made && set_up(*session) == 0) {
        return 0;
    }
    if (made) {
        nghttp2_session_del(*session);
    }
    *session = NULL;
    return -1;
}
