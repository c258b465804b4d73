/* test_hubs.c - two real hub processes over TLS: a whole round, a cohort one short, a helper asked
 * twice, wrong roles and paths, the end in the middle of things. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/cli/pki.h"
#include "federation.h"
#include "tests/unit/wire/pair.h"

/* --- whole rounds ---------------------------------------------------------------------------- */

static void run_round(struct federation *federation, uint64_t after)
{
    struct device devices[4];
    const uint64_t round = federation_open_round(federation, NULL);
    assert_int_equal(round, after + 1);
    for (unsigned i = 0; i < 4; i++) {
        device_open(&devices[i], federation, i, after);
    }
    devices_commit(devices, 0, 4);
    json_t *outcome = federation_await(federation, round);
    assert_string_equal(json_string_value(json_object_get(outcome, "state")), "published");
    assert_int_equal(json_integer_value(json_object_get(outcome, "included")), 4);
    devices_check_sum(devices, 4, round);

    const char *hash = json_string_value(json_object_get(outcome, "model_hash"));
    char path[160];
    struct mr_h2_response models[FEDERATION_HUBS];
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        struct mr_h2_client *client = federation_client(federation, "device-000", hub);
        snprintf(path, sizeof path, "/v1/tasks/default/models/%s", hash);
        assert_int_equal(federation_ask(client, "GET", path, NULL, 0, &models[hub]), 200);
        mr_h2_client_close(client);
    }
    assert_int_equal(models[0].length, models[1].length);
    assert_memory_equal(models[0].body, models[1].body, models[0].length);
    for (unsigned i = 0; i < FEDERATION_HUBS; i++) {
        mr_h2_response_fini(&models[i]);
    }
    devices_close(devices, 4);
    json_decref(outcome);
}

/* Every hub lists and shows the round, whatever its part in it, also after a restart. */
static void expect_round_known(struct federation *federation, unsigned hub, uint64_t round)
{
    json_t *one, *all;
    char path[64];
    snprintf(path, sizeof path, "/v1/tasks/default/admin/rounds/%llu", (unsigned long long)round);
    assert_int_equal(federation_json(federation, "operator", hub, "GET", path, NULL, &one), 200);
    assert_string_equal(json_string_value(json_object_get(one, "state")),
                        hub == 0 ? "published" : "revealed");
    assert_string_equal(json_string_value(json_object_get(one, "role")),
                        hub == 0 ? "lead" : "helper");
    assert_true(json_integer_value(json_object_get(one, "ended_unix_ms")) > 0);
    assert_true(json_integer_value(json_object_get(one, "included")) > 0);
    assert_true(json_is_object(json_object_get(one, "metrics")));
    json_decref(one);
    assert_int_equal(federation_json(federation, "operator", hub, "GET",
                                     "/v1/tasks/default/admin/rounds", NULL, &all),
                     200);
    one = json_array_get(json_object_get(all, "rounds"), round - 1);
    assert_int_equal(json_integer_value(json_object_get(one, "round")), round);
    json_decref(all);
}

static void test_rounds_and_restarts(void **state)
{
    struct federation *federation = *state;
    run_round(federation, 0);
    run_round(federation, 1);
    /* Both come back from their disks: models, current, round numbers. */
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        assert_int_equal(federation_stop(federation, hub, SIGTERM), 0);
        federation_start(federation, hub);
    }
    run_round(federation, 2);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        expect_round_known(federation, hub, 1);
    }
}

static void test_one_short_releases_nothing_anywhere(void **state)
{
    struct federation *federation = *state;
    struct device devices[2];
    const uint64_t round = federation_open_round(federation, "{\"deadline_ms\": 10000}");
    for (unsigned i = 0; i < 2; i++) {
        device_open(&devices[i], federation, i, 0);
        device_upload(&devices[i], 0);
    }
    federation_expect(federation, round, "void", "below_cohort_minimum: ");
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        assert_false(federation_has_file(federation, hub, "rounds/1.sum"));
    }
    devices_close(devices, 2);
    federation_await_metric(federation, 1,
                            "millrace_helper_state{task=\"default\",state=\"void\"} 1");
    /* The next round is not harmed. */
    run_round(federation, 1);
}

static void test_attempts(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    struct mr_upload_request request;
    char code[40];
    const uint64_t round = devices_begin(devices, 4, federation);
    device_seed(&devices[0], 0, &request);
    assert_int_equal(device_request(&devices[0], &request, code), 200);
    const uint64_t first = devices[0].grant.upload_id;
    assert_int_equal(device_request(&devices[0], &request, code), 409);
    assert_string_equal(code, "bad_attempt");
    device_upload(&devices[0], 1); /* a new attempt takes the place of the first */
    devices[0].grant.upload_id = first;
    assert_int_equal(device_await(&devices[0], 0).reason, MR_REASON_SUPERSEDED);
    assert_int_equal(device_put(&devices[0]), 409);
    device_seed(&devices[0], 2, &request);
    assert_int_equal(device_request(&devices[0], &request, code), 409);
    assert_string_equal(code, "already_counted");
    device_seed(&devices[0], 1, &request); /* the share as sent, for the sum */
    devices_upload(devices, 1, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

/* Between the last byte and the sync nobody knows whether an upload counts: the lead is busy, and
 * says what is so to whoever comes back. Here that takes a second, where it mostly takes no time.
 */
static void test_attempt_before_the_commit(void **state)
{
    struct federation *federation = federation_open("");
    struct device devices[4];
    struct mr_upload_request request;
    char code[40];
    (void)state;
    federation_edit(federation, 0, "s/commit_interval_ms: 20/commit_interval_ms: 1500/");
    federation_run(federation);
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_commit(devices, 0, 1); /* the next commit is due in a while */
    device_upload(&devices[1], 0);
    device_seed(&devices[1], 1, &request);
    assert_int_equal(device_request(&devices[1], &request, code), 409);
    assert_string_equal(code, "already_counted");
    devices_upload(devices, 2, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
    federation_close(federation);
}

/* What cannot be synced is not called committed: the hub stops instead. */
static void test_disk_that_takes_no_more(void **state)
{
    struct federation *federation = *state;
    struct device device;
    struct mr_upload_request request;
    assert_int_equal(federation_stop(federation, 0, SIGTERM), 0);
    federation->file_limit = 1500; /* enough for the signed terms, not for a sum */
    federation_start(federation, 0);
    const uint64_t round = federation_open_round(federation, NULL);
    device_open(&device, federation, 0, 0);
    device_seed(&device, 0, &request);
    assert_int_equal(device_request(&device, &request, NULL), 200);
    struct mr_h2_response response;
    struct mr_error error;
    char path[120];
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/1/uploads/%016llx/share",
             (unsigned long long)device.grant.upload_id);
    assert_int_equal(federation_ask(device.lead, "PUT", path, device.share,
                                    device.terms.layout.share_bytes, &response),
                     202);
    mr_h2_response_fini(&response);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/1/uploads/%016llx?wait_ms=20000",
             (unsigned long long)device.grant.upload_id);
    if (mr_h2_client_request(
            device.lead,
            &(struct mr_h2_request){
                .method = "GET", .path = path, .answer_max = 1000, .timeout_ms = 20000},
            &response, &error) == MR_H2_OK) {
        assert_null(strstr((char *)response.body, "committed"));
        mr_h2_response_fini(&response);
    }
    assert_int_equal(federation_wait(federation, 0), 1);
    device_close(&device);
    /* With room again the same round goes on, without the upload that was not durable. */
    federation->file_limit = 0;
    federation_start(federation, 0);
    struct device devices[4];
    for (unsigned i = 0; i < 4; i++) {
        device_open(&devices[i], federation, i, 0);
        assert_int_equal(devices[i].terms.announcement.round, round);
    }
    devices_upload(devices, 0, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

static void test_rounds_by_themselves(void **state)
{
    struct federation *federation = federation_open("      automatic: true\n");
    (void)state;
    federation_run(federation);
    for (uint64_t round = 1; round <= 2; round++) {
        struct device devices[4];
        for (unsigned i = 0; i < 4; i++) {
            device_open(&devices[i], federation, i, round - 1);
            assert_int_equal(devices[i].terms.announcement.round, round);
        }
        devices_commit(devices, 0, 4);
        devices_close(devices, 4);
    }
    federation_close(federation);
}

/* --- a helper alone, and a lead that asks for too much --------------------------------------- */

static size_t propose(struct federation *federation, uint8_t *bytes, uint64_t round, float scale,
                      struct mr_round_terms *terms)
{
    struct mr_announcement announcement = {.round = round,
                                           .task = "default",
                                           .deadline_unix_ms = 1,
                                           .dimension = DIMENSION,
                                           .ring_bits = 16,
                                           .levels = 127,
                                           .headroom = 4,
                                           .seal = MR_SEAL_HPKE,
                                           .chunk_bytes = 1408,
                                           .cohort_min = 3,
                                           .cohort_max = 6,
                                           .weight_max = 10,
                                           .scale = scale,
                                           .clip_norm = 1.0f,
                                           .step_max = 1000,
                                           .optimiser = {.learning_rate = 1},
                                           .hub_count = FEDERATION_HUBS};
    struct mr_error error = {.text = ""};
    uint8_t key[32];
    memcpy(announcement.model_hash, federation->model_hash, MR_HASH_BYTES);
    for (unsigned i = 0; i < FEDERATION_HUBS; i++) {
        announcement.hubs[i].index = (uint16_t)i;
        snprintf(announcement.hubs[i].name, sizeof announcement.hubs[i].name, "hub-%u", i);
        federation_public_key(federation, i, announcement.hubs[i].public_key);
    }
    const size_t length = mr_announcement_encode(bytes, &announcement);
    assert_int_equal(mr_round_terms_decode(terms, bytes, length, &error), 0);
    federation_private_key(federation, 0, key);
    assert_int_equal(mr_announcement_sign(bytes + length, terms->hash, NULL, PAIR_OF(key)), 0);
    return length + MR_SIGNATURE_BYTES;
}

static size_t freeze_body(struct federation *federation, uint8_t *body,
                          const struct mr_round_terms *terms, unsigned first, unsigned count)
{
    struct mr_included entries[FEDERATION_DEVICES];
    struct mr_commitment commitment = {.hub_index = 0, .value = {1}};
    uint8_t key[32];
    for (unsigned i = 0; i < count; i++) {
        mr_pki_device_id(entries[i].client_id, first + i, FEDERATION_DEVICES);
        entries[i].attempt = 0;
    }
    mr_included_sort(entries, count);
    const size_t length = mr_included_encode(body, entries, count);
    federation_private_key(federation, 0, key);
    assert_int_equal(mr_commitment_sign(&commitment, terms->hash, PAIR_OF(key)), 0);
    mr_commitment_encode(body + length, &commitment);
    return length + MR_COMMITMENT_BYTES;
}

/* The helper refuses what the lead sends. */
static void expect_refused(struct federation *federation, const char *path, const void *body,
                           size_t length, const char *code)
{
    const struct federation_request request = {
        .stem = "hub-0", .hub = 1, .method = "POST", .path = path, .body = body, .length = length};
    federation_refused(federation, &request, code);
}

/* Of the helper's signature, as devices have it from the envelope. */
static void take_seal_key(struct mr_round_terms *terms, const struct mr_h2_response *answer)
{
    struct mr_peer_signature signed_by;
    struct mr_error error = {.text = ""};
    assert_int_equal(
        mr_peer_signature_decode(&signed_by, (const char *)answer->body, answer->length, &error),
        0);
    memcpy(terms->seal_keys[1], signed_by.signature.seal_key, MR_SEAL_KEY_BYTES);
}

static void test_helper_is_asked_twice(void **state)
{
    struct federation *federation = *state;
    struct mr_round_terms terms;
    struct mr_h2_response answers[2];
    uint8_t bytes[MR_PROPOSAL_MAX], body[1024];
    struct mr_h2_client *lead = federation_client(federation, "hub-0", 1);
    size_t length = propose(federation, bytes, 40, 100.0f, &terms);
    assert_int_equal(
        federation_ask(lead, "POST", "/v1/tasks/default/peer/rounds", bytes, length, &answers[0]),
        200);
    take_seal_key(&terms, &answers[0]);
    mr_h2_response_fini(&answers[0]);
    for (unsigned i = 0; i < 5; i++) {
        struct device device = {.federation = federation, .number = i, .terms = terms};
        mr_pki_device_id(device.client_id, i, FEDERATION_DEVICES);
        struct mr_upload_request request;
        snprintf(device.stem, sizeof device.stem, "device-%03u", i);
        device.q = calloc(1, terms.layout.lanes);
        device.share = aligned_alloc(64, terms.layout.share_bytes);
        device_seed(&device, 0, &request);
        free(device.q);
        free(device.share);
    }
    const char *path = "/v1/tasks/default/peer/rounds/40/freeze";
    length = freeze_body(federation, body, &terms, 0, 2);
    expect_refused(federation, path, body, length, "below_cohort_minimum");
    length = freeze_body(federation, body, &terms, 2, 4); /* device 5 never came */
    expect_refused(federation, path, body, length, "set_not_admitted");
    length = freeze_body(federation, body, &terms, 0, 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(federation_ask(lead, "POST", path, body, length, &answers[i]), 200);
        assert_int_equal(answers[i].length, MR_COMMITMENT_BYTES);
    }
    assert_memory_equal(answers[0].body, answers[1].body, MR_COMMITMENT_BYTES);
    mr_h2_response_fini(&answers[0]);
    mr_h2_response_fini(&answers[1]);
    length = freeze_body(federation, body, &terms, 1, 4);
    expect_refused(federation, path, body, length, "set_conflict");

    /* A helper that was killed still knows what it signed. */
    mr_h2_client_close(lead);
    federation_restart(federation, 1);
    length = propose(federation, bytes, 40, 200.0f, &terms);
    expect_refused(federation, "/v1/tasks/default/peer/rounds", bytes, length,
                   "wrong_announcement");
    length = propose(federation, bytes, 39, 100.0f, &terms);
    expect_refused(federation, "/v1/tasks/default/peer/rounds", bytes, length, "wrong_round");
    length = propose(federation, bytes, 41, 100.0f, &terms);
    bytes[60] ^= 1; /* another model */
    expect_refused(federation, "/v1/tasks/default/peer/rounds", bytes, length,
                   "wrong_announcement");
}

static void test_helper_away(void **state)
{
    struct federation *federation = *state;
    assert_int_equal(federation_stop(federation, 1, SIGKILL), -1);
    assert_int_equal(federation_stop(federation, 0, SIGTERM), 0);
    federation_edit(federation, 0, "s/peer_timeout_ms: 20000/peer_timeout_ms: 1000/");
    federation_start(federation, 0);
    federation_expect(federation, federation_open_round(federation, NULL), "void",
                      "hub 1 (hub-1), propose");
    assert_int_equal(federation_stop(federation, 0, SIGTERM), 0); /* a busy helper has its time */
    federation_edit(federation, 0, "s/peer_timeout_ms: 1000/peer_timeout_ms: 20000/");
    federation_run(federation);
    run_round(federation, 1);
}

/* --- roles, paths, ends ---------------------------------------------------------------------- */

/* Who may ask what, and how else each of these is refused. */
static const struct {
    struct federation_request request;
    const char *code;
} refusals[] = {
    {{"operator", 1, "POST", "/v1/tasks/default/rounds/1/seed", "{}", 2}, "unauthorised_role"},
    {{"device-000", 1, "POST", "/v1/tasks/default/peer/rounds", "x", 1}, "unauthorised_role"},
    {{"hub-0", 0, "GET", "/v1/tasks/default/rounds/current", NULL, 0}, "unauthorised_role"},
    {{"device-000", 1, "GET", "/v1/tasks/default/rounds/current", NULL, 0}, "no_round"},
    {{"device-000", 0, "POST", "/v1/tasks/default/rounds/1/seed", "{}", 2}, "no_round"},
    {{"device-000", 1, "POST", "/v1/tasks/default/rounds/1/seed", "{}", 2}, "bad_request"},
    {{"device-000", 1, "POST", "/v1/tasks/default/rounds/01/seed", "{}", 2}, "bad_request"},
    {{"device-000", 0, "GET", "/v1/tasks/default/models/00", NULL, 0}, "bad_request"},
    {{"device-000", 0, "GET",
      "/v1/tasks/default/models/"
      "0000000000000000000000000000000000000000000000000000000000000000",
      NULL, 0},
     "not_found"},
    {{"device-000", 0, "GET", "/v1/nothing", NULL, 0}, "not_found"},
    {{"device-000", 0, "GET", "/v1/tasks/other/rounds/current", NULL, 0}, "no_task"},
    {{"device-000", 1, "POST", "/v1/tasks/other/rounds/1/seed", "{}", 2}, "no_task"},
    {{"hub-0", 1, "POST", "/v1/tasks/other/peer/rounds", "x", 1}, "no_task"},
    {{"operator", 0, "GET", "/v1/tasks/other/admin/rounds", NULL, 0}, "no_task"},
    {{"device-000", 0, "GET", "/v1/tasks/Other/rounds/current", NULL, 0}, "bad_request"},
    {{"operator", 0, "GET", "/v1/tasks/default/admin/rounds/77", NULL, 0}, "no_round"},
    {{"operator", 0, "POST", "/v1/tasks/default/admin/rounds", "{\"cohort_min\": 2}", 17},
     "below_cohort_minimum"},
};

static void test_refusals(void **state)
{
    struct federation *f = *state;
    for (unsigned i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        federation_refused(f, &refusals[i].request, refusals[i].code);
    }
    static const char *const operators[] = {"/metrics", "/v1/status",
                                            "/v1/tasks/default/admin/rounds"};
    for (unsigned i = 0; i < 6; i++) {
        const struct federation_request request = {
            .stem = i % 2 ? "hub-1" : "device-000", .method = "GET", .path = operators[i / 2]};
        federation_refused(f, &request, "unauthorised_role");
    }
    static const char *const bad[] = {
        "{\"quorum\": \"many\"}",   "{\"quorums\": 4}",      "[]",
        "{\"quorum\": 4294967296}", "{\"ring_bits\": 8}",    "{\"quorum\": 2}",
        "{\"cohort_max\": 100000}", "{\"scale\": 0}",        "{\"scale\": \"best\"}",
        "{\"rotation_log2\": 255}", "{\"quorum\": \"auto\"}"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct federation_request request = {.stem = "operator",
                                                   .method = "POST",
                                                   .path = "/v1/tasks/default/admin/rounds",
                                                   .body = bad[i],
                                                   .length = strlen(bad[i])};
        federation_refused(f, &request, "bad_request");
    }
}

static void test_end_in_the_middle(void **state)
{
    struct federation *federation = *state;
    struct device device;
    federation_open_round(federation, NULL);
    device_open(&device, federation, 0, 0);
    device_upload(&device, 0);
    /* A long poll hangs while both stop. */
    struct mr_h2_client *poller = federation_client(federation, "device-001", 0);
    const pid_t waiter = fork();
    if (waiter == 0) {
        char path[] = "/v1/tasks/default/rounds/current?after=9&wait_ms=30000";
        struct mr_h2_response response;
        struct mr_error error;
        mr_h2_client_request(
            poller,
            &(struct mr_h2_request){
                .method = "GET", .path = path, .answer_max = 100, .timeout_ms = 30000},
            &response, &error);
        _exit(0);
    }
    /* The poll, and the request for the metrics themselves. */
    federation_await_metric(federation, 0, "millrace_control_requests 2");
    assert_int_equal(federation_stop(federation, 0, SIGTERM), 0);
    assert_int_equal(federation_stop(federation, 1, SIGINT), 0);
    kill(waiter, SIGKILL);
    waitpid(waiter, NULL, 0);
    mr_h2_client_close(poller);
    device_close(&device);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, federation_setup, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_rounds_and_restarts),
        T(test_one_short_releases_nothing_anywhere),
        T(test_attempts),
        cmocka_unit_test(test_attempt_before_the_commit),
        T(test_disk_that_takes_no_more),
        cmocka_unit_test(test_rounds_by_themselves),
        T(test_helper_is_asked_twice),
        T(test_helper_away),
        T(test_refusals),
        T(test_end_in_the_middle),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
