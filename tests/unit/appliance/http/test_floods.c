/* test_floods.c - frames without measure: those that nghttp2 bounds, and those that it does not. */
#include "tests/unit/appliance/http/frames.h"

#include <signal.h>
#include <string.h>

#define CODE_REFUSED 7

static struct frame frame;

/* --- that nghttp2 has no limit for ----------------------------------------------------------- */

static void send_until_flood(struct bare *bare, uint8_t type, uint8_t flags, uint32_t stream,
                             const void *payload, size_t length)
{
    unsigned sent = 0;
    while (sent < 100000 && harness_metric(&rig, ENDS("flood")) != 1) {
        for (unsigned i = 0; i < 100; i++, sent++) {
            if (!frames_send(bare, type, flags, stream, payload, length)) {
                break;
            }
        }
        if (type == FRAME_PING || type == FRAME_SETTINGS) { /* hears all of it */
            (void)frames_next(bare, &frame);
        }
    }
    print_message("%u frames\n", sent);
    harness_await_metric(&rig, ENDS("flood"), 1);
    bare_close(bare);
    harness_assert_serves(&rig);
}

static void pings_with_listening_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    send_until_flood(&bare, FRAME_PING, 0, 0, "12345678", 8);
}

static void settings_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    send_until_flood(&bare, FRAME_SETTINGS, 0, 0, "", 0);
}

static void empty_data_ends_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "POST", "/echo", -1, false));
    send_until_flood(&bare, FRAME_DATA, 0, 1, "", 0);
}

static void window_updates_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    const uint8_t one[4] = {0, 0, 0, 1};
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    send_until_flood(&bare, FRAME_WINDOW_UPDATE, 0, 0, one, sizeof one);
}

static void unknown_frames_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    send_until_flood(&bare, 0xbe, 0, 0, "x", 1);
}

/* --- that it has one for ---------------------------------------------------------------------- */

static void rapid_resets_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    unsigned sent = 0;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    for (uint32_t stream = 1; stream < 4000; stream += 2, sent++) {
        if (!frames_ask(&bare, stream, "GET", "/hold", -1, true) ||
            !frames_send_u32(&bare, FRAME_RST_STREAM, stream, 8)) {
            break;
        }
    }
    harness_await_metric(&rig, ENDS("flood"), 1);
    bare_close(&bare);
    harness_await_metric(&rig, CONNECTIONS, 0);
    const double held = harness_metric(&rig, REQUESTS);
    print_message("%g requests held after %u\n", held, sent);
    assert_true(held > 0 && held < 1000); /* of 2000 */
    harness_release(&rig);
    assert_true(harness_metric(&rig, REQUESTS) == 0);
    harness_assert_serves(&rig);
}

static void pings_without_listening_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    uint8_t pings[800][17] = {0};
    for (size_t i = 0; i < 800; i++) {
        pings[i][2] = 8;
        pings[i][3] = FRAME_PING;
    }
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    while (SSL_write(bare.ssl, pings, sizeof pings) > 0) {
        if (harness_metric(&rig, ENDS("flood")) == 1) {
            break;
        }
    }
    bare_close(&bare);
    harness_await_metric(&rig, ENDS("flood"), 1);
    harness_assert_serves(&rig);
}

static void streams_are_capped(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    for (uint32_t i = 0; i < 17; i++) {
        assert_true(frames_ask(&bare, 2 * i + 1, "GET", "/hold", -1, true));
    }
    assert_true(frames_await(&bare, FRAME_RST_STREAM, 33, &frame));
    assert_int_equal(CODE_OF(frame), CODE_REFUSED);
    harness_await(&rig.held_now, 16);
    harness_release(&rig);
    assert_true(frames_await(&bare, FRAME_DATA, 31, &frame));
    bare_close(&bare);
}

static void large_headers_reset_their_stream(void **state)
{
    (void)state;
    struct bare bare;
    static uint8_t block[20000];
    size_t n = frames_headers(block, "GET", "/nothing", -1);
    const size_t value = sizeof block - n - 7; /* one more field, "x", with a long value */
    block[n++] = 0x00;
    block[n++] = 1;
    block[n++] = 'x';
    block[n++] = 0x7f; /* length 127 + the rest in sevens */
    block[n++] = (uint8_t)((value - 127) & 0x7f) | 0x80;
    block[n++] = (uint8_t)((value - 127) >> 7 & 0x7f) | 0x80;
    block[n++] = (uint8_t)((value - 127) >> 14);
    memset(block + n, 'y', value);
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_send(&bare, FRAME_HEADERS, FRAME_END_STREAM, 1, block, 16000));
    assert_true(frames_send(&bare, FRAME_CONTINUATION, FRAME_END_HEADERS, 1, block + 16000, 4000));
    assert_true(frames_await(&bare, FRAME_RST_STREAM, 1, &frame));
    assert_true(frames_ask(&bare, 3, "GET", "/nothing", -1, true)); /* the connection lives */
    assert_true(frames_await(&bare, FRAME_HEADERS, 3, &frame));
    assert_true(harness_metric(&rig, REQUESTS) == 0);
    bare_close(&bare);
}

static void endless_continuations_end_the_connection(void **state)
{
    (void)state;
    struct bare bare;
    uint8_t block[64];
    const size_t n = frames_headers(block, "GET", "/nothing", -1);
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_send(&bare, FRAME_HEADERS, FRAME_END_STREAM, 1, block, n));
    for (int i = 0; i < 1000 && frames_send(&bare, FRAME_CONTINUATION, 0, 1, "", 0); i++) {
    }
    (void)bare_drain(&bare);
    bare_close(&bare);
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_true(harness_metric(&rig, ENDS("protocol")) + harness_metric(&rig, ENDS("flood")) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(pings_with_listening_end_the_connection),
        HARNESS_TEST(settings_end_the_connection),
        HARNESS_TEST(empty_data_ends_the_connection),
        HARNESS_TEST(window_updates_end_the_connection),
        HARNESS_TEST(unknown_frames_end_the_connection),
        HARNESS_TEST(rapid_resets_end_the_connection),
        HARNESS_TEST(pings_without_listening_end_the_connection),
        HARNESS_TEST(streams_are_capped),
        HARNESS_TEST(large_headers_reset_their_stream),
        HARNESS_TEST(endless_continuations_end_the_connection),
    };
    signal(SIGPIPE, SIG_IGN); /* of the bare connections here; the server needs no such thing */
    return harness_run(tests);
}
