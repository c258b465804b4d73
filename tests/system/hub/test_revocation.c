/* test_revocation.c - certificates that are taken back: before a handshake, between seed and
 * upload, after the upload was added to the sum, where one hub alone has heard of it, and where the
 * hubs were killed in between. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "appliance/cli/pki.h"
#include "federation.h"

static void take_back(const struct federation *federation, const char *stem, const char *list)
{
    char pki[4096], command[8400];
    struct mr_error error = {.text = ""};
    snprintf(pki, sizeof pki, "%s/pki", federation->dir);
    if (mr_pki_revoke(pki, stem, &error) != 0) {
        fail_msg("%s", error.text);
    }
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        if (list[hub] == 'x') {
            snprintf(command, sizeof command,
                     "cd '%s' && cp revoked.pem new.tmp && mv new.tmp revoked-%u.pem", pki, hub);
            assert_int_equal(system(command), 0);
        }
    }
}

/* Each hub has a list of its own, with device-005 on it from the beginning. */
static int open_both(void **state)
{
    struct federation *federation = federation_open("");
    take_back(federation, "device-005", "xx");
    federation_edit(federation, 0,
                    "s|^identity:|identity:\\n  revocation_file: pki/revoked-0.pem|");
    federation_edit(federation, 1,
                    "s|^identity:|identity:\\n  revocation_file: pki/revoked-1.pem|");
    federation_run(federation);
    *state = federation;
    return 0;
}

static void await_list(struct federation *federation, unsigned hub, unsigned wanted)
{
    char sample[80];
    snprintf(sample, sizeof sample, "millrace_control_revoked_certificates %u", wanted);
    federation_await_metric(federation, hub, sample);
}

/* SIGHUP, and then the metric that says how many certificates the list in use has. */
static void reload(struct federation *federation, unsigned hub, unsigned wanted)
{
    kill(federation->hubs[hub], SIGHUP);
    await_list(federation, hub, wanted);
}

static int try_connect(const struct federation *federation, const char *stem, unsigned hub)
{
    struct federation_paths paths;
    struct mr_h2_client *client = NULL;
    struct mr_h2_response response;
    struct mr_error error = {.text = ""};
    const struct mr_h2_endpoint endpoint = federation_endpoint(federation, &paths, stem, hub);
    int result = mr_h2_client_open(&client, &endpoint, 20000, &error);
    if (result == MR_H2_OK) { /* in TLS 1.3 the server's word on us comes after our handshake */
        result = mr_h2_client_request(
            client,
            &(struct mr_h2_request){
                .method = "GET", .path = "/v1/nothing", .answer_max = 1000, .timeout_ms = 20000},
            &response, &error);
        if (result == MR_H2_OK) {
            mr_h2_response_fini(&response);
        }
        mr_h2_client_close(client);
    }
    if (result == MR_H2_REFUSED) {
        assert_non_null(strstr(error.text, "our certificate is revoked"));
    }
    return result;
}

static void assert_void(struct federation *federation, uint64_t round, const char *why)
{
    federation_expect(federation, round, "void", why);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        assert_false(federation_has_file(federation, hub, "rounds/1.sum"));
    }
}

static void test_at_the_handshake(void **state)
{
    struct federation *federation = *state;
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        assert_int_equal(try_connect(federation, "device-005", hub), MR_H2_REFUSED);
        assert_int_equal(try_connect(federation, "device-004", hub), MR_H2_OK);
    }
    take_back(federation, "device-004", "xx");
    reload(federation, 0, 2);
    assert_int_equal(try_connect(federation, "device-004", 0), MR_H2_REFUSED);
}

/* Left out: nothing of it is in the sum, and the others' round goes on. */
static void test_before_the_upload(void **state)
{
    struct federation *federation = *state;
    struct device devices[5];
    struct mr_upload_request request;
    struct mr_h2_response response;
    struct mr_error error;
    const uint64_t round = devices_begin(devices, 5, federation);
    device_seed(&devices[0], 0, &request);
    assert_int_equal(device_request(&devices[0], &request, NULL), 200); /* granted, not sent */
    take_back(federation, "device-000", "xx");
    reload(federation, 0, 2);
    reload(federation, 1, 2);
    assert_int_not_equal(
        mr_h2_client_request(devices[0].lead,
                             &(struct mr_h2_request){.method = "GET",
                                                     .path = "/v1/tasks/default/rounds/current",
                                                     .answer_max = 4096,
                                                     .timeout_ms = 20000},
                             &response, &error),
        MR_H2_OK); /* its connection was ended */
    assert_int_equal(try_connect(federation, "device-000", 1), MR_H2_REFUSED);
    devices_upload(devices, 1, 5);
    json_t *outcome = federation_await(federation, round);
    assert_string_equal(json_string_value(json_object_get(outcome, "state")), "published");
    assert_int_equal(json_integer_value(json_object_get(outcome, "included")), 4);
    json_decref(outcome);
    devices_close(devices, 5);
}

/* Three are in the sum for good; then one of them is taken back, and the fourth closes the round.
 */
static void run_with_one_taken_back(struct federation *federation, bool killed, const char *lists,
                                    const char *why)
{
    struct device devices[4];
    const uint64_t round = devices_begin(devices, 3, federation);
    devices_commit(devices, 0, 3);
    for (unsigned hub = 0; killed && hub < FEDERATION_HUBS; hub++) {
        federation_restart(federation, hub);
    }
    take_back(federation, "device-001", lists);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        reload(federation, hub, lists[hub] == 'x' ? 2 : 1);
    }
    device_open(&devices[3], federation, 3, 0);
    device_upload(&devices[3], 0);
    assert_void(federation, round, why);
    devices_close(devices, 4);
}

static void test_after_the_upload(void **state)
{
    run_with_one_taken_back(*state, false, "xx", "a device was revoked after");
}

/* Neither has heard anything of the device since it came back. */
static void test_after_the_upload_and_a_crash(void **state)
{
    run_with_one_taken_back(*state, true, "xx", "a device was revoked after");
}

/* The lead's list is old, or the lead does not care: the helper gives nothing for that set. */
static void test_where_the_helper_alone_knows(void **state)
{
    run_with_one_taken_back(*state, false, "-x", "refused, revoked: entry");
}

static void test_where_the_killed_helper_alone_knows(void **state)
{
    run_with_one_taken_back(*state, true, "-x", "refused, revoked: entry");
}

static void await_failure(const struct federation *federation)
{
    char command[8400];
    snprintf(command, sizeof command,
             "until grep -q revocation.failed '%s/hub-0.log'; do sleep 0.05; done",
             federation->dir);
    assert_int_equal(system(command), 0);
}

/* The hub has no descriptor left when the new list comes: it reads it later, without being told. */
static void test_a_list_that_cannot_be_read_yet(void **state)
{
    struct federation *federation = *state;
    struct rlimit before;
    const pid_t hub = federation->hubs[0];
    assert_int_equal(prlimit(hub, RLIMIT_NOFILE, NULL, &before), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(prlimit(hub, RLIMIT_NOFILE, &none, NULL), 0);
    take_back(federation, "device-004", "x-");
    kill(hub, SIGHUP);
    await_failure(federation);
    assert_int_equal(prlimit(hub, RLIMIT_NOFILE, &before, NULL), 0);
    await_list(federation, 0, 2);
    assert_int_equal(try_connect(federation, "device-004", 0), MR_H2_REFUSED);
}

/* A list that cannot be read changes nothing. */
static void test_a_bad_list(void **state)
{
    struct federation *federation = *state;
    char command[8400];
    snprintf(command, sizeof command, "echo nonsense > '%s/pki/revoked-0.pem'", federation->dir);
    assert_int_equal(system(command), 0);
    kill(federation->hubs[0], SIGHUP);
    await_failure(federation);
    reload(federation, 0, 1);
    assert_int_equal(try_connect(federation, "device-005", 0), MR_H2_REFUSED);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_both, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_at_the_handshake),
        T(test_before_the_upload),
        T(test_after_the_upload),
        T(test_where_the_helper_alone_knows),
        T(test_after_the_upload_and_a_crash),
        T(test_where_the_killed_helper_alone_knows),
        T(test_a_list_that_cannot_be_read_yet),
        T(test_a_bad_list),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
