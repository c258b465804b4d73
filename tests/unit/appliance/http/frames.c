#include "tests/unit/appliance/http/frames.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

static bool send_all(struct bare *bare, const void *data, size_t length)
{
    ERR_clear_error();
    return length == 0 || SSL_write(bare->ssl, data, (int)length) == (int)length;
}

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

bool frames_send(struct bare *bare, uint8_t type, uint8_t flags, uint32_t stream,
                 const void *payload, size_t length)
{
    static uint8_t frame[9 + 65536];
    assert_true(length <= 65536);
    put_u32(frame, (uint32_t)length << 8);
    frame[3] = type;
    frame[4] = flags;
    put_u32(frame + 5, stream);
    if (length) {
        memcpy(frame + 9, payload, length);
    }
    return send_all(bare, frame, 9 + length);
}

bool frames_send_u32(struct bare *bare, uint8_t type, uint32_t stream, uint32_t value)
{
    uint8_t payload[4];
    put_u32(payload, value);
    return frames_send(bare, type, 0, stream, payload, sizeof payload);
}

void frames_open(struct bare *bare, const struct harness *harness, uint32_t window)
{
    uint8_t settings[6] = {0, 4}; /* SETTINGS_INITIAL_WINDOW_SIZE */
    bare_open(bare, harness, harness->dir, "device-000", TLS1_3_VERSION);
    put_u32(settings + 2, window);
    assert_true(send_all(bare, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24));
    assert_true(frames_send(bare, FRAME_SETTINGS, 0, 0, settings, sizeof settings));
}

/* HPACK (RFC 7541): literals without indexing, names from the static table, no Huffman code. */
size_t frames_headers(uint8_t *block, const char *method, const char *path, long content_length)
{
    size_t n = 0;
    block[n++] = 0x87; /* :scheme https */
    block[n++] = 0x02; /* :method */
    block[n++] = (uint8_t)strlen(method);
    memcpy(block + n, method, strlen(method));
    n += strlen(method);
    block[n++] = 0x04; /* :path */
    block[n++] = (uint8_t)strlen(path);
    memcpy(block + n, path, strlen(path));
    n += strlen(path);
    block[n++] = 0x01; /* :authority */
    block[n++] = 1;
    block[n++] = 'h';
    if (content_length >= 0) {
        char digits[24];
        const int count = snprintf(digits, sizeof digits, "%ld", content_length);
        block[n++] = 0x0f; /* content-length: index 28 */
        block[n++] = 28 - 15;
        block[n++] = (uint8_t)count;
        memcpy(block + n, digits, (size_t)count);
        n += (size_t)count;
    }
    return n;
}

bool frames_ask(struct bare *bare, uint32_t stream, const char *method, const char *path,
                long content_length, bool ends)
{
    uint8_t block[256];
    const size_t length = frames_headers(block, method, path, content_length);
    const uint8_t flags = FRAME_END_HEADERS | (ends ? FRAME_END_STREAM : 0);
    return frames_send(bare, FRAME_HEADERS, flags, stream, block, length);
}

static bool read_all(struct bare *bare, uint8_t *out, size_t length)
{
    ERR_clear_error();
    for (size_t at = 0; at < length;) {
        const int n = SSL_read(bare->ssl, out + at, (int)(length - at));
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

bool frames_next(struct bare *bare, struct frame *frame)
{
    uint8_t head[9];
    if (!read_all(bare, head, sizeof head)) {
        return false;
    }
    frame->length = (uint32_t)(head[0] << 16 | head[1] << 8 | head[2]);
    frame->type = head[3];
    frame->flags = head[4];
    frame->stream = (uint32_t)head[5] << 24 | (uint32_t)(head[6] << 16 | head[7] << 8 | head[8]);
    assert_true(frame->length <= sizeof frame->payload);
    return read_all(bare, frame->payload, frame->length);
}

bool frames_await(struct bare *bare, uint8_t type, uint32_t stream, struct frame *frame)
{
    do {
        if (!frames_next(bare, frame)) {
            return false;
        }
    } while (frame->type != type || frame->stream != stream);
    return true;
}
