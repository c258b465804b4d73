/* test_hostile.c - peers with a good certificate and bad manners: the server bounds what they cost,
 * ends them, and serves the others meanwhile. */
#include "tests/unit/appliance/http/frames.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WINDOW_MAX         0x7fffffff
#define GOAWAY_CODE(frame) ((frame).payload[7])

static struct frame frame;

/* --- no HTTP/2 */

static void garbage_instead_of_http2(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxx",
                                        "\x16\x03\x01\x02"};
    unsigned ended = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bare bare;
        bare_open(&bare, &rig, rig.dir, "device-000", TLS1_3_VERSION);
        assert_true(SSL_write(bare.ssl, texts[i], (int)strlen(texts[i])) > 0);
        (void)bare_drain(&bare); /* they hang up, we wait as long as it takes */
        bare_close(&bare);
        harness_await_metric(&rig, ENDS("protocol"), ++ended);
    }
    harness_await_metric(&rig, CONNECTIONS, 0);
    harness_assert_serves(&rig);
}

static void random_frames(void **state)
{
    (void)state;
    const unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    uint32_t random = seed | 1;
    for (int i = 0; i < 60; i++) {
        struct bare bare;
        frames_open(&bare, &rig, WINDOW_DEFAULT);
        for (int f = 0; f < 60; f++) {
            uint8_t payload[600], block[64];
            for (size_t b = 0; b < sizeof payload; b++) {
                random = random * 1664525 + 1013904223;
                payload[b] = (uint8_t)(random >> 24);
            }
            size_t length = payload[0] * 2u;
            const uint8_t type = payload[1] % 11;
            if (type == FRAME_HEADERS && payload[2] % 4) { /* some that get somewhere */
                length = frames_headers(block, payload[3] & 1 ? "GET" : "POST",
                                        payload[3] & 2 ? "/echo" : "/big", payload[4]);
                memcpy(payload, block, length);
            }
            const uint32_t stream = payload[5] % 8 ? payload[6] % 16 * 2u + 1 : payload[6];
            if (!frames_send(&bare, type, payload[599], type == FRAME_SETTINGS ? 0 : stream,
                             payload, length)) {
                break;
            }
        }
        bare_close(&bare);
    }
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_true(harness_metric(&rig, REQUESTS) == 0);
    assert_true(harness_metric(&rig, BODY_BYTES) == 0);
    harness_assert_serves(&rig);
}

/* --- peers that vanish */

static void gone_in_the_middle_of_a_body(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "POST", "/echo", 1000000, false));
    assert_true(frames_ask(&bare, 3, "POST", "/echo", -1, false));
    assert_true(frames_send(&bare, FRAME_DATA, 0, 1, rig.big, 1000));
    harness_await_metric(&rig, BODY_BYTES, 4096); /* as it grows, whatever was announced */
    assert_true(frames_send(&bare, FRAME_DATA, 0, 3, rig.big, 1000));
    harness_await_metric(&rig, BODY_BYTES, 4096 + 4096);
    bare_close(&bare);
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_true(harness_metric(&rig, BODY_BYTES) == 0);
    assert_true(harness_metric(&rig, REQUESTS) == 0);
    assert_int_equal(atomic_load(&rig.handled), 0);
    harness_assert_serves(&rig);
}

static void gone_while_the_answer_is_awaited(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "GET", "/hold", -1, true));
    harness_await(&rig.held_now, 1);
    bare_close(&bare);
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_true(harness_metric(&rig, REQUESTS) == 1); /* the handler has it still */
    harness_release(&rig);
    assert_true(harness_metric(&rig, REQUESTS) == 0);
    assert_true(harness_metric(&rig, "millrace_control_answers_void_total") == 1);
    harness_assert_serves(&rig);
}

static void gone_in_the_middle_of_an_answer(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "GET", "/big", -1, true));
    assert_true(frames_await(&bare, FRAME_DATA, 1, &frame));
    assert_int_equal(atomic_load(&rig.released), 0);
    bare_close(&bare);
    harness_await(&rig.released, 1);
    harness_await_metric(&rig, CONNECTIONS, 0);
}

/* --- slow ones */

static void a_slow_reader_holds_up_nobody(void **state)
{
    (void)state;
    struct bare bare;
    size_t got = 0;
    frames_open(&bare, &rig, WINDOW_MAX); /* not HTTP/2's window: the socket is what blocks */
    assert_true(frames_send_u32(&bare, FRAME_WINDOW_UPDATE, 0, WINDOW_MAX - WINDOW_DEFAULT));
    for (uint32_t stream = 1; stream <= 7; stream += 2) {
        assert_true(frames_ask(&bare, stream, "GET", "/big", -1, true));
    }
    harness_await(&rig.handled, 4);
    for (int i = 0; i < 20; i++) {
        harness_assert_serves(&rig);
    }
    assert_true(atomic_load(&rig.released) < 4);
    while (got < 4 * BIG_BYTES && frames_next(&bare, &frame)) {
        got += frame.type == FRAME_DATA ? frame.length : 0;
    }
    assert_int_equal(got, 4 * BIG_BYTES);
    harness_await(&rig.released, 4);
    bare_close(&bare);
}

/* With short time limits this machine's own pauses may end a connection before the test has done
 * its part: such a try proves nothing and is repeated. */
#define TRIES 50

static bool hold_a_poll(struct bare *poll)
{
    for (int i = 0; i < TRIES; i++) {
        frames_open(poll, &rig, WINDOW_DEFAULT);
        (void)frames_ask(poll, 1, "GET", "/hold", -1, true);
        (void)frames_send(poll, FRAME_PING, 0, 0, "12345678", 8);
        if (frames_await(poll, FRAME_PING, 0, &frame)) { /* then the request has got there too */
            harness_await(&rig.held_now, 1);
            return true;
        }
        bare_close(poll);
    }
    return false;
}

static void idle_connections_are_closed_but_long_polls_are_not(void **state)
{
    (void)state;
    struct bare poll, idle;
    assert_true(hold_a_poll(&poll));
    for (unsigned i = 1; i <= 3; i++) { /* several idle times later … */
        const double before = harness_metric(&rig, ENDS("idle"));
        frames_open(&idle, &rig, WINDOW_DEFAULT);
        assert_true(frames_await(&idle, FRAME_GOAWAY, 0, &frame));
        assert_int_equal(GOAWAY_CODE(frame), 0);
        bare_close(&idle);
        harness_await_metric(&rig, ENDS("idle"), before + 1);
    }
    harness_release(&rig); /* … the poll is answered all the same */
    assert_true(frames_await(&poll, FRAME_DATA, 1, &frame));
    assert_memory_equal(frame.payload, "at last", 7);
    bare_close(&poll);
}

static void a_body_that_does_not_go_on_is_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < TRIES && harness_metric(&rig, ENDS("stalled")) < 1; i++) {
        struct bare bare;
        frames_open(&bare, &rig, WINDOW_DEFAULT);
        (void)frames_ask(&bare, 1, "POST", "/echo", 1000, false);
        (void)frames_send(&bare, FRAME_DATA, 0, 1, rig.big, 10);
        assert_true(frames_await(&bare, FRAME_GOAWAY, 0, &frame));
        bare_close(&bare);
    }
    assert_true(harness_metric(&rig, ENDS("stalled")) == 1);
    assert_true(harness_metric(&rig, BODY_BYTES) == 0);
}

/* Nor is it kept alive by what the connection does besides. */
static void a_body_that_stands_still_beside_others_is_given_up(void **state)
{
    (void)state;
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < TRIES && harness_metric(&rig, ENDS("stalled")) < 1; i++) {
        struct bare bare;
        uint32_t stream = 3;
        frames_open(&bare, &rig, WINDOW_DEFAULT);
        (void)frames_ask(&bare, 1, "POST", "/echo", 1000, false);
        (void)frames_send(&bare, FRAME_DATA, 0, 1, rig.big, 10);
        while (stream < 2 * WAIT_MS && frames_ask(&bare, stream, "GET", "/nothing", -1, true) &&
               frames_await(&bare, FRAME_HEADERS, stream, &frame)) {
            stream += 2;
            nanosleep(&pause, NULL);
        }
        bare_close(&bare);
        assert_true(stream < 2 * WAIT_MS);
    }
    assert_true(harness_metric(&rig, ENDS("stalled")) == 1);
}

static void a_reader_that_does_not_go_on_is_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < TRIES && harness_metric(&rig, ENDS("stalled")) < 1; i++) {
        struct bare bare;
        frames_open(&bare, &rig, WINDOW_DEFAULT); /* never opened further */
        (void)frames_ask(&bare, 1, "GET", "/big", -1, true);
        assert_true(frames_await(&bare, FRAME_GOAWAY, 0, &frame));
        bare_close(&bare);
    }
    assert_true(harness_metric(&rig, ENDS("stalled")) == 1);
    harness_await(&rig.released, atomic_load(&rig.handled));
    assert_true(atomic_load(&rig.released) > 0);
}

/* --- lies about the length */

static void a_body_of_another_length_than_told_is_not_handled(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "POST", "/echo", 100, false)); /* less */
    assert_true(frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 1, rig.big, 99));
    assert_true(frames_await(&bare, FRAME_RST_STREAM, 1, &frame));
    assert_true(frames_ask(&bare, 3, "POST", "/echo", 100, false)); /* more */
    assert_true(frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 3, rig.big, 101));
    assert_true(frames_await(&bare, FRAME_RST_STREAM, 3, &frame));
    assert_int_equal(atomic_load(&rig.handled), 0);
    assert_true(frames_ask(&bare, 5, "POST", "/echo", 100, false)); /* right */
    assert_true(frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 5, rig.big, 100));
    assert_true(frames_await(&bare, FRAME_DATA, 5, &frame));
    assert_int_equal(atomic_load(&rig.handled), 1);
    assert_true(harness_metric(&rig, BODY_BYTES) == 0);
    bare_close(&bare);
}

static void a_body_that_grows_above_the_bound_is_refused(void **state)
{
    (void)state;
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&bare, 1, "POST", "/small", -1, false)); /* no length told */
    assert_true(frames_send(&bare, FRAME_DATA, 0, 1, rig.big, SMALL_BYTES));
    assert_true(frames_send(&bare, FRAME_DATA, 0, 1, rig.big, 1));
    assert_true(frames_await(&bare, FRAME_DATA, 1, &frame));
    frame.payload[frame.length] = 0;
    assert_non_null(strstr((const char *)frame.payload, "body_too_large"));
    assert_true(frames_await(&bare, FRAME_RST_STREAM, 1, &frame)); /* "stop sending" */
    assert_int_equal(CODE_OF(frame), 0);
    assert_int_equal(atomic_load(&rig.handled), 0);
    bare_close(&bare);
}

/* Short time limits. */
#define IMPATIENT_TEST(name) HARNESS_TEST_WITH(name, .idle_timeout_ms = 200)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(garbage_instead_of_http2),
        HARNESS_TEST(random_frames),
        HARNESS_TEST(gone_in_the_middle_of_a_body),
        HARNESS_TEST(gone_while_the_answer_is_awaited),
        HARNESS_TEST(gone_in_the_middle_of_an_answer),
        HARNESS_TEST(a_slow_reader_holds_up_nobody),
        IMPATIENT_TEST(idle_connections_are_closed_but_long_polls_are_not),
        IMPATIENT_TEST(a_body_that_does_not_go_on_is_given_up),
        IMPATIENT_TEST(a_body_that_stands_still_beside_others_is_given_up),
        IMPATIENT_TEST(a_reader_that_does_not_go_on_is_given_up),
        HARNESS_TEST(a_body_of_another_length_than_told_is_not_handled),
        HARNESS_TEST(a_body_that_grows_above_the_bound_is_refused),
    };
    signal(SIGPIPE, SIG_IGN); /* of the bare connections here; the server needs no such thing */
    return harness_run(tests);
}
