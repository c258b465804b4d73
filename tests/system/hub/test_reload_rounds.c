/* test_reload_rounds.c - a task that is removed by SIGHUP in the middle of its round: nobody
 * reaches it, nothing of it is lost, and added again it ends its round. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "federation.h"

#define DEVICES 4

/* Until the hub has logged this so many times. */
static void await_log(const struct federation *federation, unsigned hub, const char *text,
                      unsigned times)
{
    char command[4500];
    snprintf(command, sizeof command,
             "until [ $(grep -c '%s' '%s/hub-%u.log') -ge %u ]; do sleep 0.05; done", text,
             federation->dir, hub, times);
    assert_int_equal(system(command), 0);
}

/* The only task of both hubs goes by another name from now on: the old one is gone, a new one
 * there.
 */
static void rename_task(const struct federation *federation, const char *from, const char *to,
                        unsigned times)
{
    char edit[128], added[128], ended[128];
    snprintf(edit, sizeof edit, "s/- name: %s$/- name: %s/", from, to);
    snprintf(added, sizeof added, " task.added task=%s", to);
    snprintf(ended, sizeof ended, " task.ended task=%s", from);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        federation_edit(federation, hub, edit);
        kill(federation->hubs[hub], SIGHUP);
        await_log(federation, hub, added, times);
        await_log(federation, hub, ended, times);
    }
}

static void test_its_round_goes_on(void **state)
{
    struct federation *federation = *state;
    struct device devices[DEVICES];
    const uint64_t round = devices_begin(devices, DEVICES, federation);
    devices_commit(devices, 0, 3);
    rename_task(federation, "default", "other", 1);
    federation_refused(federation,
                       &(struct federation_request){.stem = "device-000",
                                                    .hub = 0,
                                                    .method = "GET",
                                                    .path = "/v1/tasks/default/rounds/current"},
                       "no_task");
    federation_refused(
        federation,
        &(struct federation_request){
            .stem = "operator", .hub = 1, .method = "GET", .path = "/v1/tasks/default"},
        "no_task");
    federation_refused(
        federation,
        &(struct federation_request){
            .stem = "hub-0", .hub = 1, .method = "POST", .path = "/v1/tasks/default/peer/rounds"},
        "no_task");
    rename_task(federation, "other", "default", 1);
    devices_upload(devices, 3, 4);
    devices_expect_published(devices, DEVICES, round);
    devices_close(devices, DEVICES);
}

/* --- whoever waits --------------------------------------------------------------------------- */

struct poll {
    struct mr_h2_client *client;
    struct mr_h2_response response;
    int status;
};

static void *wait_for_a_round(void *context)
{
    struct poll *poll = context;
    struct mr_error error;
    const struct mr_h2_request request = {
        .method = "GET",
        .path = "/v1/tasks/default/rounds/current?after=0&wait_ms=30000",
        .answer_max = 4096,
        .timeout_ms = 60000,
    };
    if (mr_h2_client_request(poll->client, &request, &poll->response, &error) == MR_H2_OK) {
        poll->status = poll->response.status;
    }
    return NULL;
}

static void test_who_waits_is_told(void **state)
{
    struct federation *federation = *state;
    struct poll poll = {.client = federation_client(federation, "device-000", 0)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_round, &poll), 0);
    federation_await_metric(federation, 0, "millrace_control_requests 2"); /* and this question */
    rename_task(federation, "default", "other", 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(poll.status, 404);
    assert_non_null(strstr((const char *)poll.response.body, "no_task"));
    mr_h2_response_fini(&poll.response);
    mr_h2_client_close(poll.client);
}

/* A hub that is stopped while a removed task's thread still waits for another hub. */
static void test_the_end_in_the_middle(void **state)
{
    struct federation *federation = *state;
    kill(federation->hubs[1], SIGSTOP); /* its answer never comes in time */
    federation_edit(federation, 0, "s/automatic: false/automatic: true/");
    federation_edit(federation, 0, "s/peer_timeout_ms: 20000/peer_timeout_ms: 2000/");
    kill(federation->hubs[0], SIGHUP);
    await_log(federation, 0, "config.reloaded", 2);
    federation_edit(federation, 0, "s/- name: default$/- name: other/");
    kill(federation->hubs[0], SIGHUP);
    await_log(federation, 0, " task.removed task=default", 1);
    federation_refused(federation,
                       &(struct federation_request){.stem = "device-000",
                                                    .hub = 0,
                                                    .method = "GET",
                                                    .path = "/v1/tasks/default/rounds/current"},
                       "no_task"); /* the loop does not wait */
    assert_int_equal(federation_stop(federation, 0, SIGTERM), 0);
    kill(federation->hubs[1], SIGCONT);
}

static int open_quiet(void **state)
{
    struct federation *federation = federation_open("      automatic: false\n");
    federation_run(federation);
    *state = federation;
    return 0;
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_quiet, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_its_round_goes_on),
        T(test_who_waits_is_told),
        T(test_the_end_in_the_middle),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
