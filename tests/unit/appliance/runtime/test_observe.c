/* The log's lines and the metrics' text, as their readers (logfmt, Prometheus) take them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"

/* What was written since, from behind the time stamp of the first line. */
static const char *tail_of(int fd, char *text, size_t size)
{
    const ssize_t n = read(fd, text, size - 1);
    assert_true(n > 25);
    text[n] = '\0';
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[23], 'Z');
    assert_int_equal(text[24], ' ');
    return text + 25;
}

static void lines_are_logfmt(void **state)
{
    (void)state;
    int fds[2];
    char text[4096];
    assert_int_equal(pipe(fds), 0);
    struct mr_log *log = mr_log_open(MR_LOG_INFO, fds[1]);
    assert_int_equal(mr_log_start(log, NULL, NULL), 0);
    assert_non_null(log);

    mr_log_event(log, MR_LOG_INFO, "round.open", "round=%u devices=%d", 7u, 30);
    assert_string_equal(tail_of(fds[0], text, sizeof text), "info round.open round=7 devices=30\n");

    mr_log_event(log, MR_LOG_WARN, "upload.refused", "peer=%s:%u why=%s", "10.0.0.1", 9u,
                 "bad \"tag\"\n x=1");
    assert_string_equal(tail_of(fds[0], text, sizeof text),
                        "warn upload.refused peer=10.0.0.1:9 why=\"bad \\\"tag\\\"\\n x=1\"\n");

    mr_log_event(log, MR_LOG_ERROR, "a", "%s", "no key");
    assert_string_equal(tail_of(fds[0], text, sizeof text), "error a message=\"no key\"\n");

    mr_log_event(log, MR_LOG_ERROR, "b", "file=%s error=cannot open: %s", "", "x");
    assert_string_equal(tail_of(fds[0], text, sizeof text),
                        "error b file=\"\" error=\"cannot open: x\"\n");

    mr_log_event(log, MR_LOG_ERROR, "c", "who=%s",
                 "a\x1e"
                 "b\x7f");
    assert_string_equal(tail_of(fds[0], text, sizeof text),
                        "error c message=\"who=\\x1ea\\x1eb\\x7f\\x1e\"\n");

    char long_text[3000];
    memset(long_text, 'z', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    mr_log_event(log, MR_LOG_ERROR, "d", "text=%s", long_text);
    const char *tail = tail_of(fds[0], text, sizeof text);
    assert_int_equal(tail[strlen(tail) - 1], '\n');
    assert_memory_equal(tail, "error d message=", 16);

    mr_log_event(log, MR_LOG_DEBUG, "quiet", "x=%d", 1);
    mr_log_event(log, MR_LOG_INFO, "loud", "%s", "");
    assert_string_equal(tail_of(fds[0], text, sizeof text), "info loud message=\"\"\n");
    mr_log_event(NULL, MR_LOG_ERROR, "nobody", "x=%d", 1);
    mr_log_close(log);
    close(fds[0]);
    close(fds[1]);
}

static void repeats_are_suppressed_and_counted(void **state)
{
    (void)state;
    int fds[2];
    char text[65536];
    assert_int_equal(pipe(fds), 0);
    struct mr_log *log = mr_log_open(MR_LOG_INFO, fds[1]);
    assert_int_equal(mr_log_start(log, NULL, NULL), 0);
    for (unsigned i = 0; i < 500; i++) {
        mr_log_event(log, MR_LOG_INFO, "flood", "i=%u", i);
    }
    mr_log_close(log);
    close(fds[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(fds[0], text + length, sizeof text - 1 - length)) > 0) {
        length += (size_t)n;
    }
    text[length] = '\0';
    unsigned lines = 0;
    unsigned long suppressed = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *at = strstr(line, " suppressed=");
        suppressed += at ? strtoul(at + 12, NULL, 10) : 0;
        lines += strstr(line, " i=") ? 1 : 0;
    }
    assert_int_equal(lines + suppressed, 500); /* none unaccounted for, however slow the clock */
    assert_true(lines >= 10 && lines < 500);
    close(fds[0]);
}

static void metrics_are_prometheus_text(void **state)
{
    (void)state;
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    mr_metrics_family(&metrics, "millrace_x_total", "counter", "What\nis \\ counted.");
    mr_metrics_sample(&metrics, "millrace_x_total", "", 12345678901.0);
    mr_metrics_sample(&metrics, "millrace_x_total", "reason=\"bad_tag\"", 0.5);
    mr_metrics_sample(&metrics, "millrace_x_total", "", (double)NAN);
    mr_metrics_sample(&metrics, "millrace_x_total", "", (double)-INFINITY);
    assert_string_equal(metrics.text, "# HELP millrace_x_total What\\nis \\\\ counted.\n"
                                      "# TYPE millrace_x_total counter\n"
                                      "millrace_x_total 12345678901\n"
                                      "millrace_x_total{reason=\"bad_tag\"} 0.5\n"
                                      "millrace_x_total NaN\n"
                                      "millrace_x_total -Inf\n");
    assert_int_equal(metrics.length, strlen(metrics.text));
    for (unsigned i = 0; i < 1000; i++) {
        mr_metrics_sample(&metrics, "millrace_many", "", i);
    }
    assert_int_equal(metrics.failed, 0);
    assert_int_equal(metrics.length, strlen(metrics.text));
    assert_string_equal(metrics.text + metrics.length - 18, "millrace_many 999\n");
    mr_metrics_fini(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_logfmt),
        cmocka_unit_test(repeats_are_suppressed_and_counted),
        cmocka_unit_test(metrics_are_prometheus_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
