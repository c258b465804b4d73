#include "tests/fuzz/h2_feed.h"

#define PAYLOAD_MAX ((size_t)255 * 128)
#define DRAWS_MAX   4096 /* more answers to one piece than that: it never ends */

int h2_drain(nghttp2_session *session)
{
    const uint8_t *out;
    ssize_t got;
    unsigned draws = 0;
    while ((got = nghttp2_session_mem_send(session, &out)) > 0) {
        MR_ASSERT(++draws < DRAWS_MAX);
    }
    return got == 0 && nghttp2_session_want_read(session);
}

/* One frame with its true length. */
static int feed_frame(nghttp2_session *session, uint8_t type, struct fuzz_input *input)
{
    static uint8_t frame[9 + PAYLOAD_MAX];
    const uint8_t flags = fuzz_byte(input), stream = fuzz_byte(input), size = fuzz_byte(input);
    size_t length;
    const uint8_t *payload =
        fuzz_take(input, size < 0xf0 ? size : (size_t)(size - 0xef) * 128, &length);
    frame[0] = (uint8_t)(length >> 16);
    frame[1] = (uint8_t)(length >> 8);
    frame[2] = (uint8_t)length;
    frame[3] = type;
    frame[4] = flags;
    frame[5] = frame[6] = frame[7] = 0;
    frame[8] = stream;
    if (length > 0) {
        memcpy(frame + 9, payload, length);
    }
    return nghttp2_session_mem_recv(session, frame, 9 + length) >= 0;
}

void h2_feed(nghttp2_session *session, struct fuzz_input *input, h2_aside_fn aside, void *context)
{
    if (fuzz_byte(input) & 1) {
        size_t length;
        const uint8_t *bytes = fuzz_take(input, input->left, &length);
        if (length > 0 && nghttp2_session_mem_recv(session, bytes, length) >= 0) {
            (void)h2_drain(session);
        }
        return;
    }
    while (input->left > 0) {
        const uint8_t type = fuzz_byte(input);
        if (type == H2_ASIDE) {
            aside(context, fuzz_byte(input));
        } else if (!feed_frame(session, type, input)) {
            return;
        }
        if (!h2_drain(session)) {
            return;
        }
    }
}
