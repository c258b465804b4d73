/* test_shared.c - one connection of a device process, over which all its tasks ask at once. */
#include "tests/unit/appliance/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "edge-client/session/connections.h"
#include "wire/keys.h"

#define ACCEPTED  "millrace_control_accepted_total"
#define RESUMED   "millrace_control_handshakes_resumed_total"
#define KEEP_MS   600000
#define TASKS     8
#define QUESTIONS 40
#define SOON_MS   200 /* a timeout that is meant to pass */
#define KEY_BYTES 32

static struct mre_connections *connections;

/* What one task of the device holds. */
static struct mr_connection_shared *take_with(const char *stem, unsigned keep_ms, int expected)
{
    struct paths paths;
    struct mr_error error = {""};
    struct mr_connection_shared *taken = NULL;
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, stem);
    endpoint.keep_ms = keep_ms;
    assert_int_equal(mr_connections_take(connections, &endpoint, WAIT_MS, &taken, &error),
                     expected);
    return taken;
}

static struct mr_connection_shared *take(int expected)
{
    return take_with("device-000", KEEP_MS, expected);
}

/* --- askers, each on a thread of its own */

struct asker {
    pthread_t thread;
    struct mr_connection_shared *connection;
    struct mr_h2_request request;
    struct mr_h2_response response;
    struct mr_error error;
    int failure;
};

static void *ask_one(void *argument)
{
    struct asker *asker = argument;
    asker->failure =
        mr_connections_ask(asker->connection, &asker->request, &asker->response, &asker->error);
    return NULL;
}

static void begin(struct asker *asker, struct mr_connection_shared *connection,
                  const struct mr_h2_request *request)
{
    *asker = (struct asker){.connection = connection, .request = *request};
    assert_int_equal(pthread_create(&asker->thread, NULL, ask_one, asker), 0);
}

/* A long poll, which the hub answers when it is told to. */
static void hold(struct asker *asker, struct mr_connection_shared *connection, unsigned timeout_ms,
                 int wake_fd)
{
    const unsigned before = atomic_load(&rig.held_now);
    begin(asker, connection,
          &(struct mr_h2_request){.method = "GET",
                                  .path = "/hold",
                                  .answer_max = 1000,
                                  .timeout_ms = timeout_ms,
                                  .wake_fd = wake_fd});
    harness_await(&rig.held_now, before + 1);
}

static int end(struct asker *asker)
{
    pthread_join(asker->thread, NULL);
    return asker->failure;
}

static void assert_told(struct asker *asker)
{
    assert_int_equal(end(asker), MR_H2_OK);
    assert_string_equal((char *)asker->response.body, "at last");
    mr_h2_response_fini(&asker->response);
}

static int ask_nothing(struct mr_connection_shared *connection)
{
    struct mr_h2_response response;
    struct mr_error error;
    const int failure = mr_connections_ask(
        connection,
        &(struct mr_h2_request){.method = "GET", .path = "/nothing", .timeout_ms = WAIT_MS},
        &response, &error);
    mr_h2_response_fini(&response);
    return failure;
}

/* --- side by side */

static void long_polls_keep_no_question_back(void **state)
{
    (void)state;
    struct asker waiting[TASKS];
    struct mr_connection_shared *own = take(0), *held[TASKS];
    for (unsigned i = 0; i < TASKS; i++) {
        held[i] = take(1);
        hold(&waiting[i], held[i], WAIT_MS, 0);
    }
    assert_int_equal(ask_nothing(own), MR_H2_OK);
    harness_release(&rig);
    for (unsigned i = 0; i < TASKS; i++) {
        assert_told(&waiting[i]);
        mr_connections_leave(held[i]);
    }
    assert_true(harness_metric(&rig, ACCEPTED) == 1);
    mr_connections_leave(own);
}

struct talker {
    pthread_t thread;
    unsigned number;
    unsigned right;
};

/* Questions of all sizes, each with an answer that nobody else has. */
static void *talk(void *argument)
{
    struct talker *talker = argument;
    struct mr_connection_shared *own = take(1);
    uint8_t *body = malloc(LARGE_BYTES);
    for (unsigned i = 0; body && i < QUESTIONS; i++) {
        const size_t length = i % 10 == 0 ? LARGE_BYTES / 16 : 64 + i;
        struct mr_h2_response response;
        struct mr_error error;
        memset(body, (int)(talker->number * QUESTIONS + i) % 251, length);
        const struct mr_h2_request request = {.method = "POST",
                                              .path = "/echo",
                                              .content_type = "application/octet-stream",
                                              .body = body,
                                              .length = length,
                                              .answer_max = LARGE_BYTES,
                                              .timeout_ms = WAIT_MS};
        if (mr_connections_ask(own, &request, &response, &error) == MR_H2_OK) {
            talker->right += response.length == length && memcmp(response.body, body, length) == 0;
            mr_h2_response_fini(&response);
        }
    }
    free(body);
    mr_connections_leave(own);
    return NULL;
}

static void everybody_gets_the_own_answer(void **state)
{
    (void)state;
    struct talker talkers[TASKS];
    struct mr_connection_shared *own = take(0);
    for (unsigned i = 0; i < TASKS; i++) {
        talkers[i] = (struct talker){.number = i};
        assert_int_equal(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        pthread_join(talkers[i].thread, NULL);
        assert_int_equal(talkers[i].right, QUESTIONS);
    }
    assert_true(harness_metric(&rig, ACCEPTED) == 1);
    mr_connections_leave(own);
}

/* --- one goes, the others stay */

/* The first is the one that reads for all. */
static void one_that_is_too_late_leaves_the_others(void **state)
{
    (void)state;
    struct asker late, patient, other;
    struct mr_connection_shared *one = take(0), *two = take(1), *three = take(1);
    hold(&late, one, SOON_MS, 0);
    hold(&patient, two, WAIT_MS, 0);
    hold(&other, three, WAIT_MS, 0);
    assert_int_equal(end(&late), MR_H2_TIMEOUT);
    harness_release(&rig);
    assert_told(&patient);
    assert_told(&other);
    mr_connections_leave(one);
    mr_connections_leave(two);
    mr_connections_leave(three);
}

static void one_that_is_woken_leaves_the_others(void **state)
{
    (void)state;
    for (unsigned woken = 0; woken < 3; woken++) {
        struct asker askers[3];
        const uint64_t one = 1;
        const int wake_fd = eventfd(0, EFD_CLOEXEC);
        struct mr_connection_shared *held[3];
        for (unsigned i = 0; i < 3; i++) {
            held[i] = take(i > 0);
            hold(&askers[i], held[i], WAIT_MS, i == woken ? wake_fd : 0);
        }
        assert_int_equal(write(wake_fd, &one, sizeof one), sizeof one);
        assert_int_equal(end(&askers[woken]), MR_H2_BROKEN);
        harness_release(&rig);
        for (unsigned i = 0; i < 3; i++) {
            if (i != woken) {
                assert_told(&askers[i]);
            }
            mr_connections_leave(held[i]);
        }
        close(wake_fd);
    }
}

static void a_hub_that_dies_is_heard_of_by_all(void **state)
{
    (void)state;
    struct asker askers[3];
    struct mr_connection_shared *held[3];
    for (unsigned i = 0; i < 3; i++) {
        held[i] = take(i > 0);
        hold(&askers[i], held[i], WAIT_MS, 0);
    }
    harness_stop(&rig);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(end(&askers[i]), MR_H2_BROKEN);
        assert_int_equal(ask_nothing(held[i]), MR_H2_BROKEN);
        mr_connections_retire(held[i]);
    }
    const struct mr_server_config config = harness_config(&rig);
    harness_start(&rig, &config);
}

/* --- who shares, and for how long */

static void export_key(uint8_t key[KEY_BYTES], const struct mr_connection_shared *connection,
                       const char *task)
{
    static const uint8_t hash[32] = {1}, id[16] = {2};
    uint8_t secret[MR_CONNECTION_SECRET_BYTES];
    const struct mr_key_scope scope = {.task = task, .announcement_hash = hash, .client_id = id};
    assert_int_equal(
        mr_h2_client_export(mr_connections_client(connection), MR_EXPORTER_LABEL, secret), 0);
    assert_int_equal(mr_upload_ekm(key, secret, &scope), 0);
}

/* Even where all else is the same. */
static void two_tasks_have_two_keys(void **state)
{
    (void)state;
    uint8_t keys[2][KEY_BYTES];
    struct mr_connection_shared *one = take(0), *two = take(1);
    assert_ptr_equal(one, two);
    export_key(keys[0], one, "digits");
    export_key(keys[1], two, "words");
    assert_memory_not_equal(keys[0], keys[1], KEY_BYTES);
    mr_connections_leave(one);
    mr_connections_leave(two);
}

/* An attempt that is begun again may not have the keys that it had. */
static void a_retired_one_gives_no_key_again(void **state)
{
    (void)state;
    uint8_t keys[3][KEY_BYTES];
    struct asker waiting;
    struct mr_connection_shared *one = take(0), *two = take(1);
    assert_int_equal(ask_nothing(one), MR_H2_OK); /* the hub's ticket is here */
    hold(&waiting, two, WAIT_MS, 0);
    export_key(keys[0], one, "digits");
    mr_connections_retire(one);
    one = take(0);
    export_key(keys[1], one, "digits");
    assert_memory_not_equal(keys[0], keys[1], KEY_BYTES);
    export_key(keys[2], two, "digits"); /* a grant that was given over it still holds */
    assert_memory_equal(keys[0], keys[2], KEY_BYTES);
    harness_release(&rig);
    assert_told(&waiting);
    assert_int_equal(ask_nothing(two), MR_H2_BROKEN); /* so that it moves over */
    mr_connections_retire(two);
    two = take(1);
    assert_ptr_equal(one, two);
    assert_int_equal(ask_nothing(two), MR_H2_OK);
    assert_true(harness_metric(&rig, ACCEPTED) == 2);
    assert_true(harness_metric(&rig, RESUMED) == 1);
    mr_connections_leave(one);
    mr_connections_leave(two);
}

static void who_comes_with_another_certificate_has_another(void **state)
{
    (void)state;
    struct mr_connection_shared *one = take(0), *other = take_with("device-001", KEEP_MS, 0);
    assert_ptr_not_equal(one, other);
    assert_true(harness_metric(&rig, ACCEPTED) == 2);
    mr_connections_leave(one);
    mr_connections_leave(other);
}

/* One that waits is not at rest. */
static void what_has_rested_is_not_taken(void **state)
{
    (void)state;
    const struct timespec rest = {.tv_nsec = 5000000};
    struct asker waiting;
    struct mr_connection_shared *one = take(0);
    hold(&waiting, one, WAIT_MS, 0);
    nanosleep(&rest, NULL);
    struct mr_connection_shared *two = take_with("device-000", 1, 1);
    harness_release(&rig);
    assert_told(&waiting);
    nanosleep(&rest, NULL);
    struct mr_connection_shared *three = take_with("device-000", 1, 0);
    assert_ptr_not_equal(one, three);
    mr_connections_leave(one);
    mr_connections_leave(two);
    mr_connections_leave(three);
}

/* A question behind another's long poll might wait as long as that. */
static void a_hub_of_few_streams_gets_more_connections(void **state)
{
    (void)state;
    struct mr_connection_shared *held[4];
    for (unsigned i = 0; i < 4; i++) {
        held[i] = take(i % 2);
        assert_int_equal(ask_nothing(held[i]), MR_H2_OK);
    }
    assert_true(harness_metric(&rig, ACCEPTED) == 2);
    for (unsigned i = 0; i < 4; i++) {
        mr_connections_leave(held[i]);
    }
}

static void a_revoked_device_is_cut_off_in_all_tasks(void **state)
{
    (void)state;
    char list[128];
    static const char uri[] = "urn:millrace:device:000000000000000000000000000000bb";
    const struct mr_pki_leaf leaf = {
        .stem = "lost", .uris = (const char *const[]){uri}, .uri_count = 1, .until_s = 3600};
    struct mr_error error;
    struct asker askers[2];
    struct mr_connection_shared *held[2];
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, NULL, &error), 0);
    config.revocation_file = list;
    harness_start(&rig, &config);
    assert_int_equal(mr_pki_issue(rig.dir, &leaf, &error), 0);
    for (unsigned i = 0; i < 2; i++) {
        held[i] = take_with("lost", KEEP_MS, i > 0);
        hold(&askers[i], held[i], WAIT_MS, 0);
    }
    assert_int_equal(mr_pki_revoke(rig.dir, "lost", &error), 0);
    harness_reload_revocations(&rig);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_not_equal(end(&askers[i]), MR_H2_OK);
        mr_connections_retire(held[i]);
    }
}

/* --- */

static int set_up(void **state)
{
    assert_int_equal(mre_connections_open(&connections), MRE_OK);
    return harness_set_up(state);
}

static int tear_down(void **state)
{
    mre_connections_close(connections);
    return harness_tear_down(state);
}

#define SHARED_TEST_WITH(name, ...)                                                                \
    cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down,                              \
                                             (&(struct mr_server_config){__VA_ARGS__}))

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARED_TEST_WITH(long_polls_keep_no_question_back, .streams_max = 16),
        SHARED_TEST_WITH(everybody_gets_the_own_answer, .streams_max = 16),
        SHARED_TEST_WITH(one_that_is_too_late_leaves_the_others, .streams_max = 16),
        SHARED_TEST_WITH(one_that_is_woken_leaves_the_others, .streams_max = 16),
        SHARED_TEST_WITH(a_hub_that_dies_is_heard_of_by_all, .streams_max = 16),
        SHARED_TEST_WITH(two_tasks_have_two_keys, .streams_max = 16),
        SHARED_TEST_WITH(a_retired_one_gives_no_key_again,
                         .sessions_bytes_max = (size_t)1024 * 1024),
        SHARED_TEST_WITH(who_comes_with_another_certificate_has_another, .streams_max = 16),
        SHARED_TEST_WITH(what_has_rested_is_not_taken, .streams_max = 16),
        SHARED_TEST_WITH(a_hub_of_few_streams_gets_more_connections, .streams_max = 2),
        SHARED_TEST_WITH(a_revoked_device_is_cut_off_in_all_tasks, .streams_max = 16),
    };
    return harness_run(tests);
}
