/* test_data_dir.c - who may run on a data_dir: one process, of the hub whose folder it is. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "appliance/cli/pki.h"
#include "federation.h"

enum {
    EXIT_SET_UP = 2,
    EXIT_IN_USE = 4,
};

static void shell(const struct federation *federation, const char *command)
{
    char line[8600];
    snprintf(line, sizeof line, "cd '%s' && %s", federation->dir, command);
    assert_int_equal(system(line), 0);
}

/* A hub with that configuration ends at once, with that code and these words. */
static void expect_no_start(const struct federation *federation, const char *config, int code,
                            const char *words)
{
    char said[2000];
    assert_int_equal(federation_try(federation, config, said, sizeof said), code);
    if (!strstr(said, words)) {
        fail_msg("said: %s", said);
    }
}

/* As two containers on one volume: other ports, the same folder. */
static void test_two_processes(void **state)
{
    struct federation *federation = *state;
    struct device devices[4];
    char who[40];
    size_t before_bytes, after_bytes;
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_commit(devices, 0, 2);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        char edit[120]; /* a free port of its own; the address book stays */
        snprintf(edit, sizeof edit,
                 "sed '/^control:/,/^upload:/s/port: .*/port: 0/' hub-%u.yaml "
                 ">second.yaml",
                 hub);
        shell(federation, edit);
        snprintf(who, sizeof who, "(pid %d on ", (int)federation->hubs[hub]);
        expect_no_start(federation, "second.yaml", EXIT_IN_USE, "is in use by another hub");
        expect_no_start(federation, "second.yaml", EXIT_IN_USE, who);
    }
    devices_upload(devices, 2, 4);
    devices_expect_published(devices, 4, round);
    uint8_t *before = federation_file(federation, 0, "rounds/1.json", &before_bytes);
    expect_no_start(federation, "second.yaml", EXIT_IN_USE, "stop that one first");
    federation_restart(federation, 0); /* killed: the lock went with it */
    uint8_t *after = federation_file(federation, 0, "rounds/1.json", &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    free(before);
    free(after);
    devices_close(devices, 4);
}

static void test_the_folder_of_another(void **state)
{
    struct federation *federation = *state;
    char other[4096];
    struct mr_error error = {.text = ""};
    federation_stop(federation, 0, SIGTERM);
    federation_stop(federation, 1, SIGTERM);
    shell(federation, "sed 's/data-1/data-0/' hub-1.yaml >wrong.yaml");
    expect_no_start(federation, "wrong.yaml", EXIT_SET_UP,
                    "data-0 is the folder of hub 0, and this is hub 1");
    shell(federation, "sed 's/name: default/name: other/' hub-0.yaml >wrong.yaml && "
                      "mv data-0/tasks/default data-0/tasks/other");
    expect_no_start(federation, "wrong.yaml", EXIT_SET_UP, "is the folder of task default");
    shell(federation, "mv data-0/tasks/other data-0/tasks/default");

    /* The hub gets a new signing key, which its operator has to say to the folder as well. */
    snprintf(other, sizeof other, "%s/other", federation->dir);
    const struct mr_pki_plan plan = {.dir = other, .hubs = 1, .devices = 1, .operators = 1};
    assert_int_equal(mr_pki_init(&plan, &error), 0);
    shell(federation, "cp other/hub-0.sign.key other/hub-0.sign.pub pki/");
    expect_no_start(federation, "hub-0.yaml", EXIT_SET_UP, "with another signing key");
    shell(federation, "rm data-0/owner.json");
    federation_start(federation, 0);
}

static int open_frugal(void **state)
{
    struct federation *federation =
        federation_open("    keep:\n      models: 1\n      sums: 1\n      rounds: 3\n");
    federation_run(federation);
    *state = federation;
    return 0;
}

static void play(struct federation *federation)
{
    struct device devices[4];
    const uint64_t round = devices_begin(devices, 4, federation);
    devices_upload(devices, 0, 4);
    devices_expect_published(devices, 4, round);
    devices_close(devices, 4);
}

/* The folders of both hubs stop growing, and nothing that a hub needs is gone: neither for the next
 * round nor for a start. */
static void test_folders_stop_growing(void **state)
{
    struct federation *federation = *state;
    char name[40];
    for (unsigned round = 1; round <= 6; round++) {
        play(federation);
    }
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        while (federation_has_file(federation, hub, "rounds/3.json")) {
            usleep(20000); /* the pass after the last round */
        }
        /* What the newest two rounds began with and led to, and the first model. */
        federation_await_metric(federation, hub,
                                "millrace_stored_files{task=\"default\",kind=\"models\"} 4");
        federation_await_metric(federation, hub,
                                "millrace_stored_files{task=\"default\",kind=\"sums\"} 2");
        for (unsigned round = 1; round <= 6; round++) {
            snprintf(name, sizeof name, "rounds/%u.json", round);
            assert_int_equal(federation_has_file(federation, hub, name), round > 3);
        }
        assert_int_equal(federation_stop(federation, hub, SIGKILL), -1);
    }
    federation_run(federation);
    play(federation);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, federation_setup, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_two_processes),
        T(test_the_folder_of_another),
        cmocka_unit_test_setup_teardown(test_folders_stop_growing, open_frugal,
                                        federation_teardown),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
