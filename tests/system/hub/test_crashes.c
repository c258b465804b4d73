/* test_crashes.c - real hubs that are killed at marked points of a round, and go on with it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "federation.h"
#include "base/bytes.h"

/* --- the lead -------------------------------------------------------------------------------- */

static void test_lead_killed_with_some_committed(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    struct mr_upload_request request;
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_commit(devices, 0, 2);
    device_seed(&devices[2], 0, &request);
    assert_int_equal(device_request(&devices[2], &request, NULL), 200); /* granted, never sent */
    federation_restart(federation, 0);
    for (unsigned i = 0; i < 4; i++) {
        device_reconnect(&devices[i]);
    }
    /* Those that were told hear the same again and have nothing to send; a new attempt is no way
     * to be counted twice. */
    char code[40];
    for (unsigned i = 0; i < 2; i++) {
        struct mr_upload_request again;
        const uint64_t id = devices[i].grant.upload_id;
        assert_int_equal(device_await(&devices[i], 0).state, MR_UPLOAD_COMMITTED);
        device_seed(&devices[i], 1, &again);
        assert_int_equal(device_request(&devices[i], &again, code), 409);
        assert_string_equal(code, "already_counted");
        assert_int_equal(devices[i].grant.upload_id, id);
    }
    /* The one in flight asks again with the receipts that it has. */
    assert_int_equal(device_request(&devices[2], &request, NULL), 200);
    assert_int_equal(device_put(&devices[2]), 202);
    device_upload(&devices[3], 0);
    for (unsigned i = 2; i < 4; i++) {
        assert_int_equal(device_await(&devices[i], 20000).state, MR_UPLOAD_COMMITTED);
    }
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

static void expect_status(struct device *device, enum mr_upload_state state,
                          enum mr_upload_reason reason)
{
    device_reconnect(device);
    const struct mr_upload_status status = device_await(device, 0);
    assert_int_equal(status.state, state);
    assert_int_equal(status.reason, reason);
}

/* Devices that ask late about a round that the restarted lead knows from its record only. */
static void test_lead_killed_in_the_round_after(void **state)
{
    struct federation *federation = *state;
    struct device before[5], devices[4];
    struct mr_upload_request request;
    uint64_t round = devices_begin(before, 5, federation);
    device_seed(&before[4], 0, &request);
    assert_int_equal(device_request(&before[4], &request, NULL), 200); /* granted, never sent */
    devices_upload(before, 0, 4);
    devices_expect_published(before, 4, round);
    for (unsigned lives = 0; lives < 2; lives++) { /* the round is the last one, then it is not */
        federation_restart(federation, 0);
        for (unsigned i = 0; i < 4; i++) {
            expect_status(&before[i], MR_UPLOAD_COMMITTED, MR_REASON_NONE);
        }
        expect_status(&before[4], MR_UPLOAD_REFUSED, MR_REASON_CLOSED);
        if (lives == 0) {
            round = devices_begin(devices, 4, federation);
        }
    }
    devices_close(before, 5);
    for (unsigned i = 0; i < 4; i++) {
        device_reconnect(&devices[i]);
        device_upload(&devices[i], 0);
    }
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

/* Killed while the helper is away, so in the middle of the exchange between the hubs. */
static void test_lead_killed_after_the_freeze(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_upload(devices, 0, 3);
    struct mr_upload_request request;
    device_seed(&devices[3], 0, &request);
    assert_int_equal(federation_stop(federation, 1, SIGKILL), -1);
    assert_int_equal(device_request(&devices[3], &request, NULL), 200);
    assert_int_equal(device_put(&devices[3]), 202);
    assert_int_equal(device_await(&devices[3], 20000).state, MR_UPLOAD_COMMITTED);
    federation_restart(federation, 0);
    federation_start(federation, 1);
    devices_expect_published(devices, 4, round);
    device_reconnect(&devices[0]); /* and it is known how every upload ended */
    assert_int_equal(device_await(&devices[0], 0).state, MR_UPLOAD_COMMITTED);
    federation_restart(federation, 0);
    device_reconnect(&devices[0]);
    assert_int_equal(device_await(&devices[0], 0).state, MR_UPLOAD_COMMITTED);
    devices_close(devices, 4);
}

/* --- the helper ------------------------------------------------------------------------------ */

static void test_helper_killed_while_admitting(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_upload(devices, 0, 3);
    federation_restart(federation, 1);
    device_upload(&devices[3], 0);
    devices_expect_published(devices, 4, round);
    /* Its seeds are gone from the disk: what is left is the journal of a round that is over. An
     * orderly end, as nobody waits for that to be written down. */
    assert_int_equal(federation_stop(federation, 1, SIGTERM), 0);
    federation_start(federation, 1);
    json_t *status;
    assert_int_equal(federation_json(federation, "operator", 1, "GET", "/v1/status", NULL, &status),
                     200);
    const json_t *task = json_array_get(json_object_get(status, "tasks"), 0);
    assert_string_equal(json_string_value(json_object_get(task, "role")), "helper");
    assert_string_equal(json_string_value(json_object_get(task, "state")), "done");
    json_decref(status);
    devices_close(devices, 4);
}

/* Both go at once, in every round anew. */
static void test_both_killed_in_every_round(void **state)
{
    struct federation *federation = *state;
    for (unsigned turn = 0; turn < 3; turn++) {
        struct device devices[4];
        const uint64_t round = devices_begin(devices, 4, federation);
        devices_commit(devices, 0, turn + 1);
        assert_int_equal(federation_stop(federation, 0, SIGKILL), -1);
        assert_int_equal(federation_stop(federation, 1, SIGKILL), -1);
        federation_start(federation, 0);
        federation_start(federation, 1);
        for (unsigned i = 0; i < 4; i++) {
            device_reconnect(&devices[i]);
        }
        devices_upload(devices, turn + 1, 4);
        devices_expect_published(devices, 4, round);
        devices_close(devices, 4);
    }
}

/* The journal is lost: the round is void with a reason of its own, the next one is not harmed. */
static void test_helper_without_its_journal(void **state)
{
    struct federation *federation = *state;
    struct device devices[4], lost[5];
    uint64_t round = devices_begin(lost, 5, federation);
    devices_commit(lost, 0, 3);
    struct mr_upload_request request;
    device_seed(&lost[4], 0, &request);
    assert_int_equal(device_request(&lost[4], &request, NULL), 200); /* granted, never sent */
    device_seed(&lost[3], 0, &request);
    assert_int_equal(federation_stop(federation, 1, SIGKILL), -1);
    federation_remove_file(federation, 1, "journal-0");
    federation_remove_file(federation, 1, "journal-1");
    federation_start(federation, 1);
    uint8_t body[MR_SEED_REQUEST_BYTES];
    struct mr_receipt receipt;
    device_seed_request(&lost[4], 0, body, &receipt);
    federation_refused(federation,
                       &(struct federation_request){.stem = "device-005",
                                                    .hub = 1,
                                                    .method = "POST",
                                                    .path = "/v1/tasks/default/rounds/1/seed",
                                                    .body = body,
                                                    .length = sizeof body},
                       "round_lost");
    assert_int_equal(device_request(&lost[3], &request, NULL), 200);
    assert_int_equal(device_put(&lost[3]), 202);
    federation_expect(federation, round, "void", "round_lost");
    assert_false(federation_has_file(federation, 0, "rounds/1.sum"));
    round = devices_begin(devices, 4, federation);
    federation_restart(federation, 0); /* it knows of the void round from its record */
    for (unsigned i = 0; i < 4; i++) {
        expect_status(&lost[i], MR_UPLOAD_COMMITTED, MR_REASON_NONE); /* as they were told */
    }
    expect_status(&lost[4], MR_UPLOAD_REFUSED, MR_REASON_VOID);
    devices_close(lost, 5);
    for (unsigned i = 0; i < 4; i++) {
        device_reconnect(&devices[i]);
        device_upload(&devices[i], 0);
    }
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

/* A seed's request as it stands; whether a receipt came. */
static bool gets_receipt(struct device *device)
{
    struct mr_h2_response response = {.status = 0};
    struct mr_receipt receipt;
    struct mr_error error;
    uint8_t body[MR_SEED_REQUEST_BYTES];
    char path[120];
    device_seed_request(device, 0, body, &receipt);
    struct mr_h2_client *helper = federation_client(device->federation, device->stem, 1);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/%llu/seed",
             (unsigned long long)device->terms.announcement.round);
    const bool got =
        mr_h2_client_request(helper,
                             &(struct mr_h2_request){.method = "POST",
                                                     .path = path,
                                                     .content_type = "application/octet-stream",
                                                     .body = body,
                                                     .length = sizeof body,
                                                     .answer_max = 1000,
                                                     .timeout_ms = 20000},
                             &response, &error) == MR_H2_OK &&
        response.status == 200;
    mr_h2_response_fini(&response);
    mr_h2_client_close(helper);
    return got;
}

/* Killed when the next model is current and the round has no record yet, and then the helper cannot
 * go on: the void round's model is nobody's parent. */
static void test_lead_killed_before_the_record(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    uint64_t round;
    size_t length;
    char first[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(first, federation->model_hash, MR_HASH_BYTES);
    round = devices_begin(devices, 4, federation);
    devices_upload(devices, 0, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
    assert_int_equal(federation_stop(federation, 0, SIGKILL), -1);
    assert_int_equal(federation_stop(federation, 1, SIGKILL), -1);
    federation_remove_file(federation, 0, "rounds/1.json");
    federation_remove_file(federation, 1, "journal-0");
    federation_remove_file(federation, 1, "journal-1");
    federation_start(federation, 0);
    federation_start(federation, 1);
    federation_expect(federation, round, "void", "round_lost");
    uint8_t *current = federation_file(federation, 0, "current", &length);
    assert_memory_equal(current, first, sizeof first - 1);
    free(current);
    assert_false(federation_has_file(federation, 0, "rounds/1.sum"));
    round = devices_begin(devices, 4, federation);
    assert_memory_equal(devices[0].terms.announcement.model_hash, federation->model_hash,
                        MR_HASH_BYTES);
    for (unsigned i = 0; i < 4; i++) { /* its sum was opened: not on that model again */
        assert_false(gets_receipt(&devices[i]));
    }
    devices_close(devices, 4);
}

/* A helper that cannot write a seed down gives no receipt for it: it stops. */
static void test_helper_with_a_full_disk(void **state)
{
    struct federation *federation = *state;
    struct device devices[FEDERATION_DEVICES];
    uint64_t round;
    unsigned receipts = 0;
    round = devices_begin(devices, FEDERATION_DEVICES, federation);
    const struct rlimit limit = {800, 800}; /* the journal has the terms: enough for a few seeds */
    assert_int_equal(prlimit(federation->hubs[1], RLIMIT_FSIZE, &limit, NULL), 0);
    while (receipts < FEDERATION_DEVICES && gets_receipt(&devices[receipts])) {
        receipts++;
    }
    assert_true(receipts > 0 && receipts < FEDERATION_DEVICES);
    assert_int_equal(federation_wait(federation, 1), 1);
    federation_start(federation, 1);
    /* the same seeds: nothing contradicts the journal */
    devices_upload(devices, 0, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, FEDERATION_DEVICES);
}

/* The helper is, and not the lead, whose questions may take their time on a busy machine. */
static int open_impatient(void **state)
{
    struct federation *federation = federation_open("");
    federation_edit(federation, 1,
                    "s/peer_timeout_ms: .*/peer_timeout_ms: 300\\n      lead_grace_ms: 1200/");
    federation_run(federation);
    *state = federation;
    return 0;
}

/* Opens a round and kills the lead when three devices are committed, then waits until the helper
 * has given it up; false: the lead did so itself, because all that took longer than the round. */
static bool leave_a_round(struct federation *federation, unsigned deadline_ms, uint64_t *round)
{
    struct device devices[3];
    char wish[40];
    snprintf(wish, sizeof wish, "{\"deadline_ms\": %u}", deadline_ms);
    *round = federation_open_round(federation, wish);
    for (unsigned i = 0; i < 3; i++) {
        device_open(&devices[i], federation, i, *round - 1);
        device_upload(&devices[i], 0);
        device_await(&devices[i], 20000);
    }
    assert_int_equal(federation_stop(federation, 0, SIGKILL), -1);
    devices_close(devices, 3);
    while (!federation_has_metric(federation, 1,
                                  "millrace_helper_state{task=\"default\",state=\"void\"} 1") &&
           !federation_has_metric(federation, 1,
                                  "millrace_helper_state{task=\"default\",state=\"done\"} 1")) {
        usleep(50000);
    }
    return federation_has_metric(
        federation, 1, "millrace_helper_rounds_total{task=\"default\",outcome=\"lead_gone\"} 1");
}

/* The helper does not wait for ever: it wipes its journal, and says so to a lead that comes back
 * after all, also when it was started anew in the meantime. */
static void test_lead_gone_for_too_long(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    unsigned deadline_ms = 6000;
    uint64_t round;
    while (!leave_a_round(federation, deadline_ms, &round)) {
        federation_start(federation, 0);
        json_decref(federation_await(federation, round));
        deadline_ms *= 2;
    }
    while (federation_has_file(federation, 1, "journal-0") ||
           federation_has_file(federation, 1, "journal-1")) {
        usleep(10000);
    }
    federation_restart(federation, 1);
    federation_start(federation, 0);
    json_t *outcome = federation_await(federation, round);
    assert_string_equal(json_string_value(json_object_get(outcome, "state")), "void");
    assert_non_null(strstr(json_string_value(json_object_get(outcome, "reason")), "lead_gone: "));
    json_decref(outcome);
    round = devices_begin(devices, 4, federation);
    devices_upload(devices, 0, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, federation_setup, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_lead_killed_with_some_committed),
        T(test_lead_killed_after_the_freeze),
        T(test_lead_killed_in_the_round_after),
        T(test_helper_killed_while_admitting),
        T(test_both_killed_in_every_round),
        T(test_helper_without_its_journal),
        T(test_lead_killed_before_the_record),
        T(test_helper_with_a_full_disk),
        cmocka_unit_test_setup_teardown(test_lead_gone_for_too_long, open_impatient,
                                        federation_teardown),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
