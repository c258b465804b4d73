/* test_limits.c - too much of what is allowed: connections, handshakes, requests, bodies. */
#include "tests/unit/appliance/http/frames.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/messages.h"

static struct frame frame;

#define LIMITED(limit) "millrace_control_limited_total{limit=\"" limit "\"}"

static unsigned ask_until_refused(const char *stem, unsigned most)
{
    struct mr_h2_client *client = harness_client(&rig, stem);
    unsigned answered = 0;
    for (bool refused = false; !refused && answered <= most;) {
        struct mr_h2_response response;
        harness_ask(client, "GET", "/nothing", NULL, 0, &response);
        refused = response.status == 429;
        if (refused) {
            struct mr_refusal refusal;
            struct mr_error error;
            assert_int_equal(
                mr_refusal_decode(&refusal, (char *)response.body, response.length, &error), 0);
            assert_string_equal(refusal.name, "rate_limited");
            assert_true(refusal.retry_after_ms > 0 && refusal.retry_after_ms <= 1001);
        } else {
            assert_int_equal(response.status, 204);
            answered++;
        }
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(client);
    return answered;
}

static void requests_are_limited(void **state)
{
    (void)state;
    assert_true(ask_until_refused("device-000", 500) >= 10); /* and what time adds */
    assert_true(harness_metric(&rig, LIMITED("identity_requests")) == 1);
    /* The others have buckets of their own, until the address's is empty. */
    for (unsigned i = 0; i < 100 && harness_metric(&rig, LIMITED("source_requests")) < 1; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "device-%03u", 1 + i % 3);
        (void)ask_until_refused(stem, 500);
    }
    assert_true(harness_metric(&rig, LIMITED("source_requests")) >= 1);
    struct mr_h2_client *hub = harness_client(&rig, "hub-1");
    for (unsigned i = 0; i < 50; i++) { /* hubs are not limited */
        struct mr_h2_response response;
        harness_ask(hub, "GET", "/nothing", NULL, 0, &response);
        assert_int_equal(response.status, 204);
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(hub);
}

static void connections_of_one_address_are_limited(void **state)
{
    (void)state;
    unsigned closed = 0;
    for (unsigned i = 0; i < 500 && closed == 0; i++) {
        close(harness_connect(&rig));
        closed = harness_metric(&rig, LIMITED("source_connections")) > 0;
    }
    assert_int_equal(closed, 1);
}

#define PUSHED_OUT "millrace_control_handshake_failures_total{reason=\"pushed_out\"}"

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* The oldest give way: whoever stalls keeps nobody out, and stays until his place is needed. */
static void the_oldest_handshake_gives_way(void **state)
{
    (void)state;
    int fds[8];
    for (unsigned i = 0; i < 8; i++) {
        fds[i] = harness_connect(&rig);
    }
    harness_await_metric(&rig, PUSHED_OUT, 5);
    assert_true(harness_metric(&rig, "millrace_control_handshakes_pending") == 3);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(is_closed(fds[i]), i < 5);
    }
    harness_assert_serves(&rig);
    assert_true(harness_metric(&rig, PUSHED_OUT) == 6);
    assert_true(is_closed(fds[5]) && !is_closed(fds[6]) && !is_closed(fds[7]));
    for (unsigned i = 0; i < 8; i++) {
        close(fds[i]);
    }
    harness_await_metric(&rig, "millrace_control_handshakes_pending", 0);
    harness_assert_serves(&rig);
}

/* A handshake that failed lingers for a moment: it holds a place like one that goes on. */
static void failed_handshakes_give_way(void **state)
{
    (void)state;
    int fds[8];
    for (unsigned i = 0; i < 8; i++) {
        fds[i] = harness_connect(&rig);
        assert_int_equal(send(fds[i], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
        harness_await_metric(&rig, "millrace_control_handshake_failures_total{reason=\"protocol\"}",
                             i + 1);
    }
    assert_true(harness_metric(&rig, "millrace_control_handshakes_pending") <= 3);
    assert_true(harness_metric(&rig, PUSHED_OUT) == 0);
    harness_assert_serves(&rig);
    for (unsigned i = 0; i < 8; i++) {
        close(fds[i]);
    }
}

/* Strangers never take a connection's place from somebody with a certificate. */
static void handshakes_give_way_to_connections(void **state)
{
    (void)state;
    int fds[4];
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = harness_connect(&rig);
    }
    harness_await_metric(&rig, "millrace_control_accepted_total", 4);
    assert_true(harness_metric(&rig, "millrace_control_connections") == 2);
    harness_assert_serves(&rig);
    assert_true(harness_metric(&rig, "millrace_control_over_limit_total") == 0);
    for (unsigned i = 0; i < 4; i++) {
        close(fds[i]);
    }
}

static int status_of(struct mr_h2_client *client, const char *method, const char *path, size_t body)
{
    struct mr_h2_response response;
    harness_ask(client, method, path, body ? rig.big : NULL, body, &response);
    const int status = response.status;
    mr_h2_response_fini(&response);
    return status;
}

/* One certificate cannot hold all places: its oldest connection makes room for its newest. */
static void connections_of_one_identity_are_limited(void **state)
{
    (void)state;
    struct mr_h2_client *device[5], *hub[5];
    struct mr_h2_response response;
    struct mr_error error;
    for (unsigned i = 0; i < 5; i++) {
        device[i] = harness_client(&rig, "device-000");
        assert_int_equal(status_of(device[i], "GET", "/nothing", 0), 204);
        hub[i] = harness_client(&rig, "hub-1");
        assert_int_equal(status_of(hub[i], "GET", "/nothing", 0), 204);
    }
    assert_true(harness_metric(&rig, ENDS("crowded")) == 2);
    assert_true(harness_metric(&rig, "millrace_control_connections") == 3 + 5);
    harness_assert_serves(&rig); /* another identity */
    for (unsigned i = 0; i < 5; i++) {
        if (i < 2) {
            assert_int_not_equal(
                mr_h2_client_request(device[i],
                                     &(struct mr_h2_request){.method = "GET",
                                                             .path = "/nothing",
                                                             .timeout_ms = WAIT_MS},
                                     &response, &error),
                MR_H2_OK);
        } else {
            assert_int_equal(status_of(device[i], "GET", "/nothing", 0), 204);
        }
        assert_int_equal(status_of(hub[i], "GET", "/nothing", 0), 204); /* hubs are not limited */
        mr_h2_client_close(device[i]);
        mr_h2_client_close(hub[i]);
    }
}

/* Where all places are taken, a device that asks for nothing gives way, and nobody else. */
static void an_idle_device_gives_way(void **state)
{
    (void)state;
    struct bare poll;
    frames_open(&poll, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&poll, 1, "GET", "/hold", -1, true));
    harness_await(&rig.held_now, 1);
    struct mr_h2_client *idle = harness_client(&rig, "device-002");
    assert_int_equal(status_of(idle, "GET", "/nothing", 0), 204);
    harness_assert_serves(&rig);
    assert_true(harness_metric(&rig, ENDS("gave_way")) == 1);
    assert_true(harness_metric(&rig, "millrace_control_over_limit_total") == 0);
    harness_release(&rig);
    assert_true(frames_await(&poll, FRAME_DATA, 1, &frame));
    assert_memory_equal(frame.payload, "at last", 7);
    bare_close(&poll);
    mr_h2_client_close(idle);
}

/* --- bodies */

#define PIECE 16384

/* A body that is there but for its last byte. */
static void begin_large_body(struct bare *bare)
{
    frames_open(bare, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(bare, 1, "POST", "/echo", -1, false));
    for (size_t sent = PIECE; sent < LARGE_BYTES; sent += PIECE) {
        assert_true(frames_send(bare, FRAME_DATA, 0, 1, rig.big, PIECE));
    }
    assert_true(frames_send(bare, FRAME_DATA, 0, 1, rig.big, PIECE - 1));
    harness_await_metric(&rig, BODY_BYTES, (double)LARGE_BYTES);
}

static void await_busy(struct bare *bare, uint32_t stream)
{
    assert_true(frames_await(bare, FRAME_DATA, stream, &frame));
    frame.payload[frame.length] = 0;
    assert_non_null(strstr((const char *)frame.payload, "\"busy\""));
}

static void bodies_of_one_identity_are_bounded(void **state)
{
    (void)state;
    struct bare bare;
    begin_large_body(&bare);
    assert_true(frames_ask(&bare, 3, "POST", "/echo", LARGE_BYTES, false)); /* is told at once */
    await_busy(&bare, 3);
    assert_true(frames_ask(&bare, 5, "POST", "/echo", -1, false)); /* when it has grown */
    assert_true(frames_send(&bare, FRAME_DATA, 0, 5, rig.big, PIECE));
    await_busy(&bare, 5);
    assert_true(frames_ask(&bare, 7, "POST", "/small", 3, false)); /* a message has room */
    assert_true(frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 7, "abc", 3));
    assert_true(frames_await(&bare, FRAME_DATA, 7, &frame));
    assert_memory_equal(frame.payload, "abc", 3);
    struct mr_h2_client *other = harness_client(&rig, "device-001");
    assert_int_equal(status_of(other, "POST", "/echo", LARGE_BYTES), 200);
    mr_h2_client_close(other);
    assert_true(frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 1, "x", 1)); /* and the first */
    assert_true(frames_await(&bare, FRAME_DATA, 1, &frame));
    bare_close(&bare);
    harness_await_metric(&rig, BODY_BYTES, 0);
}

/* A device that comes back does not wait for what its lost connection left behind. */
static void a_newer_connection_takes_the_older_ones_body_room(void **state)
{
    (void)state;
    struct bare lost;
    begin_large_body(&lost);
    struct mr_h2_client *back = harness_client(&rig, "device-000");
    assert_int_equal(status_of(back, "POST", "/echo", LARGE_BYTES), 200);
    await_busy(&lost, 1);
    mr_h2_client_close(back);
    bare_close(&lost);
}

static void devices_leave_body_room_to_hubs(void **state)
{
    (void)state;
    struct bare bare;
    begin_large_body(&bare);
    struct mr_h2_client *device = harness_client(&rig, "device-001");
    struct mr_h2_client *hub = harness_client(&rig, "hub-1");
    assert_int_equal(status_of(device, "POST", "/echo", 100), 503);
    assert_int_equal(status_of(hub, "POST", "/echo", LARGE_BYTES), 200);
    mr_h2_client_close(device);
    mr_h2_client_close(hub);
    bare_close(&bare);
}

/* Ten requests of an identity at once, twenty of an address, ten connections; then so many a
 * second.
 */
#define LIMITED_RATES                                                                              \
    .identity_requests_rate = 1, .source_requests_rate = 2, .source_connections_rate = 1

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITH(requests_are_limited, LIMITED_RATES),
        HARNESS_TEST_WITH(connections_of_one_address_are_limited, LIMITED_RATES),
        HARNESS_TEST_WITH(the_oldest_handshake_gives_way, .handshakes_max = 3),
        HARNESS_TEST_WITH(failed_handshakes_give_way, .handshakes_max = 3),
        HARNESS_TEST_WITH(handshakes_give_way_to_connections, .connections_max = 2),
        HARNESS_TEST_WITH(connections_of_one_identity_are_limited, .identity_connections_max = 3),
        HARNESS_TEST_WITH(an_idle_device_gives_way, .connections_max = 2),
        HARNESS_TEST(bodies_of_one_identity_are_bounded),
        HARNESS_TEST(a_newer_connection_takes_the_older_ones_body_room),
        HARNESS_TEST_WITH(devices_leave_body_room_to_hubs, .bodies_bytes_max = LARGE_BYTES),
    };
    signal(SIGPIPE, SIG_IGN);
    return harness_run(tests);
}
