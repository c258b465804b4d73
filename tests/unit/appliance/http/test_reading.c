/* test_reading.c - bodies that threads beside the loop's receive and decrypt: whole, side by side,
 * and whatever happens to the connection while a thread is at it.
 *
 * The loop waits where it receives until enough is there for a thread, and a thread stands still
 * where it receives. */
#include "tests/unit/appliance/http/frames.h"

#include <semaphore.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define SIDE         4 /* devices at once: one has room for one such body */
#define MOMENT_NS    (50 * 1000000)
#define POSTED_BYTES ((size_t)512 * 1024) /* fits in the window that it has at first */
#define SHORT_BYTES  65536
#define WINDOW       0x1000000 /* both of our windows: answers need no more */
#define FRAME_BYTES  16384
#define ENOUGH       (96 * 1024)       /* for a thread, when a record of it was read */
#define RECORD_BYTES (FRAME_BYTES - 9) /* of DATA that fill one */
#define FRAME_ACK    0x1

static atomic_bool is_gated;
static sem_t begun, gate;
static atomic_uint tries; /* of threads to receive */
static uint8_t sent[LARGE_BYTES];
static atomic_int awaited; /* bytes that are to be there before the loop receives; 0: none */

/* Once: so much of a body is there that it is for a thread. */
static void await_bytes(int fd)
{
    static const int room = 1024 * 1024; /* the socket's, as far as the kernel lets it */
    static const struct timespec pause = {.tv_nsec = 1000000};
    if (atomic_load(&awaited) == 0 || !pthread_equal(pthread_self(), rig.thread)) {
        return;
    }
    const int least = atomic_exchange(&awaited, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    for (int waiting = 0, i = 0; waiting < least && i < WAIT_MS; i++) {
        nanosleep(&pause, NULL);
        assert_int_equal(ioctl(fd, FIONREAD, &waiting), 0);
    }
}

/* In libc's place, for all of the program. */
ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    const bool is_beside = strncmp(name, "handshake", 9) == 0;
    if (is_beside && atomic_exchange(&is_gated, false)) {
        sem_post(&begun);
        sem_wait(&gate);
    }
    atomic_fetch_add(&tries, is_beside);
    await_bytes(fd);
    return recvfrom(fd, bytes, length, flags, NULL, NULL);
}

/* --- a device that sends a body */

struct visit {
    pthread_t thread;
    const char *device;
    size_t length;
    sem_t connected, go;
    int result;    /* of the request */
    bool is_whole; /* what came back is what was sent */
};

static void *post(void *context)
{
    struct visit *visit = context;
    struct mr_h2_client *client = harness_client(&rig, visit->device);
    struct mr_h2_response response;
    struct mr_error error;
    const struct mr_h2_request request = {.method = "POST",
                                          .path = "/echo",
                                          .content_type = "application/octet-stream",
                                          .body = sent,
                                          .length = visit->length,
                                          .answer_max = LARGE_BYTES,
                                          .timeout_ms = WAIT_MS};
    harness_ask(client, "GET", "/nothing", NULL, 0, &response); /* its handshake is over */
    mr_h2_response_fini(&response);
    sem_post(&visit->connected);
    sem_wait(&visit->go);
    visit->result = mr_h2_client_request(client, &request, &response, &error);
    if (visit->result == MR_H2_OK) {
        visit->is_whole =
            response.length == visit->length && memcmp(response.body, sent, visit->length) == 0;
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(client);
    return NULL;
}

/* Up to its connection, through its handshake. */
static void connect_one(struct visit *visit, const char *device, size_t length)
{
    *visit = (struct visit){.result = -1, .device = device, .length = length};
    sem_init(&visit->connected, 0, 0);
    sem_init(&visit->go, 0, 0);
    assert_int_equal(pthread_create(&visit->thread, NULL, post, visit), 0);
    sem_wait(&visit->connected);
}

static void arm(void)
{
    atomic_store(&awaited, ENOUGH);
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    atomic_store(&is_gated, true);
}

static void await_begun(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    assert_int_equal(sem_timedwait(&begun, &until), 0);
}

/* … and a thread stands still in the middle of the body. */
static void begin_gated(struct visit *visit)
{
    connect_one(visit, "device-000", LARGE_BYTES);
    arm();
    sem_post(&visit->go);
    await_begun();
}

static void *open_gate(void *context)
{
    (void)context;
    nanosleep(&(struct timespec){.tv_nsec = MOMENT_NS}, NULL);
    sem_post(&gate);
    return NULL;
}

/* Of a test that failed, the one that stands still goes on. */
static int tear_down(void **state)
{
    atomic_store(&awaited, 0);
    atomic_store(&is_gated, false);
    sem_post(&gate);
    return harness_tear_down(state);
}

/* --- cases */

static void bodies_are_whole(void **state)
{
    (void)state;
    static const char *const devices[SIDE] = {"device-000", "device-001", "device-002",
                                              "device-003"};
    struct visit visits[SIDE];
    for (unsigned i = 0; i < SIDE; i++) {
        connect_one(&visits[i], devices[i], LARGE_BYTES);
    }
    atomic_store(&tries, 0);
    atomic_store(&awaited, ENOUGH);
    for (unsigned i = 0; i < SIDE; i++) {
        sem_post(&visits[i].go);
    }
    for (unsigned i = 0; i < SIDE; i++) {
        pthread_join(visits[i].thread, NULL);
        assert_int_equal(visits[i].result, MR_H2_OK);
        assert_true(visits[i].is_whole);
    }
    assert_true(atomic_load(&tries) > 0);
    harness_await_metric(&rig, BODY_BYTES, 0);
}

/* What is short is not handed on. */
static void short_bodies_are_read_at_once(void **state)
{
    (void)state;
    struct visit visit;
    connect_one(&visit, "device-000", SHORT_BYTES);
    atomic_store(&tries, 0);
    atomic_store(&awaited, SHORT_BYTES);
    sem_post(&visit.go);
    pthread_join(visit.thread, NULL);
    assert_true(visit.result == MR_H2_OK && visit.is_whole);
    assert_int_equal(atomic_load(&tries), 0);
}

static void others_are_served(void **state)
{
    (void)state;
    struct visit visit;
    begin_gated(&visit);
    harness_assert_serves(&rig);
    sem_post(&gate);
    pthread_join(visit.thread, NULL);
    assert_true(visit.result == MR_H2_OK && visit.is_whole);
}

/* The loop waits for the piece, and the connection ends as any other. */
static void ended(struct visit *visit, void (*end)(void))
{
    pthread_t opener;
    begin_gated(visit);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    end();
    pthread_join(opener, NULL);
    pthread_join(visit->thread, NULL);
    assert_int_not_equal(visit->result, MR_H2_OK);
}

static void come_once_more(void)
{
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    mr_h2_client_close(client);
}

static void one_that_has_too_many(void **state)
{
    (void)state;
    struct visit visit;
    ended(&visit, come_once_more);
    harness_await_metric(&rig, CONNECTIONS, 0);
    harness_await_metric(&rig, BODY_BYTES, 0);
    harness_assert_serves(&rig);
}

static void stop(void)
{
    harness_stop(&rig);
}

static void the_server_ends(void **state)
{
    (void)state;
    struct visit visit;
    const struct mr_server_config config = harness_config(&rig);
    ended(&visit, stop);
    harness_start(&rig, &config);
}

static void revoke(void)
{
    struct mr_error error;
    assert_int_equal(mr_pki_revoke(rig.dir, "device-000", &error), 0);
    harness_reload_revocations(&rig);
}

static void one_that_is_revoked(void **state)
{
    (void)state;
    struct visit visit;
    char list[128];
    struct mr_error error;
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, NULL, &error), 0);
    config.revocation_file = list;
    config.handshake_threads = 2;
    harness_start(&rig, &config);
    ended(&visit, revoke);
    harness_await_metric(&rig, CONNECTIONS, 0);
}

/* --- a connection with more than the body */

/* The first of a body of POSTED_BYTES, on stream 3. */
static void *send_body(void *context)
{
    struct bare *bare = context;
    assert_true(frames_ask(bare, 3, "POST", "/echo", POSTED_BYTES, false));
    for (size_t at = 0; at < POSTED_BYTES; at += FRAME_BYTES) {
        const uint8_t flags = at + FRAME_BYTES == POSTED_BYTES ? FRAME_END_STREAM : 0;
        assert_true(frames_send(bare, FRAME_DATA, flags, 3, sent + at, FRAME_BYTES));
    }
    return NULL;
}

/* … for which the server's window is wide enough once its SETTINGS hold. */
static void open_wide(struct bare *bare)
{
    static struct frame frame;
    frames_open(bare, &rig, WINDOW);
    assert_true(frames_await(bare, FRAME_SETTINGS, 0, &frame));
    assert_true(frames_send(bare, FRAME_SETTINGS, FRAME_ACK, 0, NULL, 0));
    assert_true(frames_send_u32(bare, FRAME_WINDOW_UPDATE, 0, WINDOW));
}

/* The answers on streams 1 and 3, by turns, of these lengths. */
static void assert_answers(struct bare *bare, const void *first, size_t first_length)
{
    static struct frame frame;
    const uint8_t *bodies[] = {first, sent};
    size_t left[] = {first_length, POSTED_BYTES};
    while (left[0] + left[1] > 0) {
        assert_true(frames_next(bare, &frame));
        if (frame.type == FRAME_DATA) {
            const unsigned i = frame.stream / 2;
            assert_true(i < 2 && frame.length <= left[i]);
            assert_memory_equal(frame.payload, bodies[i], frame.length);
            bodies[i] += frame.length;
            left[i] -= frame.length;
        }
    }
}

/* Its TLS is asked for a key while a thread reads: what was read is not lost. */
static void one_that_is_taken_back(void **state)
{
    (void)state;
    struct bare bare;
    pthread_t sender, opener;
    open_wide(&bare);
    assert_true(frames_ask(&bare, 1, "GET", "/hold", -1, true));
    harness_await(&rig.held_now, 1);
    arm();
    assert_int_equal(pthread_create(&sender, NULL, send_body, &bare), 0);
    await_begun();
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    harness_release(&rig);
    pthread_join(opener, NULL);
    pthread_join(sender, NULL);
    assert_answers(&bare, "at last", 7);
    bare_close(&bare);
}

static void one_body_comes_while_another_goes(void **state)
{
    (void)state;
    struct bare bare;
    open_wide(&bare);
    assert_true(frames_ask(&bare, 1, "GET", "/big", -1, true));
    send_body(&bare);
    assert_answers(&bare, rig.big, BIG_BYTES);
    bare_close(&bare);
}

/* Of a body that comes a record at a time there is nothing for a thread. */
static void a_slow_body_is_read_at_once(void **state)
{
    (void)state;
    static const double rooms[] = {RECORD_BYTES, 2 * RECORD_BYTES, 4 * RECORD_BYTES};
    struct bare bare;
    static struct frame frame;
    open_wide(&bare);
    assert_true(frames_ask(&bare, 1, "GET", "/nothing", -1, true));
    assert_true(frames_await(&bare, FRAME_HEADERS, 1, &frame));
    atomic_store(&tries, 0);
    assert_true(frames_ask(&bare, 3, "POST", "/echo", LARGE_BYTES, false));
    for (unsigned i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        assert_true(frames_send(&bare, FRAME_DATA, 0, 3, sent, RECORD_BYTES));
        harness_await_metric(&rig, BODY_BYTES, rooms[i]);
    }
    assert_int_equal(atomic_load(&tries), 0);
    bare_close(&bare);
}

/* A device is gone while a thread reads: what came is thrown away. */
static void one_that_is_left(void **state)
{
    (void)state;
    struct bare bare;
    pthread_t opener;
    static struct frame frame;
    open_wide(&bare);
    assert_true(frames_ask(&bare, 1, "GET", "/nothing", -1, true));
    assert_true(frames_await(&bare, FRAME_HEADERS, 1, &frame));
    arm();
    assert_true(frames_ask(&bare, 3, "POST", "/echo", LARGE_BYTES, false));
    for (unsigned i = 0; i < ENOUGH / FRAME_BYTES; i++) {
        assert_true(frames_send(&bare, FRAME_DATA, 0, 3, sent, FRAME_BYTES));
    }
    await_begun();
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    bare_close(&bare);
    pthread_join(opener, NULL);
    harness_await_metric(&rig, CONNECTIONS, 0);
    harness_await_metric(&rig, BODY_BYTES, 0);
    harness_await_metric(&rig, REQUESTS, 0);
}

#define BESIDE(name, ...)                                                                          \
    cmocka_unit_test_prestate_setup_teardown(name, harness_set_up, tear_down,                      \
                                             (&(struct mr_server_config){__VA_ARGS__}))

int main(void)
{
    const struct CMUnitTest tests[] = {
        BESIDE(bodies_are_whole, .handshake_threads = 2),
        BESIDE(short_bodies_are_read_at_once, .handshake_threads = 2),
        BESIDE(others_are_served, .handshake_threads = 2),
        BESIDE(one_that_is_taken_back, .handshake_threads = 1),
        BESIDE(one_body_comes_while_another_goes, .handshake_threads = 2),
        BESIDE(a_slow_body_is_read_at_once, .handshake_threads = 2),
        BESIDE(one_that_is_left, .handshake_threads = 2),
        BESIDE(one_that_has_too_many, .handshake_threads = 2, .identity_connections_max = 1),
        BESIDE(the_server_ends, .handshake_threads = 1),
        BESIDE(one_that_is_revoked, .handshake_threads = 2), /* the last: it stays so */
    };
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        sent[i] = (uint8_t)(i * 2246822519u >> 15);
    }
    return harness_run(tests);
}
