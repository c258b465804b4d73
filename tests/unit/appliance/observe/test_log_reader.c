/* A log's reader may be slow, stopped or gone: nobody waits for it, no line is lost uncounted. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"

#define PATIENCE_MS 60000
#define TEXT_BYTES  ((size_t)4 << 20)

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A log over the small end of a pipe. */
static struct mr_log *over_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
    struct mr_log *log = mr_log_open(MR_LOG_INFO, fds[1]);
    assert_non_null(log);
    assert_int_equal(mr_log_start(log, NULL, NULL), 0);
    return log;
}

/* More than pipe and queue take, each line an event of its own, so that none is a repeat. */
static unsigned overflow(struct mr_log *log, enum mr_log_level level)
{
    static unsigned number;
    char event[32], filler[900];
    unsigned said = 0;
    struct mr_log_counts counts;
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    do {
        snprintf(event, sizeof event, "event.n%u", number++);
        mr_log_event(log, level, event, "filler=%s", filler);
        said++;
        mr_log_count(log, &counts);
    } while (counts.lost < 5 && said < 10000);
    assert_true(counts.lost >= 5);
    return said;
}

struct reader {
    int fd;
    char *text;
    size_t length;
};

static void *read_all(void *argument)
{
    struct reader *reader = argument;
    ssize_t n;
    while ((n = read(reader->fd, reader->text + reader->length, TEXT_BYTES - 1 - reader->length)) >
           0) {
        reader->length += (size_t)n;
    }
    reader->text[reader->length] = '\0';
    return NULL;
}

static unsigned occurrences(const char *text, const char *words)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

static void nobody_waits_for_the_reader(void **state)
{
    (void)state;
    int fds[2];
    struct mr_log *log = over_pipe(fds);
    overflow(log, MR_LOG_INFO); /* it comes back at all: nothing is read */
    const uint64_t began_ms = now_ms();
    mr_log_close(log);
    assert_true(now_ms() - began_ms < PATIENCE_MS);
    close(fds[0]); /* its thread ends by that; the other end is open as long as standard error is */
}

static void what_is_lost_is_said_in_its_place(void **state)
{
    (void)state;
    int fds[2];
    pthread_t thread;
    struct mr_log_counts counts;
    struct mr_log *log = over_pipe(fds);
    const unsigned said = overflow(log, MR_LOG_INFO);
    mr_log_count(log, &counts);
    struct reader reader = {.fd = fds[0], .text = malloc(TEXT_BYTES)};
    assert_non_null(reader.text);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_true(mr_log_flush(log, PATIENCE_MS));
    mr_log_event(log, MR_LOG_INFO, "after.all", "x=%d", 1);
    mr_log_close(log);
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
    const char *gap = strstr(reader.text, " warn log.lost lines=");
    assert_non_null(gap);
    assert_int_equal(occurrences(reader.text, " log.lost "), 1);
    assert_int_equal(strtoull(gap + strlen(" warn log.lost lines="), NULL, 10), counts.lost);
    assert_int_equal(occurrences(reader.text, " event.n") + counts.lost, said);
    assert_null(strstr(gap, " event.n")); /* after what came before it, before what came after */
    assert_non_null(strstr(gap, " after.all x=1\n"));
    free(reader.text);
}

/* A flood of lesser lines leaves room for what matters. */
static void errors_have_room_left(void **state)
{
    (void)state;
    int fds[2];
    struct mr_log_counts before, after;
    struct mr_log *log = over_pipe(fds);
    overflow(log, MR_LOG_INFO);
    mr_log_count(log, &before);
    for (unsigned i = 0; i < 10; i++) { /* none is short enough for the rest of a full queue */
        mr_log_event(log, MR_LOG_ERROR, "hub.fatal", "why=%0900u", i);
    }
    mr_log_count(log, &after);
    assert_int_equal(after.lost, before.lost);
    assert_int_equal(after.suppressed, before.suppressed);
    mr_log_close(log);
    close(fds[0]);
}

static void a_reader_that_is_gone_costs_lines_only(void **state)
{
    (void)state;
    int fds[2];
    struct mr_log_counts counts;
    struct mr_log *log = over_pipe(fds); /* SIGPIPE kills this test if it comes */
    close(fds[0]);
    mr_log_event(log, MR_LOG_INFO, "one", "x=%d", 1);
    assert_true(mr_log_flush(log, PATIENCE_MS));
    mr_log_event(log, MR_LOG_INFO, "two", "x=%d", 2);
    assert_true(mr_log_flush(log, PATIENCE_MS));
    mr_log_count(log, &counts);
    assert_int_equal(counts.lost, 2);
    mr_log_close(log);
    close(fds[1]);
}

/* Whoever started the hub may have the other end of the same description: its flags are its. */
static void the_descriptor_stays_as_it_is(void **state)
{
    (void)state;
    int fds[2];
    char text[256];
    struct mr_log *log = over_pipe(fds);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    mr_log_close(log);

    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0); /* somebody else did */
    log = mr_log_open(MR_LOG_INFO, fds[1]);
    assert_int_equal(mr_log_start(log, NULL, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "event.i%u", i);
        mr_log_event(log, MR_LOG_INFO, text, "filler=%099u", i);
    }
    mr_log_event(log, MR_LOG_INFO, "last", "x=%d", 1);
    struct reader reader = {.fd = fds[0], .text = malloc(TEXT_BYTES)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    assert_true(mr_log_flush(log, PATIENCE_MS));
    mr_log_close(log);
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
    assert_int_equal(occurrences(reader.text, " event.i"), 200); /* waited for, not lost */
    free(reader.text);
}

static void without_a_thread_lines_come_at_the_end(void **state)
{
    (void)state;
    int fds[2];
    char text[4096];
    assert_int_equal(pipe(fds), 0);
    struct mr_log *log = mr_log_open(MR_LOG_INFO, fds[1]);
    mr_log_event(log, MR_LOG_ERROR, "hub.not_started", "code=%d", 3);
    mr_log_close(log);
    close(fds[1]);
    const ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "Z error hub.not_started code=3\n"));
    close(fds[0]);
}

static void the_journal_hears_priorities(void **state)
{
    (void)state;
    static const struct {
        enum mr_log_level level;
        char priority;
    } rows[] = {{MR_LOG_ERROR, '3'}, {MR_LOG_WARN, '4'}, {MR_LOG_INFO, '6'}, {MR_LOG_DEBUG, '7'}};
    for (unsigned theirs = 0; theirs < 2; theirs++) {
        int fds[2];
        char text[4096], stream[64];
        struct stat about;
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(fstat(fds[1], &about), 0);
        snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)about.st_dev,
                 (unsigned long long)about.st_ino + theirs);
        setenv("JOURNAL_STREAM", stream, 1);
        struct mr_log *log = mr_log_open(MR_LOG_DEBUG, fds[1]);
        unsetenv("JOURNAL_STREAM");
        for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            mr_log_event(log, rows[i].level, "a", "x=%d", 1);
        }
        mr_log_close(log);
        close(fds[1]);
        const ssize_t n = read(fds[0], text, sizeof text - 1);
        assert_true(n > 0);
        text[n] = '\0';
        close(fds[0]);
        char *line = strtok(text, "\n");
        for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const char begins[] = {'<', rows[i].priority, '>', '2', '\0'};
            assert_non_null(line);
            assert_memory_equal(line, theirs ? "2" : begins, theirs ? 1 : 4);
            line = strtok(NULL, "\n");
        }
    }
}

/* A burst, then next to nothing: a flood fills no disk. */
static void strangers_have_few_lines(void **state)
{
    (void)state;
    int fds[2];
    char text[65536];
    struct mr_log_counts counts;
    assert_int_equal(pipe(fds), 0);
    struct mr_log *log = mr_log_open(MR_LOG_INFO, fds[1]);
    const uint64_t began_ms = now_ms();
    for (unsigned i = 0; i < 500; i++) {
        if (i == 250) { /* time in which everybody else's events would get another line */
            nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        }
        mr_log_strangers(log, MR_LOG_WARN, "control.handshake_failed", "i=%u", i);
    }
    const unsigned most = 10 + (unsigned)((now_ms() - began_ms) / 10000) + 1;
    mr_log_count(log, &counts);
    mr_log_close(log);
    close(fds[1]);
    const ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    close(fds[0]);
    const unsigned lines = occurrences(text, " i=");
    assert_true(lines >= 10 && lines <= most);
    assert_int_equal(lines + counts.suppressed, 500);
}

static void counts_are_metrics(void **state)
{
    (void)state;
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    mr_log_metrics(NULL, &metrics);
    assert_non_null(strstr(metrics.text, "\nmillrace_log_lines_lost_total 0\n"));
    assert_non_null(strstr(metrics.text, "\nmillrace_log_lines_suppressed_total 0\n"));
    mr_metrics_fini(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_the_reader),
        cmocka_unit_test(what_is_lost_is_said_in_its_place),
        cmocka_unit_test(errors_have_room_left),
        cmocka_unit_test(a_reader_that_is_gone_costs_lines_only),
        cmocka_unit_test(the_descriptor_stays_as_it_is),
        cmocka_unit_test(without_a_thread_lines_come_at_the_end),
        cmocka_unit_test(the_journal_hears_priorities),
        cmocka_unit_test(strangers_have_few_lines),
        cmocka_unit_test(counts_are_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
