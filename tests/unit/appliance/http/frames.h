/* frames.h - HTTP/2 frames made by hand (RFC 9113), for peers that do what no library does. */
#ifndef MR_TEST_HTTP_FRAMES_H
#define MR_TEST_HTTP_FRAMES_H

#include "tests/unit/appliance/http/harness.h"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
    FRAME_CONTINUATION = 9,
};
#define FRAME_END_STREAM  0x1
#define FRAME_END_HEADERS 0x4

#define WINDOW_DEFAULT 65535 /* of a stream and of a connection, unless SETTINGS say another */

struct frame {
    uint8_t type, flags;
    uint32_t stream, length;
    uint8_t payload[65536];
};

#define CODE_OF(frame) ((frame).payload[3]) /* of RST_STREAM; all codes fit a byte */

/* A connection of device-000 that has sent its preface and its SETTINGS (initial window `window`).
 */
void frames_open(struct bare *bare, const struct harness *harness, uint32_t window);
/* False when the connection takes nothing more. */
bool frames_send(struct bare *bare, uint8_t type, uint8_t flags, uint32_t stream,
                 const void *payload, size_t length);
bool frames_send_u32(struct bare *bare, uint8_t type, uint32_t stream, uint32_t value);
/* A request's headers; content_length negative: none. */
bool frames_ask(struct bare *bare, uint32_t stream, const char *method, const char *path,
                long content_length, bool ends);
/* The header block alone, for those who want to cut it up. Returns its length. */
size_t frames_headers(uint8_t *block, const char *method, const char *path, long content_length);
/* The next frame; false at the connection's end. */
bool frames_next(struct bare *bare, struct frame *frame);
/* The next frame of a kind on a stream; everything else is skipped. */
bool frames_await(struct bare *bare, uint8_t type, uint32_t stream, struct frame *frame);

#endif
