/* test_kept.c - connections that devices keep: how long, how many, and who may not ride one. */
#include "tests/unit/appliance/http/frames.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define AT_REST "millrace_control_connections_at_rest"
#define YEAR_S  31536000

static atomic_llong ahead_s; /* of the hub's wall clock */

static int64_t unix_s(void)
{
    return (int64_t)time(NULL) + atomic_load(&ahead_s);
}

static int ask(struct mr_h2_client *client)
{
    struct mr_h2_response response;
    struct mr_error error;
    const int failure = mr_h2_client_request(
        client, &(struct mr_h2_request){.method = "GET", .path = "/nothing", .timeout_ms = WAIT_MS},
        &response, &error);
    if (failure == MR_H2_OK) {
        assert_int_equal(response.status, 204);
        mr_h2_response_fini(&response);
    }
    return failure;
}

static struct mr_h2_client *served(const char *stem)
{
    struct mr_h2_client *client = harness_client(&rig, stem);
    assert_int_equal(ask(client), MR_H2_OK);
    return client;
}

/* --- how long, how many */

static void a_device_rests_longer_than_others(void **state)
{
    (void)state;
    struct mr_h2_client *device = served("device-000"), *operator_ = served("operator");
    harness_await_metric(&rig, ENDS("idle"), 1);
    assert_int_not_equal(ask(operator_), MR_H2_OK);
    assert_int_equal(ask(device), MR_H2_OK);
    assert_true(harness_metric(&rig, AT_REST) == 1);
    mr_h2_client_close(device);
    mr_h2_client_close(operator_);
}

static void a_device_does_not_rest_for_ever(void **state)
{
    (void)state;
    struct mr_h2_client *device = served("device-000");
    harness_await_metric(&rig, ENDS("idle"), 1);
    harness_await_metric(&rig, AT_REST, 0);
    assert_int_not_equal(ask(device), MR_H2_OK);
    mr_h2_client_close(device);
}

/* A long rest buys no long body. */
static void a_body_that_comes_late_is_watched(void **state)
{
    (void)state;
    const struct timespec rest = {.tv_nsec = 400000000};
    struct bare bare;
    frames_open(&bare, &rig, WINDOW_DEFAULT);
    nanosleep(&rest, NULL);
    assert_true(frames_ask(&bare, 1, "POST", "/echo", -1, false));
    harness_await_metric(&rig, ENDS("stalled"), 1);
    bare_close(&bare);
}

/* The one that asks is not at rest, however long it has been there. */
static void the_longest_at_rest_makes_room(void **state)
{
    (void)state;
    struct bare poll;
    frames_open(&poll, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&poll, 1, "GET", "/hold", -1, true));
    harness_await(&rig.held_now, 1);
    struct mr_h2_client *device[3];
    for (unsigned i = 0; i < 3; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "device-%03u", i + 1);
        device[i] = served(stem);
    }
    harness_await_metric(&rig, ENDS("surplus"), 1);
    harness_await_metric(&rig, AT_REST, 2);
    assert_int_not_equal(ask(device[0]), MR_H2_OK);
    assert_int_equal(ask(device[1]), MR_H2_OK);
    assert_int_equal(ask(device[2]), MR_H2_OK);
    assert_true(harness_metric(&rig, ENDS("surplus")) == 1);
    for (unsigned i = 0; i < 3; i++) {
        mr_h2_client_close(device[i]);
    }
    bare_close(&poll);
}

/* --- who may not ride one */

static void an_expired_device_is_not_served(void **state)
{
    (void)state;
    struct mr_h2_client *device = served("device-000"), *fresh = served("device-001");
    atomic_store(&ahead_s, YEAR_S);
    assert_int_not_equal(ask(device), MR_H2_OK);
    harness_await_metric(&rig, ENDS("expired"), 2); /* the other too, which asks nothing */
    atomic_store(&ahead_s, 0);
    assert_int_not_equal(ask(fresh), MR_H2_OK);
    mr_h2_client_close(device);
    mr_h2_client_close(fresh);
}

/* An upload or a long poll that goes on does not carry it over the end either. */
static void an_expired_device_does_not_wait_on(void **state)
{
    (void)state;
    struct bare poll;
    frames_open(&poll, &rig, WINDOW_DEFAULT);
    assert_true(frames_ask(&poll, 1, "GET", "/hold", -1, true));
    harness_await(&rig.held_now, 1);
    atomic_store(&ahead_s, YEAR_S);
    harness_await_metric(&rig, ENDS("expired"), 1);
    atomic_store(&ahead_s, 0);
    bare_close(&poll);
}

static void issue(const char *stem, const char *uri, int64_t from_s)
{
    struct mr_error error;
    const struct mr_pki_leaf leaf = {.stem = stem,
                                     .uris = &uri,
                                     .uri_count = 1,
                                     .from_s = from_s,
                                     .until_s = 3600,
                                     .force = true};
    assert_int_equal(mr_pki_issue(rig.dir, &leaf, &error), 0);
}

/* Its older key may be in other hands: that is why it has another. */
static void a_rekeyed_device_leaves_its_old_connections(void **state)
{
    (void)state;
    static const char uri[] = "urn:millrace:device:000000000000000000000000000000aa";
    issue("old", uri, -600);
    issue("new", uri, -60);
    struct mr_h2_client *old = served("old"), *other = served("device-000");
    struct mr_h2_client *new = served("new");
    assert_true(harness_metric(&rig, ENDS("rekeyed")) == 1);
    assert_int_not_equal(ask(old), MR_H2_OK);
    mr_h2_client_close(old);
    old = served("old"); /* not revoked: it may come, but drives nobody out */
    assert_int_equal(ask(new), MR_H2_OK);
    assert_int_equal(ask(other), MR_H2_OK);
    assert_true(harness_metric(&rig, ENDS("rekeyed")) == 1);
    mr_h2_client_close(old);
    mr_h2_client_close(new);
    mr_h2_client_close(other);
}

/* One operator at two desks. */
static void an_operator_may_have_two_certificates(void **state)
{
    (void)state;
    static const char uri[] = "urn:millrace:operator:ann";
    issue("desk", uri, -600);
    issue("laptop", uri, -60);
    struct mr_h2_client *desk = served("desk"), *laptop = served("laptop");
    assert_int_equal(ask(desk), MR_H2_OK);
    assert_int_equal(ask(laptop), MR_H2_OK);
    mr_h2_client_close(desk);
    mr_h2_client_close(laptop);
}

static void a_revoked_device_is_not_served(void **state)
{
    (void)state;
    char list[128];
    struct mr_error error;
    static const char uri[] = "urn:millrace:device:000000000000000000000000000000bb";
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, NULL, &error), 0);
    config.revocation_file = list;
    harness_start(&rig, &config);
    issue("lost", uri, -60);
    struct mr_h2_client *lost = served("lost"), *other = served("device-000");
    assert_int_equal(mr_pki_revoke(rig.dir, "lost", &error), 0);
    harness_reload_revocations(&rig);
    assert_true(harness_metric(&rig, ENDS("revoked")) == 1);
    assert_int_not_equal(ask(lost), MR_H2_OK);
    assert_int_equal(ask(other), MR_H2_OK);
    mr_h2_client_close(lost);
    mr_h2_client_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST_WITH(a_device_rests_longer_than_others, .idle_timeout_ms = 1000,
                          .keep_ms = 600000),
        HARNESS_TEST_WITH(a_device_does_not_rest_for_ever, .keep_ms = 1000),
        HARNESS_TEST_WITH(a_body_that_comes_late_is_watched, .idle_timeout_ms = 200,
                          .keep_ms = 600000),
        HARNESS_TEST_WITH(the_longest_at_rest_makes_room, .kept_max = 2),
        HARNESS_TEST_WITH(an_expired_device_is_not_served, .unix_s = unix_s),
        HARNESS_TEST_WITH(an_expired_device_does_not_wait_on, .unix_s = unix_s),
        HARNESS_TEST(a_rekeyed_device_leaves_its_old_connections),
        HARNESS_TEST(an_operator_may_have_two_certificates),
        HARNESS_TEST(a_revoked_device_is_not_served),
    };
    return harness_run(tests);
}
