/* stream.c - HTTP/2 streams: frames become requests, within limits on frames that move nothing. */
#include <string.h>

#include "appliance/http/server_internal.h"
#include "transport/h2_message.h"
#include "base/assert.h"

/* What one stream and one connection may have in flight towards us: a share in one go. */
#define STREAM_WINDOW     (1024 * 1024)
#define CONNECTION_WINDOW (4 * 1024 * 1024)

/* A well-meaning client resets a stream when its user goes away, not twenty times a second. */
#define RESETS_BURST      100
#define RESETS_A_SECOND   20
#define ACKS_WAITING_MAX  64
#define SETTINGS_MAX      16
#define CONTINUATIONS_MAX 4
/* Frames that move nothing: PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, unknown ones. */
#define CALM_BURST            1000
#define FIRST_UNKNOWN_TYPE    0x0a
#define CALM_A_SECOND         50
#define BYTES_A_WINDOW_UPDATE 256

static struct mr_request *request_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

/* --- callbacks ------------------------------------------------------------------------------- */

/* Frames that cost us something and move nothing: a burst of them, and so many a second.
 * nghttp2 1.52 bounds acknowledgements that wait, resets and CONTINUATIONs, but not these from a
 * peer that reads what it gets. Window updates come with what we have sent. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *context)
{
    struct mr_connection *connection = context;
    const uint64_t now_ms = mr_loop_now_ms(connection->server->loop);
    bool flooded = false;
    switch (head->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        return 0;
    case NGHTTP2_WINDOW_UPDATE:
        flooded = ++connection->window_updates >
                  CALM_BURST + connection->io.bytes_out / BYTES_A_WINDOW_UPDATE;
        break;
    case NGHTTP2_DATA:
        if (head->length > 0 || (head->flags & NGHTTP2_FLAG_END_STREAM)) {
            return 0;
        }
        /* fallthrough */
    default: {
        const uint64_t more = (now_ms - connection->calm_at_ms) * CALM_A_SECOND / 1000;
        if (more > 0) {
            const uint64_t calm = connection->calm + more;
            connection->calm = calm < CALM_BURST ? (uint32_t)calm : CALM_BURST;
            connection->calm_at_ms = now_ms;
        }
        flooded = connection->calm == 0;
        connection->calm -= !flooded;
    }
    }
    if (flooded) {
        nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

/* A frame of a type that nobody knows is thrown away, but counted: see on_begin_frame. */
static int ignore_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *head,
                        void *context)
{
    (void)session, (void)payload, (void)head, (void)context;
    return NGHTTP2_ERR_CANCEL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct mr_request *request = mr_request_new(context, frame->hd.stream_id);
    if (!request) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request);
    return 0;
}

static void keep(char *out, size_t room, const uint8_t *value, size_t length)
{
    if (length < room && !memchr(value, 0, length)) {
        memcpy(out, value, length);
        out[length] = '\0';
    }
}

static bool is_named(const char *name, const uint8_t *given, size_t length)
{
    return length == strlen(name) && memcmp(given, name, length) == 0;
}

static void take_header(struct mr_request *request, const uint8_t *name, size_t name_length,
                        const uint8_t *value, size_t value_length)
{
    if (is_named(":method", name, name_length)) {
        keep(request->method, sizeof request->method, value, value_length);
    } else if (is_named(":path", name, name_length)) {
        keep(request->path, sizeof request->path, value, value_length);
    } else if (is_named("content-type", name, name_length)) {
        request->is_doubled_type = request->is_doubled_type || request->content_type[0] != '\0';
        keep(request->content_type, sizeof request->content_type, value, value_length);
    } else if (is_named(MR_H2_WORD, name, name_length)) {
        mr_request_keep_word(request, value, value_length);
    } else if (is_named("if-none-match", name, name_length)) {
        keep(request->if_none_match, sizeof request->if_none_match, value, value_length);
    } else if (is_named("if-range", name, name_length)) {
        keep(request->if_range, sizeof request->if_range, value, value_length);
    } else if (is_named("range", name, name_length)) {
        keep(request->range, sizeof request->range, value, value_length);
    } else if (is_named("content-encoding", name, name_length)) {
        request->is_encoded = true;
    } else if (is_named("content-length", name, name_length)) {
        uint64_t length = 0; /* nghttp2 lets one decimal number through, below 2^63 */
        for (size_t i = 0; i < value_length; i++) {
            length = length * 10 + (uint64_t)(value[i] - '0');
        }
        request->content_length = length;
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context)
{
    (void)flags, (void)context;
    struct mr_request *request = request_of(session, frame->hd.stream_id);
    if (!request) {
        return 0;
    }
    request->header_bytes += name_length + value_length + 32;
    if (request->header_bytes > MR_HEADER_LIST_MAX) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers say nothing to us */
    }
    take_header(request, name, name_length, value, value_length);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct mr_request *request = request_of(session, frame->hd.stream_id);
    if (!request) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        mr_request_admit(request);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        mr_request_complete(request);
    }
    return 0;
}

/* Bytes came: the row's owner hears of it once every so many, as drops of a byte are no progress.
 */
static void tell_progress(struct mr_request *request, size_t bytes_before)
{
    const struct mr_route *route = request->match.route;
    if (route->progress &&
        request->body_length / MR_ROUTE_PROGRESS_BYTES != bytes_before / MR_ROUTE_PROGRESS_BYTES) {
        route->progress(request->server->context, request);
    }
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context)
{
    (void)flags, (void)context;
    struct mr_request *request = request_of(session, stream);
    if (!request || request->state != MR_REQUEST_RECEIVING || !request->match.route) {
        return 0; /* refused already: what still comes is thrown away */
    }
    const size_t bound = request->match.route->body_max, before = request->body_length;
    if (length > bound - request->body_length) {
        mr_request_refuse(request, MR_REFUSAL_BODY_TOO_LARGE, 0,
                          "a body here has at most %zu bytes", bound);
    } else if (mr_request_append(request, data, length) != 0) {
        mr_request_refuse(request, MR_REFUSAL_BUSY, 1000, "too many requests are under way");
    } else {
        tell_progress(request, before);
    }
    return 0;
}

/* Once an early refusal is out, the peer need not send the rest of its body (RFC 9113 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        ((struct mr_connection *)context)->goaway = frame->goaway.error_code;
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        const struct mr_request *request = request_of(session, frame->hd.stream_id);
        if (request && !request->whole) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_NO_ERROR);
        }
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    (void)code, (void)context;
    struct mr_request *request = request_of(session, stream);
    if (request) {
        nghttp2_session_set_stream_user_data(session, stream, NULL);
        mr_request_stream_gone(request);
    }
    return 0;
}

/* --- sessions -------------------------------------------------------------------------------- */

int mr_stream_callbacks(nghttp2_session_callbacks **callbacks, nghttp2_option **options)
{
    if (nghttp2_session_callbacks_new(callbacks) != 0 || nghttp2_option_new(options) != 0) {
        return -1;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(*callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(*callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(*callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(*callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(*callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(*callbacks, on_stream_close);

    nghttp2_option_set_stream_reset_rate_limit(*options, RESETS_BURST, RESETS_A_SECOND);
    nghttp2_option_set_max_outbound_ack(*options, ACKS_WAITING_MAX);
    nghttp2_option_set_max_settings(*options, SETTINGS_MAX);
    nghttp2_option_set_max_continuations(*options, CONTINUATIONS_MAX);
    nghttp2_session_callbacks_set_unpack_extension_callback(*callbacks, ignore_frame);
    for (unsigned type = FIRST_UNKNOWN_TYPE; type <= UINT8_MAX; type++) {
        nghttp2_option_set_user_recv_extension_type(*options, (uint8_t)type);
    }
    nghttp2_option_set_no_closed_streams(*options, 1);
    return 0;
}

int mr_stream_settings(nghttp2_session *session, unsigned streams_max)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MR_HEADER_LIST_MAX},
    };
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0) {
        return -1;
    }
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}
