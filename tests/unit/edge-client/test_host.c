/* test_host.c - the library in host processes of every kind: with signals ignored, blocked or taken
 * by the host, its standard descriptors closed, another umask, another working directory, a decimal
 * comma. Each host is a process of its own that plays a round with an external trainer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/edge-client/check.h"
#include "tests/unit/edge-client/comma_locale.h"
#include "tests/unit/edge-client/fake.h"

static const char *trainer; /* argv[1] */

struct host {
    const char *part;              /* that the trainer plays */
    void (*before)(struct fake *); /* before the client is opened */
    void (*after)(struct fake *);  /* between that and the round */
    enum mre_result result;
    const char *says; /* in the outcome's text; NULL: anything */
};

/* --- what must hold in each ------------------------------------------------------------------- */

static void check_start(const struct fake *fake)
{
    char path[128];
    snprintf(path, sizeof path, "%s/part.txt.seen", fake->dir);
    json_t *seen = json_load_file(path, 0, NULL);
    CHECK(seen);
    const json_int_t ignored = json_integer_value(json_object_get(seen, "ignored"));
    CHECK(json_integer_value(json_object_get(seen, "blocked")) == 0);
    CHECK((ignored & (1 << (SIGCHLD - 1))) == 0 && (ignored & (1 << (SIGTERM - 1))) == 0);
    CHECK(json_array_size(json_object_get(seen, "fds")) == 4); /* the lock */
    CHECK(strcmp(json_string_value(json_object_get(seen, "input")), "/dev/null") == 0);
    CHECK(json_is_true(json_object_get(seen, "same")));
    CHECK(json_integer_value(json_object_get(seen, "folder")) == 0700);
    json_decref(seen);
}

/* What the device wrote, nobody else may read. */
static void check_modes(const struct fake *fake)
{
    DIR *folder = opendir(fake->dir);
    unsigned files = 0;
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat st;
        const char *name = entry->d_name;
        CHECK(fstatat(dirfd(folder), name, &st, 0) == 0);
        if (strcmp(name, "state.json") == 0 || strcmp(name, "lock") == 0 ||
            strncmp(name, "model-", 6) == 0 || strstr(name, ".bin")) {
            CHECK((st.st_mode & 07777) == 0600);
            files++;
        }
        CHECK(strcmp(name, "training") != 0);
    }
    closedir(folder);
    CHECK(files == 4);
}

static void play(const struct host *host)
{
    struct fake fake;
    struct mre_outcome outcome;
    char path[128];
    fake_init(&fake, 2, 16);
    fake.announcement.deadline_unix_ms = UINT64_C(4000000000000); /* the program's time is real */
    fake_announce(&fake);
    snprintf(path, sizeof path, "%s/part.txt", fake.dir);
    FILE *file = fopen(path, "w");
    CHECK(file && fprintf(file, "%s\n", host->part) > 0 && fclose(file) == 0);
    struct mre_program program = {.path = trainer, .data_file = path};
    if (host->before) {
        host->before(&fake);
    }
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_AUTO, fake.dir);
    if (host->after) {
        host->after(&fake);
    }
    const enum mre_result result =
        mre_client_round(client, 1000, mre_program_train, &program, &outcome);
    CHECK(result == host->result);
    CHECK(!host->says || strstr(outcome.text, host->says));
    if (result == MRE_COMMITTED && strcmp(host->part, "host") == 0) {
        check_start(&fake);
        check_modes(&fake);
    }
    mre_client_close(client);
    signal(SIGCHLD, SIG_DFL); /* for what removes the folder */
    fake_fini(&fake);
}

static void check(const struct host *host)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        play(host);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- hosts ------------------------------------------------------------------------------------ */

static void ignore_children(struct fake *fake)
{
    (void)fake;
    signal(SIGCHLD, SIG_IGN);
}

static void reap(int number)
{
    const int kept = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        ;
    }
    errno = kept;
}

static void take_children(struct fake *fake)
{
    (void)fake;
    signal(SIGCHLD, reap);
}

static void block_signals(struct fake *fake)
{
    sigset_t all;
    (void)fake;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

static void close_standard(struct fake *fake)
{
    (void)fake;
    close(0);
    close(1);
    close(2);
}

/* A descriptor of the host that is not close-on-exec. */
static void leave_open(struct fake *fake)
{
    (void)fake;
    CHECK(dup2(open("/dev/null", O_RDONLY), 77) == 77);
}

static void open_umask(struct fake *fake)
{
    (void)fake;
    umask(0);
}

/* Paths relative to a folder that the host leaves. */
static void relative_then_away(struct fake *fake)
{
    CHECK(chdir(fake->dir) == 0);
    snprintf(fake->dir, sizeof fake->dir, ".");
}

static void away(struct fake *fake)
{
    char *folder = getcwd(NULL, 0);
    CHECK(folder && chdir("/") == 0);
    snprintf(fake->dir, sizeof fake->dir, "%s", folder);
    free(folder);
}

static void decimal_comma(struct fake *fake)
{
    if (!comma_locale_set(fake->dir)) {
        fprintf(stderr, "no localedef here: the locale stays\n");
    }
}

static void test_children(void **state)
{
    static const struct host hosts[] = {
        {"host", ignore_children, NULL, MRE_COMMITTED, NULL},
        {"host", take_children, NULL, MRE_COMMITTED, NULL},
        {"host", NULL, ignore_children, MRE_COMMITTED, NULL},
        {"dies", ignore_children, NULL, MRE_TRAINER_FAILED, "exit code 3"},
        {"dies", take_children, NULL, MRE_TRAINER_FAILED, "exit code 3"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        check(&hosts[i]);
    }
}

static void test_signals(void **state)
{
    static const struct host host = {"host", block_signals, NULL, MRE_COMMITTED, NULL};
    (void)state;
    check(&host);
}

static void test_descriptors(void **state)
{
    static const struct host closed = {"host", close_standard, NULL, MRE_COMMITTED, NULL};
    static const struct host open = {"host", leave_open, NULL, MRE_COMMITTED, NULL};
    (void)state;
    check(&closed);
    check(&open);
}

static void test_umask(void **state)
{
    static const struct host host = {"host", open_umask, NULL, MRE_COMMITTED, NULL};
    (void)state;
    check(&host);
}

static void test_working_directory(void **state)
{
    static const struct host host = {"host", relative_then_away, away, MRE_COMMITTED, NULL};
    (void)state;
    check(&host);
}

static void test_locale(void **state)
{
    static const struct host host = {"host", decimal_comma, NULL, MRE_COMMITTED, NULL};
    (void)state;
    check(&host);
}

/* Of a round whose loss is no number nothing is sent. */
static void test_a_loss_that_is_not_finite(void **state)
{
    static const struct host host = {"big-loss", NULL, NULL, MRE_BAD_DELTA,
                                     "the training loss is infinite"};
    (void)state;
    check(&host);
}

int main(int argc, char **argv)
{
    if (argc != 2 || access("/usr/bin/python3", X_OK)) {
        puts(
            "skipped: needs /usr/bin/python3, and a machine on which fork() works (not qemu-user)");
        return 77;
    }
    trainer = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_umask),
        cmocka_unit_test(test_working_directory),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_a_loss_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
