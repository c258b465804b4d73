/* test_sending.c - bodies that threads beside the loop's write: whole, side by side, and whatever
 * happens to the connection while a thread is at it.
 *
 * A thread stands still where it sends. */
#include "tests/unit/appliance/http/harness.h"

#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SIDE      6 /* devices at once */
#define MOMENT_NS (50 * 1000000)

static atomic_bool is_gated;
static sem_t begun, gate;
static atomic_uint pieces; /* sent by threads */

/* In libc's place, for all of the program. */
ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strncmp(name, "handshake", 9) == 0 && length > 8192) {
        atomic_fetch_add(&pieces, 1);
        if (atomic_exchange(&is_gated, false)) {
            sem_post(&begun);
            sem_wait(&gate);
        }
    }
    return sendto(fd, bytes, length, flags, NULL, 0);
}

/* --- a device that fetches a body */

struct visit {
    pthread_t thread;
    int result;    /* of the request */
    bool is_whole; /* what came is what was sent */
};

static void *fetch(void *context)
{
    struct visit *visit = context;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    struct mr_error error;
    const struct mr_h2_request request = {
        .method = "GET", .path = "/big", .answer_max = BIG_BYTES, .timeout_ms = WAIT_MS};
    visit->result = mr_h2_client_request(client, &request, &response, &error);
    if (visit->result == MR_H2_OK) {
        visit->is_whole =
            response.length == BIG_BYTES && memcmp(response.body, rig.big, BIG_BYTES) == 0;
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(client);
    return NULL;
}

static void begin(struct visit *visit)
{
    *visit = (struct visit){.result = -1};
    assert_int_equal(pthread_create(&visit->thread, NULL, fetch, visit), 0);
}

/* … and a thread stands still in the middle of it. */
static void begin_gated(struct visit *visit)
{
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    atomic_store(&is_gated, true);
    begin(visit);
    sem_wait(&begun);
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
    atomic_store(&is_gated, false);
    sem_post(&gate);
    return harness_tear_down(state);
}

/* --- cases */

static void bodies_are_whole(void **state)
{
    (void)state;
    struct visit visits[SIDE];
    atomic_store(&pieces, 0);
    const unsigned before = atomic_load(&rig.released);
    for (unsigned i = 0; i < SIDE; i++) {
        begin(&visits[i]);
    }
    for (unsigned i = 0; i < SIDE; i++) {
        pthread_join(visits[i].thread, NULL);
        assert_int_equal(visits[i].result, MR_H2_OK);
        assert_true(visits[i].is_whole);
    }
    harness_await(&rig.released, before + SIDE);
    assert_true(atomic_load(&pieces) > SIDE * BIG_BYTES / 65536); /* nearly all of it */
}

/* What is little is not handed on. */
static void answers_are_sent_at_once(void **state)
{
    (void)state;
    atomic_store(&pieces, 0);
    harness_assert_serves(&rig);
    assert_int_equal(atomic_load(&pieces), 0);
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
    const unsigned before = atomic_load(&rig.released);
    begin_gated(visit);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    end();
    pthread_join(opener, NULL);
    pthread_join(visit->thread, NULL);
    assert_int_not_equal(visit->result, MR_H2_OK);
    harness_await(&rig.released, before + 1);
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

#define BESIDE(name, ...)                                                                          \
    cmocka_unit_test_prestate_setup_teardown(name, harness_set_up, tear_down,                      \
                                             (&(struct mr_server_config){__VA_ARGS__}))

int main(void)
{
    const struct CMUnitTest tests[] = {
        BESIDE(bodies_are_whole, .handshake_threads = 2),
        BESIDE(answers_are_sent_at_once, .handshake_threads = 2),
        BESIDE(others_are_served, .handshake_threads = 2),
        BESIDE(one_that_has_too_many, .handshake_threads = 2, .identity_connections_max = 1),
        BESIDE(the_server_ends, .handshake_threads = 1),
        BESIDE(one_that_is_revoked, .handshake_threads = 2), /* the last: it stays so */
    };
    return harness_run(tests);
}
