/* test_handshake_threads.c - handshakes beside the loop's thread: one that takes long holds up
 * nothing else, and whatever happens to its connection meanwhile, nothing of it is used afterwards.
 *
 * A handshake stands still where the hub asks, for a session that is taken up, what time it is. */
#include "tests/unit/appliance/http/harness.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/tls_session.h"

#define SHAKEN           "millrace_control_handshakes_total"
#define FAILURES(reason) "millrace_control_handshake_failures_total{reason=\"" reason "\"}"
#define CROWD            250
#define SHORT_MS         3000 /* for a handshake */
#define ROOM             ((size_t)1024 * 1024)

static atomic_bool is_gated;
static sem_t begun, gate;

static int64_t unix_s(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strncmp(name, "handshake", 9) == 0 && atomic_exchange(&is_gated, false)) {
        sem_post(&begun);
        sem_wait(&gate);
    }
    return (int64_t)time(NULL);
}

/* --- a device whose handshake stands still */

struct late {
    pthread_t thread;
    struct mr_tls_ticket *ticket;
    int result; /* of opening its connection */
};

static int come(struct mr_h2_client **client, struct mr_tls_ticket **ticket)
{
    struct paths paths;
    struct mr_error error;
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-000");
    endpoint.ticket = ticket;
    *client = NULL;
    return mr_h2_client_open(client, &endpoint, WAIT_MS, &error);
}

static int ask(struct mr_h2_client *client)
{
    struct mr_h2_response response;
    struct mr_error error;
    const int result = mr_h2_client_request(
        client, &(struct mr_h2_request){.method = "GET", .path = "/nothing", .timeout_ms = WAIT_MS},
        &response, &error);
    if (result == MR_H2_OK) {
        mr_h2_response_fini(&response);
    }
    return result;
}

static int visit(struct mr_tls_ticket **ticket)
{
    struct mr_h2_client *client;
    int result = come(&client, ticket);
    result = result == MR_H2_OK ? ask(client) : result;
    mr_h2_client_close(client);
    return result;
}

static void *come_late(void *context)
{
    struct late *late = context;
    late->result = visit(&late->ticket);
    return NULL;
}

static void begin(struct late *late)
{
    *late = (struct late){0};
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    assert_int_equal(visit(&late->ticket), MR_H2_OK);
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_non_null(late->ticket);
    atomic_store(&is_gated, true);
    assert_int_equal(pthread_create(&late->thread, NULL, come_late, late), 0);
    sem_wait(&begun);
}

/* Of a test that failed, the one that stands still goes on. */
static int tear_down(void **state)
{
    atomic_store(&is_gated, false);
    sem_post(&gate);
    return harness_tear_down(state);
}

static int end(struct late *late)
{
    pthread_join(late->thread, NULL);
    mr_tls_ticket_free(late->ticket);
    return late->result;
}

static void *open_gate(void *context)
{
    (void)context;
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
    sem_post(&gate);
    return NULL;
}

/* --- what goes on meanwhile */

static void others_are_served(void **state)
{
    (void)state;
    static struct late late;
    begin(&late);
    harness_assert_serves(&rig);
    sem_post(&gate);
    assert_int_equal(end(&late), MR_H2_OK);
    harness_await_metric(&rig, SHAKEN, 3);
}

/* Its socket stays: the newcomer must not get its number while the thread writes to it. */
static void one_that_is_pushed_out_is_freed_later(void **state)
{
    (void)state;
    static struct late late;
    uint8_t byte;
    begin(&late);
    const int fd = harness_connect(&rig);
    harness_await_metric(&rig, FAILURES("pushed_out"), 1);
    assert_true(harness_metric(&rig, CONNECTIONS) == 1);
    sem_post(&gate);
    assert_int_not_equal(end(&late), MR_H2_OK);
    harness_assert_serves(&rig); /* which pushes the silent one out */
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

/* Strangers who were let in faster than that would push out everybody who waits for a first piece.
 */
static void no_more_are_let_in_than_hands_are_shaken_with(void **state)
{
    (void)state;
    static struct late late;
    int fds[CROWD];
    begin(&late);
    for (unsigned i = 0; i < CROWD; i++) {
        fds[i] = harness_connect(&rig);
        assert_int_equal(send(fds[i], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    }
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
    assert_true(harness_metric(&rig, CONNECTIONS) < CROWD);
    sem_post(&gate);
    assert_int_equal(end(&late), MR_H2_OK);
    harness_await_metric(&rig, FAILURES("protocol"), CROWD); /* in the end, all of them */
    for (unsigned i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* One has the only thread and two wait for it, for longer than a handshake may take: it is the hub
 * that takes so long. Who says no more is cut off all the same, in a time of its own. */
static void what_the_hub_takes_is_not_the_devices_time(void **state)
{
    (void)state;
    static struct late late;
    struct late other = {0};
    begin(&late);
    const int silent = harness_connect(&rig);
    assert_int_equal(send(silent, "\x16", 1, 0), 1); /* the first of a TLS record */
    assert_int_equal(pthread_create(&other.thread, NULL, come_late, &other), 0);
    nanosleep(&(struct timespec){.tv_sec = SHORT_MS / 1000, .tv_nsec = 500 * 1000000}, NULL);
    const uint64_t opened_ms = now_ms();
    sem_post(&gate);
    assert_int_equal(end(&late), MR_H2_OK);
    assert_int_equal(end(&other), MR_H2_OK);
    nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
    const bool timed_out = harness_metric(&rig, FAILURES("timeout")) > 0;
    assert_true(!timed_out || now_ms() - opened_ms >= SHORT_MS);
    harness_await_metric(&rig, FAILURES("timeout"), 1);
    close(silent);
}

static void the_end_waits_for_it(void **state)
{
    (void)state;
    static struct late late;
    pthread_t opener;
    begin(&late);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    const struct mr_server_config config = harness_config(&rig);
    harness_stop(&rig);
    pthread_join(opener, NULL);
    assert_int_not_equal(end(&late), MR_H2_OK);
    harness_start(&rig, &config);
}

static void *reload(void *done)
{
    harness_reload_revocations(&rig);
    atomic_store((atomic_uint *)done, 1);
    return NULL;
}

/* What a handshake looks into is not changed under its hands, and counts when it is done. */
static void one_that_is_revoked_meanwhile_does_not_get_in(void **state)
{
    (void)state;
    static struct late late;
    char list[128];
    struct mr_error error;
    pthread_t thread;
    atomic_uint reloaded = 0;
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, NULL, &error), 0);
    config.revocation_file = list;
    config.sessions_bytes_max = ROOM;
    config.handshake_threads = 2;
    config.unix_s = unix_s;
    harness_start(&rig, &config);
    begin(&late);
    assert_int_equal(mr_pki_revoke(rig.dir, "device-000", &error), 0);
    assert_int_equal(pthread_create(&thread, NULL, reload, &reloaded), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
    assert_int_equal(atomic_load(&reloaded), 0);
    sem_post(&gate);
    pthread_join(thread, NULL);
    assert_int_not_equal(end(&late), MR_H2_OK);
    harness_await_metric(&rig, CONNECTIONS, 0);
    assert_true(harness_metric(&rig, FAILURES("revoked_certificate")) == 1);
}

#define STANDS_STILL(name, ...)                                                                    \
    cmocka_unit_test_prestate_setup_teardown(                                                      \
        name, harness_set_up, tear_down,                                                           \
        (&(struct mr_server_config){.sessions_bytes_max = ROOM, .unix_s = unix_s, __VA_ARGS__}))

int main(void)
{
    const struct CMUnitTest tests[] = {
        STANDS_STILL(others_are_served, .handshake_threads = 2),
        STANDS_STILL(one_that_is_pushed_out_is_freed_later, .handshake_threads = 2,
                     .handshakes_max = 1),
        STANDS_STILL(no_more_are_let_in_than_hands_are_shaken_with, .handshake_threads = 1,
                     .handshakes_max = 400, .connections_max = 400),
        STANDS_STILL(what_the_hub_takes_is_not_the_devices_time, .handshake_threads = 1,
                     .handshake_timeout_ms = SHORT_MS),
        STANDS_STILL(the_end_waits_for_it, .handshake_threads = 2),
        STANDS_STILL(one_that_is_revoked_meanwhile_does_not_get_in,
                     .handshake_threads = 2), /* the last: it stays so */
    };
    return harness_run(tests);
}
