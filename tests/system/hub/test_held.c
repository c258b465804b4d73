/* test_held.c - a real lead that has a window for one device: who asks beside it waits for the
 * grant, hears of it in time although nothing falls free, and is forgotten where it hangs up. */
#include <stdio.h>
#include <stdlib.h>

#include "federation.h"

/* A grant is held for as long as the device before is new, which a slow machine may miss: then it
 * is tried again, with another attempt of every device. */
#define TRIES      6u
#define LAST       (TRIES + 1) /* attempt */
#define HANG_UP_MS 1u

static int open_narrow(void **state)
{
    struct federation *federation = federation_open("");
    federation_edit(
        federation, 0,
        "s/slots_per_worker: 16/slots_per_worker: 16\\n  window_max: 4\\n  window_total: 4/");
    federation_run(federation);
    *state = federation;
    return 0;
}

static unsigned metric(struct federation *federation, const char *name)
{
    struct mr_h2_response response;
    struct mr_h2_client *client = federation_client(federation, "operator", 0);
    char start[80];
    assert_int_equal(federation_ask(client, "GET", "/metrics", NULL, 0, &response), 200);
    const int length = snprintf(start, sizeof start, "\n%s ", name);
    const char *line = memmem(response.body, response.length, start, (size_t)length);
    assert_non_null(line);
    const unsigned value = (unsigned)strtoul(line + length, NULL, 10);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
    return value;
}

static unsigned held(struct federation *federation)
{
    return metric(federation, "millrace_upload_grants_held_total");
}

static void seed_over_udp(struct device *device, uint32_t attempt,
                          struct mr_upload_request *request)
{
    device_seed(device, attempt, request);
    request->transport = MR_TRANSPORT_UDP;
}

/* Asks, and hangs up before it can have been answered, if it has to wait. */
static void ask_and_hang_up(struct device *device, const struct mr_upload_request *request)
{
    struct mr_h2_response response;
    struct mr_error error = {.text = ""};
    char path[120];
    char *text = mr_upload_request_encode(request);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/%llu/uploads",
             (unsigned long long)device->terms.announcement.round);
    if (mr_h2_client_request(device->lead,
                             &(struct mr_h2_request){.method = "POST",
                                                     .path = path,
                                                     .content_type = "application/json",
                                                     .body = text,
                                                     .length = strlen(text),
                                                     .answer_max = 4096,
                                                     .timeout_ms = HANG_UP_MS},
                             &response, &error) == MR_H2_OK) {
        mr_h2_response_fini(&response);
    }
    free(text);
    device_reconnect(device);
}

/* The round goes on as if nobody had waited. */
static void publish(struct device *devices, uint64_t round)
{
    for (unsigned i = 0; i < 4; i++) {
        device_upload(&devices[i], LAST);
    }
    devices_expect_published(devices, 4, round);
}

static void test_it_waits_and_is_answered(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    struct mr_upload_request first, second;
    const uint64_t round = devices_begin(devices, 4, federation);
    for (unsigned i = 0; i < TRIES && held(federation) == 0; i++) {
        seed_over_udp(&devices[0], i, &first);
        seed_over_udp(&devices[1], i, &second);
        assert_int_equal(device_request(&devices[0], &first, NULL), 200);
        assert_int_equal(device_request(&devices[1], &second, NULL), 200);
        assert_true(devices[1].grant.window > 0 && devices[1].grant.udp_port > 0);
    }
    assert_int_equal(held(federation), 1);
    assert_int_equal(metric(federation, "millrace_upload_grants_waiting"), 0);
    assert_int_equal(metric(federation, "millrace_upload_grants_timed_out_total"), 0);
    publish(devices, round);
    devices_close(devices, 4);
}

/* Nobody has a grant that was not there to take it: of the devices that hung up, those that waited
 * were never admitted. */
static void test_it_hangs_up(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    struct mr_upload_request first, second;
    unsigned before = 0;
    const uint64_t round = devices_begin(devices, 4, federation);
    for (unsigned i = 0; i < TRIES && held(federation) == 0; i++) {
        const unsigned number = 1 + i % 3;
        seed_over_udp(&devices[0], i, &first);
        seed_over_udp(&devices[number], i, &second);
        assert_int_equal(device_request(&devices[0], &first, NULL), 200);
        before = metric(federation, "millrace_round_admitted{task=\"default\"}");
        ask_and_hang_up(&devices[number], &second);
    }
    assert_int_equal(held(federation), 1);
    federation_await_metric(federation, 0, "millrace_upload_grants_waiting 0");
    assert_int_equal(metric(federation, "millrace_round_admitted{task=\"default\"}"), before);
    publish(devices, round);
    devices_close(devices, 4);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_narrow, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_it_waits_and_is_answered),
        T(test_it_hangs_up),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
