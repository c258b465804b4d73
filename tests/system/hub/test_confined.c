/* test_confined.c - what a hub that runs has given up, and what is left of secrets in its memory.
 */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/runtime/sandbox.h"
#include "federation.h"
#include "memory_search.h"

#define DEVICES 4

/* A number of a thread's status file, -1 if it is not there. */
static long long status_number(pid_t pid, pid_t thread, const char *name, int base)
{
    char path[64], line[256];
    long long found = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, thread);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (found < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            found = strtoll(line + strlen(name), NULL, base);
        }
    }
    fclose(file);
    return found;
}

/* The threads of a process whose name begins so. */
static unsigned threads_named(pid_t pid, const char *name, pid_t *threads, unsigned most)
{
    char command[160];
    unsigned count = 0;
    snprintf(command, sizeof command,
             "cd /proc/%d/task && for t in *; do case $(cat $t/comm) in %s*) echo $t;; esac; done",
             pid, name);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    while (count < most && fscanf(list, "%d", &threads[count]) == 1) {
        count++;
    }
    pclose(list);
    return count;
}

static void assert_confined(pid_t pid, pid_t thread, long long filters)
{
    assert_int_equal(status_number(pid, thread, "NoNewPrivs:", 10), 1);
    assert_int_equal(status_number(pid, thread, "CapEff:", 16), 0);
    assert_int_equal(status_number(pid, thread, "CapPrm:", 16), 0);
    assert_int_equal(status_number(pid, thread, "Seccomp:", 10), 2);
    assert_int_equal(status_number(pid, thread, "Seccomp_filters:", 10), filters);
}

static void test_every_thread(void **state)
{
    struct federation *federation = *state;
    pid_t threads[64];
    const pid_t self = getpid();
    const long long outside = status_number(self, self, "Seccomp_filters:", 10);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        const pid_t pid = federation->hubs[hub];
        const unsigned count = threads_named(pid, "", threads, 64);
        assert_true(count >= 2);
        for (unsigned i = 0; i < count; i++) {
            const unsigned workers = threads_named(pid, "mr-upload", threads + 32, 32);
            bool worker = false;
            for (unsigned w = 0; w < workers; w++) {
                worker = worker || threads[32 + w] == threads[i];
            }
            assert_confined(pid, threads[i], outside + (worker ? 2 : 1));
        }
        struct rlimit core;
        assert_int_equal(prlimit(pid, RLIMIT_CORE, NULL, &core), 0);
        assert_int_equal(core.rlim_max, 0);
    }
}

/* The log says of every part whether it is in force. */
static void test_the_log_says_so(void **state)
{
    struct federation *federation = *state;
    char path[4096], line[512];
    unsigned told = 0;
    snprintf(path, sizeof path, "%s/hub-0.log", federation->dir);
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log)) {
        told += strstr(line, " sandbox.part ") ? 1 : 0;
        if (strstr(line, "part=system_calls")) {
            assert_non_null(strstr(line, "in_force=yes"));
        }
        if (strstr(line, "part=files") && mr_sandbox_landlock_version() > 0) {
            assert_non_null(strstr(line, "in_force=yes"));
        }
    }
    fclose(log);
    assert_int_equal(told, MR_SANDBOX_PARTS);
}

/* Whether the hubs' own check takes the configuration. */
static int check_status(const struct federation *federation)
{
    char command[8400];
    snprintf(command, sizeof command, "'%s' --check --config '%s/hub-0.yaml' >'%s/check.txt' 2>&1",
             federation_hub_program(), federation->dir, federation->dir);
    return WEXITSTATUS(system(command));
}

/* A federation of root's whose hubs are to become nobody, with what nobody has to read. */
static struct federation *federation_of_nobody(void)
{
    char command[4400];
    struct federation *federation = federation_open("");
    assert_int_equal(chmod(federation->dir, 0755), 0);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        federation_edit(federation, hub, "1i sandbox:\\n  user: nobody");
    }
    snprintf(command, sizeof command, "grep -q 'nobody cannot read' '%s/check.txt'",
             federation->dir);
    assert_int_equal(check_status(federation), 2); /* the keys are root's */
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "chown -R nobody '%s/pki'", federation->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(check_status(federation), 0);
    return federation;
}

/* Started as root, the hubs become somebody else with all their threads, and work on. */
static void test_another_user(void **state)
{
    struct device devices[DEVICES];
    pid_t threads[64];
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    struct federation *federation = *state = federation_of_nobody();
    const struct passwd *nobody = getpwnam("nobody");
    federation_run(federation);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        const pid_t pid = federation->hubs[hub];
        const unsigned count = threads_named(pid, "", threads, 64);
        assert_true(count >= 3); /* control, endings, lead or helper */
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(status_number(pid, threads[i], "Uid:", 10), nobody->pw_uid);
            assert_int_equal(status_number(pid, threads[i], "Gid:", 10), nobody->pw_gid);
            assert_int_equal(status_number(pid, threads[i], "CapEff:", 16), 0);
            assert_int_equal(status_number(pid, threads[i], "CapPrm:", 16), 0);
        }
    }
    const uint64_t round = devices_begin(devices, DEVICES, federation);
    devices_commit(devices, 0, DEVICES);
    federation_expect(federation, round, "published", NULL);
    devices_check_sum(devices, DEVICES, round);
    devices_close(devices, DEVICES);
}

/* The user made data_dir before, with links to a file of root's in the place of what a hub writes.
 */
static void test_links_of_that_user(void **state)
{
    static const char *const names[] = {"owner.json.tmp", "revocations-seen.tmp", "lock"};
    char command[8800], said[4096], precious[4200], text[16] = "";
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    struct federation *federation = *state = federation_of_nobody();
    snprintf(precious, sizeof precious, "%s/precious", federation->dir);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command,
                 "cd '%s' && rm -rf data-1 && mkdir -m 700 data-1 && echo precious >precious && "
                 "chmod 600 precious && ln -s ../precious data-1/%s && chown -hR nobody data-1",
                 federation->dir, names[i]);
        assert_int_equal(system(command), 0);
        if (strcmp(names[i], "lock") == 0) { /* it does not go on without a lock of its own */
            assert_int_not_equal(federation_try(federation, "hub-1.yaml", said, sizeof said), 0);
        } else {
            federation_start(federation, 1);
            assert_int_equal(federation_stop(federation, 1, SIGTERM), 0);
        }
        FILE *file = fopen(precious, "r");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
        if (strcmp(text, "precious\n") != 0) {
            fail_msg("%s: root has written through the link: %s", names[i], text);
        }
    }
}

static int close_if_open(void **state)
{
    return *state ? federation_teardown(state) : 0;
}

/* --- secrets in memory ----------------------------------------------------------------------- */

/* A seed is in the helper's locked memory while the round needs it, and nowhere afterwards. */
static void test_seeds_go(void **state)
{
    struct federation *federation = *state;
    struct device devices[DEVICES];
    struct mr_upload_request requests[DEVICES];
    uint8_t seed[MR_SEED_BYTES];
    const pid_t helper = federation->hubs[1];
    const uint64_t round = devices_begin(devices, DEVICES, federation);
    for (unsigned i = 0; i < DEVICES; i++) {
        device_seed(&devices[i], 0, &requests[i]);
    }
    memset(seed, 2 * 8 + 1, sizeof seed); /* of device 2, as device_seed makes it */
    struct found found = memory_search(helper, seed, sizeof seed);
    print_message("in the round: %u in locked pages, %u elsewhere\n", found.guarded, found.bare);
    assert_int_equal(found.guarded, 1);
    assert_int_equal(found.bare, 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_int_equal(device_request(&devices[i], &requests[i], NULL), 200);
        assert_int_equal(device_put(&devices[i]), 202);
    }
    federation_expect(federation, round, "published", NULL);
    found = memory_search(helper, seed, sizeof seed);
    assert_int_equal(found.guarded + found.bare, 0);
    devices_close(devices, DEVICES);
}

/* The signing key, likewise, but for what OpenSSL makes of it while it signs. */
static void test_signing_keys(void **state)
{
    struct federation *federation = *state;
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        uint8_t key[32];
        federation_private_key(federation, hub, key);
        const struct found found = memory_search(federation->hubs[hub], key, sizeof key);
        print_message("hub %u: %u in locked pages, %u elsewhere\n", hub, found.guarded, found.bare);
        assert_true(found.guarded >= 1);
        assert_int_equal(found.bare, 0);
    }
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, federation_setup, federation_teardown)
    const struct CMUnitTest tests[] = {
        T(test_every_thread),
        T(test_the_log_says_so),
        cmocka_unit_test_teardown(test_another_user, close_if_open),
        cmocka_unit_test_teardown(test_links_of_that_user, close_if_open),
        T(test_seeds_go),
        T(test_signing_keys),
    };
    if (!federation_program(argc, argv)) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
