/* answer_head.c - the fields of an answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"
#include "transport/h2_date.h"
#include "transport/h2_message.h"

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

/* The fields of an answer, and the texts that their values are. */
struct head {
    nghttp2_nv fields[13];
    size_t count;
    char status[16], length[24], seconds[16], left[24], key[12], range[72];
};

static void add(struct head *head, const char *name, const char *value)
{
    MR_ASSERT(head->count < sizeof head->fields / sizeof head->fields[0]);
    head->fields[head->count++] = field(name, value);
}

/* Of a body with a validator: `whole` is its length. */
static void describe(struct head *head, const struct mr_request *request, int status, size_t whole)
{
    const struct mr_answer *answer = &request->answer;
    add(head, "etag", request->etag);
    add(head, "cache-control", request->is_immutable ? "max-age=31536000, immutable" : "no-cache");
    if (status != 304) {
        add(head, "accept-ranges", "bytes");
    }
    if (status == 206) {
        snprintf(head->range, sizeof head->range, "bytes %zu-%zu/%zu", answer->at,
                 answer->length - 1, whole);
        add(head, "content-range", head->range);
    } else if (status == 416) {
        snprintf(head->range, sizeof head->range, "bytes */%zu", whole);
        add(head, "content-range", head->range);
    }
}

/* Written once a second. */
static const char *date_of(struct mr_server *server)
{
    const int64_t now_s = (int64_t)time(NULL);
    if (server->date_s != now_s || server->date[0] == '\0') {
        mr_h2_date_format(server->date, now_s);
        server->date_s = now_s;
    }
    return server->date;
}

/* RFC 9110: a 204 has no length (8.6), nor has a 304 here; a 405 says what is allowed (15.5.6), an
 * answer to HEAD has the length of the body that it leaves out (9.3.2). `whole` is the length of
 * the body of which this may be a part. */
int mr_answer_submit(struct mr_request *request, int status, const char *content_type, size_t whole,
                     nghttp2_data_source_read_callback read)
{
    struct head head = {.count = 0};
    const size_t length = request->answer.length - request->answer.at;
    snprintf(head.status, sizeof head.status, "%d", status);
    add(&head, ":status", head.status);
    if (content_type && status != 304) {
        add(&head, "content-type", content_type);
    }
    if (status != 204 && status != 304) {
        snprintf(head.length, sizeof head.length, "%zu", length);
        add(&head, "content-length", head.length);
    }
    if (status == 405) {
        add(&head, "allow", request->match.allow);
    }
    add(&head, "date", date_of(request->server));
    if (request->has_time_left) {
        snprintf(head.left, sizeof head.left, "%" PRIu64, request->time_left_ms);
        add(&head, MR_H2_TIME_LEFT, head.left);
    }
    if (request->has_next_key) {
        snprintf(head.key, sizeof head.key, "%" PRIu32, request->next_key);
        add(&head, MR_H2_NEXT_KEY, head.key);
    }
    if (request->answer_word) {
        add(&head, MR_H2_WORD, request->answer_word);
    }
    if (request->etag[0] != '\0' && status < 500) {
        describe(&head, request, status, whole);
    } else { /* a cache may keep a 204 or a 404 by its own judgement (RFC 9110, 15.1) */
        add(&head, "cache-control", "no-store");
    }
    if (request->retry_after_ms > 0 && (status == 429 || status == 503)) {
        snprintf(head.seconds, sizeof head.seconds, "%" PRIu64,
                 ((uint64_t)request->retry_after_ms + 999) / 1000);
        add(&head, "retry-after", head.seconds); /* whole seconds, rounded up */
    }
    const nghttp2_data_provider body = {.source.ptr = request, .read_callback = read};
    return nghttp2_submit_response(request->connection->session, request->stream, head.fields,
                                   head.count, length && !request->is_head ? &body : NULL);
}
