/* What root does for the user that a hub becomes: nothing in a folder that the user can change, so
 * that links and swapped folders there lead root nowhere. Only root can try it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/runtime/sandbox.h"
#include "appliance/runtime/sandbox_internal.h"

#define TURNS 10000u

static struct {
    char dir[64], data[80], home[80], outside[80];
    uid_t nobody;
    gid_t nogroup;
} scene;

static void make_file(const char *folder, const char *name, uid_t owner)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && fchown(fd, owner, owner == 0 ? 0 : scene.nogroup) == 0);
    close(fd);
}

static void make_folder(const char *path, uid_t owner)
{
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chown(path, owner, owner == 0 ? 0 : scene.nogroup), 0);
}

static uid_t owner_of(const char *folder, const char *name)
{
    char path[300];
    struct stat about;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(lstat(path, &about), 0);
    return about.st_uid;
}

/* A hub's start as far as the user goes: 0, or 1 with what it said. */
static int start(const char *data_dir, char said[512])
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const struct mr_sandbox_plan plan = {
            .mode = MR_SANDBOX_AUTO, .user = "nobody", .group = "", .data_dir = data_dir};
        struct mr_sandbox sandbox;
        struct mr_error error = {.text = ""};
        const bool good = mr_sandbox_begin(&sandbox, &plan, &error) == 0 &&
                          mr_sandbox_become_user(&sandbox, &error) == 0;
        const ssize_t length = (ssize_t)strlen(error.text);
        _exit(good ? 0 : write(ends[1], error.text, (size_t)length) == length ? 1 : 2);
    }
    close(ends[1]);
    const ssize_t got = read(ends[0], said, 511);
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status);
}

static void assert_refused(const char *data_dir)
{
    char said[512];
    assert_int_equal(start(data_dir, said), 1);
    if (!strstr(said, "chown -hR nobody:") || !strstr(said, data_dir)) {
        fail_msg("no remedy: %s", said);
    }
}

/* --- what root hands over -------------------------------------------------------------------- */

static void test_handed_over(void **state)
{
    char said[512];
    (void)state;
    assert_int_equal(start(scene.data, said), 0); /* made */
    assert_int_equal(owner_of(scene.data, "."), scene.nobody);
    make_file(scene.data, "of-the-hub", scene.nobody);
    assert_int_equal(start(scene.data, said), 0); /* and found again */
    assert_int_equal(rename(scene.data, scene.outside), 0);
    make_folder(scene.data, 0);
    assert_int_equal(start(scene.data, said), 0); /* an operator's, empty */
    assert_int_equal(owner_of(scene.data, "."), scene.nobody);
}

static void test_not_handed_over(void **state)
{
    char path[200];
    (void)state;
    make_folder(scene.data, 0);
    make_file(scene.data, "of-root", 0);
    assert_refused(scene.data); /* full */
    assert_int_equal(owner_of(scene.data, "of-root"), 0);
    assert_int_equal(owner_of(scene.data, "."), 0);

    make_folder(scene.outside, 0);
    snprintf(path, sizeof path, "%s/link", scene.dir);
    assert_int_equal(symlink(scene.outside, path), 0);
    assert_refused(path); /* a link */
    snprintf(path, sizeof path, "%s/link/data", scene.dir);
    assert_refused(path); /* behind a link */

    snprintf(path, sizeof path, "%s/data", scene.home);
    make_folder(path, 0);
    assert_refused(path); /* root's, in a folder of somebody else's */
    assert_int_equal(owner_of(path, "."), 0);
    assert_int_equal(owner_of(scene.outside, "."), 0);
}

/* Root without a user to become. */
static void test_not_of_root(void **state)
{
    (void)state;
    int status;
    const pid_t child = fork();
    if (child == 0) {
        const struct mr_sandbox_plan plan = {
            .mode = MR_SANDBOX_AUTO, .user = "", .group = "", .data_dir = scene.home};
        struct mr_sandbox sandbox;
        struct mr_error error = {.text = ""};
        _exit(mr_sandbox_begin(&sandbox, &plan, &error) == -1 &&
                      strstr(error.text, "set sandbox.user")
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- a user who races root ------------------------------------------------------------------- */

/* Puts a link to root's folder in the place of his own one, and back, for ever. */
_Noreturn static void swap_for_ever(void)
{
    char mine[200], aside[200];
    if (setgid(scene.nogroup) != 0 || setuid(scene.nobody) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) { /* a change of user would clear it */
        _exit(1);
    }
    snprintf(mine, sizeof mine, "%s/models", scene.home);
    snprintf(aside, sizeof aside, "%s/aside", scene.home);
    for (;;) {
        (void)(rename(mine, aside) == 0 && symlink(scene.outside, mine) == 0 && unlink(mine) == 0 &&
               rename(aside, mine) == 0);
    }
}

/* He has a file of root's in a folder of his own, of the name of one that he would like to have. */
static void test_race(void **state)
{
    char said[512], mine[200];
    (void)state;
    snprintf(mine, sizeof mine, "%s/models", scene.home);
    make_folder(mine, scene.nobody);
    make_file(mine, "shadow", 0);
    snprintf(mine, sizeof mine, "%s/models/shadow", scene.home);
    const int again = open(mine, O_RDONLY | O_CLOEXEC);
    assert_true(again >= 0);
    make_folder(scene.outside, 0);
    make_file(scene.outside, "shadow", 0);
    const pid_t racer = fork();
    if (racer == 0) {
        swap_for_ever();
    }
    unsigned turn = 0, failures = 0;
    uid_t owner = 0;
    for (; turn < TURNS && owner == 0 && fchown(again, 0, 0) == 0; turn++) {
        failures += (unsigned)start(scene.home, said);
        owner = owner_of(scene.outside, "shadow");
    }
    close(again);
    kill(racer, SIGKILL);
    waitpid(racer, NULL, 0);
    print_message("%u turns, %u starts failed\n", turn, failures);
    if (owner != 0) {
        fail_msg("root's file is the user's after %u turns", turn);
    }
    assert_int_equal(owner_of(scene.outside, "."), 0);
    assert_int_equal(failures, 0);
}

/* --- a port below 1024 ------------------------------------------------------------------------ */

/* What bind says there to the user: 0 or an errno. */
static int bind_as_user(uint16_t listen_port, uint16_t port)
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        const struct mr_sandbox_plan plan = {.mode = MR_SANDBOX_AUTO,
                                             .user = "nobody",
                                             .group = "",
                                             .data_dir = scene.data,
                                             .listen_port = listen_port};
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct mr_sandbox sandbox;
        struct mr_error error;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (mr_sandbox_begin(&sandbox, &plan, &error) != 0 ||
            mr_sandbox_become_user(&sandbox, &error) != 0) {
            _exit(255);
        }
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _exit(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_low_port(void **state)
{
    (void)state;
    const int said = bind_as_user(1023, 1023);
    assert_true(said == 0 || said == EADDRINUSE);
    assert_int_equal(bind_as_user(8443, 1023), EACCES); /* no right that it does not need */
}

/* --- as the user ------------------------------------------------------------------------------ */

static int tell_user(void *context, struct mr_error *error)
{
    (void)context;
    return mr_error_set(error, "user %u group %u", geteuid(), getegid());
}

static int do_nothing(void *context, struct mr_error *error)
{
    (void)error;
    *(bool *)context = true;
    return 0;
}

static void test_as_user(void **state)
{
    char wanted[80];
    bool done = false;
    struct mr_error error = {.text = ""};
    (void)state;
    snprintf(wanted, sizeof wanted, "user %u group %u", scene.nobody, scene.nogroup);
    assert_int_equal(mr_sandbox_as_user("nobody", "", tell_user, NULL, &error), -1);
    assert_string_equal(error.text, wanted);
    assert_int_equal(mr_sandbox_as_user("nobody", "", do_nothing, &done, &error), 0);
    assert_false(done); /* in another process */
    assert_int_equal(mr_sandbox_as_user("", "", do_nothing, &done, &error), 0);
    assert_true(done);
    assert_int_equal(mr_sandbox_as_user("nobody-at-all", "", do_nothing, &done, &error), -1);
    assert_non_null(strstr(error.text, "there is no user"));
}

/* --------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    assert_non_null(nobody);
    scene.nobody = nobody->pw_uid;
    scene.nogroup = nobody->pw_gid;
    strcpy(scene.dir, "/tmp/mr-test-sandbox-user-XXXXXX");
    assert_non_null(mkdtemp(scene.dir));
    assert_int_equal(chmod(scene.dir, 0755), 0);
    snprintf(scene.data, sizeof scene.data, "%s/data", scene.dir);
    snprintf(scene.home, sizeof scene.home, "%s/home", scene.dir);
    snprintf(scene.outside, sizeof scene.outside, "%s/outside", scene.dir);
    make_folder(scene.home, scene.nobody);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", scene.dir);
    return system(command);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_handed_over), T(test_not_handed_over), T(test_not_of_root),
        T(test_race),        T(test_low_port),        T(test_as_user),
    };
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
