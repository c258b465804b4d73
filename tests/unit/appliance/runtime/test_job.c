/* The background thread: order, which thread runs what, and that nothing queued is lost. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "appliance/runtime/job.h"

#define JOBS 500

struct bench;
struct piece {
    struct bench *bench;
    unsigned number;
    bool worked, reported;
    pthread_t worker, reporter;
};
struct bench {
    struct mr_loop *loop;
    struct mr_job_thread *thread;
    unsigned worked;                 /* the job thread's */
    unsigned reported;               /* the loop's */
    bool work_broken, report_broken; /* each side has its own */
    struct piece pieces[JOBS];
};

static void work(void *context)
{
    struct piece *piece = context;
    piece->bench->work_broken |= piece->bench->worked++ != piece->number;
    piece->worked = true;
    piece->worker = pthread_self();
}

static void done(void *context)
{
    struct piece *piece = context;
    struct bench *bench = piece->bench;
    bench->report_broken |= bench->reported++ != piece->number || !piece->worked;
    piece->reported = true;
    piece->reporter = pthread_self();
    if (bench->reported == JOBS) {
        mr_loop_stop(bench->loop);
    }
}

static void fill(struct bench *bench)
{
    struct mr_error error;
    *bench = (struct bench){0};
    assert_int_equal(mr_loop_open(&bench->loop, &error), 0);
    assert_int_equal(mr_job_thread_open(&bench->thread, bench->loop, "test-job", &error), 0);
    for (unsigned i = 0; i < JOBS; i++) {
        bench->pieces[i].bench = bench;
        bench->pieces[i].number = i;
        mr_job_run(bench->thread, work, done, &bench->pieces[i]);
    }
}

static void jobs_run_in_order_and_report_on_the_loop(void **state)
{
    (void)state;
    static struct bench bench;
    fill(&bench);
    mr_loop_run(bench.loop);
    assert_false(bench.work_broken);
    assert_false(bench.report_broken);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_true(bench.pieces[i].reported);
        assert_false(pthread_equal(bench.pieces[i].worker, pthread_self()));
        assert_true(pthread_equal(bench.pieces[i].reporter, pthread_self()));
    }
    mr_job_thread_close(bench.thread);
    mr_loop_close(bench.loop);
}

static void closing_finishes_what_is_queued(void **state)
{
    (void)state;
    static struct bench bench;
    fill(&bench);
    mr_job_thread_close(bench.thread);
    assert_int_equal(bench.worked, JOBS);
    assert_int_equal(bench.reported, 0); /* the loop has not run since */
    mr_loop_run(bench.loop);
    assert_int_equal(bench.reported, JOBS);
    assert_false(bench.work_broken);
    assert_false(bench.report_broken);
    mr_loop_close(bench.loop);
}

static void a_job_without_report_is_fine(void **state)
{
    (void)state;
    static struct bench bench;
    struct mr_error error;
    bench = (struct bench){0};
    assert_int_equal(mr_loop_open(&bench.loop, &error), 0);
    assert_int_equal(mr_job_thread_open(&bench.thread, bench.loop, "test-job", &error), 0);
    bench.pieces[0].bench = &bench;
    mr_job_run(bench.thread, work, NULL, &bench.pieces[0]);
    mr_job_thread_close(bench.thread);
    assert_true(bench.pieces[0].worked);
    mr_loop_close(bench.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_and_report_on_the_loop),
        cmocka_unit_test(closing_finishes_what_is_queued),
        cmocka_unit_test(a_job_without_report_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
