/* The pool of threads: who runs what, what is withdrawn, and what a pause and the end wait for. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "appliance/runtime/pool.h"

#define TASKS 500

static const struct timespec moment = {.tv_nsec = 50 * 1000000};

struct bench {
    struct mr_loop *loop;
    struct mr_pool *pool;
    sem_t begun, gate; /* of those that stand at the gate */
    unsigned done;
};

struct piece {
    struct mr_pool_task task;
    struct bench *bench;
    atomic_uint worked;
    unsigned done;
    pthread_t worker, reporter;
};

static void work(void *context)
{
    struct piece *piece = context;
    piece->worker = pthread_self();
    atomic_fetch_add(&piece->worked, 1);
}

static void work_behind_the_gate(void *context)
{
    struct piece *piece = context;
    sem_post(&piece->bench->begun);
    sem_wait(&piece->bench->gate);
    work(piece);
}

static void done(void *context)
{
    struct piece *piece = context;
    piece->reporter = pthread_self();
    piece->done++;
    piece->bench->done++;
    mr_loop_stop(piece->bench->loop);
}

static void prepare(struct piece *piece, struct bench *bench, mr_loop_fn fn)
{
    *piece = (struct piece){.task = {.work = fn, .done = done, .context = piece}, .bench = bench};
}

static void open_bench(struct bench *bench, unsigned threads)
{
    struct mr_error error = {""};
    *bench = (struct bench){0};
    sem_init(&bench->begun, 0, 0);
    sem_init(&bench->gate, 0, 0);
    assert_int_equal(mr_loop_open(&bench->loop, &error), 0);
    assert_int_equal(mr_pool_open(&bench->pool, bench->loop, "test", threads, &error), 0);
}

static void close_bench(struct bench *bench)
{
    mr_pool_close(bench->pool);
    mr_loop_close(bench->loop);
}

static void *open_gate(void *context)
{
    struct bench *bench = context;
    nanosleep(&moment, NULL); /* a pause or an end that does not wait is over by then */
    sem_post(&bench->gate);
    return NULL;
}

static void every_task_runs_once_and_reports_on_the_loop(void **state)
{
    (void)state;
    static struct piece pieces[TASKS];
    struct bench bench;
    open_bench(&bench, 3);
    for (unsigned i = 0; i < TASKS; i++) {
        prepare(&pieces[i], &bench, work);
        mr_pool_run(bench.pool, &pieces[i].task);
    }
    while (bench.done < TASKS) {
        mr_loop_run(bench.loop);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        assert_int_equal(atomic_load(&pieces[i].worked), 1);
        assert_int_equal(pieces[i].done, 1);
        assert_false(pthread_equal(pieces[i].worker, pthread_self()));
        assert_true(pthread_equal(pieces[i].reporter, pthread_self()));
    }
    close_bench(&bench);
}

static void what_nobody_began_is_withdrawn(void **state)
{
    (void)state;
    static struct bench bench; /* threads of a test that failed still use it */
    static struct piece first, second;
    open_bench(&bench, 1);
    prepare(&first, &bench, work_behind_the_gate);
    prepare(&second, &bench, work);
    assert_true(mr_pool_withdraw(bench.pool, &first.task)); /* idle */
    mr_pool_run(bench.pool, &first.task);
    sem_wait(&bench.begun);
    mr_pool_run(bench.pool, &second.task);
    assert_true(mr_pool_withdraw(bench.pool, &second.task));
    assert_false(mr_pool_withdraw(bench.pool, &first.task));
    sem_post(&bench.gate);
    mr_loop_run(bench.loop);
    assert_int_equal(first.done, 1);
    assert_true(mr_pool_withdraw(bench.pool, &first.task)); /* idle again */
    mr_pool_run(bench.pool, &second.task);
    mr_loop_run(bench.loop);
    assert_int_equal(atomic_load(&second.worked), 1);
    assert_int_equal(second.done, 1);
    close_bench(&bench);
}

/* Waiting, begun, and done without that the loop knows: in each case its `done` never comes. */
static void what_is_recalled_never_reports(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece waits, begun, over;
    pthread_t opener;
    open_bench(&bench, 1);
    prepare(&begun, &bench, work_behind_the_gate);
    prepare(&waits, &bench, work);
    prepare(&over, &bench, work);
    assert_false(mr_pool_recall(bench.pool, &waits.task)); /* idle */
    mr_pool_run(bench.pool, &begun.task);
    sem_wait(&bench.begun);
    mr_pool_run(bench.pool, &waits.task);
    assert_false(mr_pool_recall(bench.pool, &waits.task));
    assert_int_equal(pthread_create(&opener, NULL, open_gate, &bench), 0);
    assert_true(mr_pool_recall(bench.pool, &begun.task));
    assert_int_equal(atomic_load(&begun.worked), 1);
    pthread_join(opener, NULL);
    mr_pool_run(bench.pool, &over.task);
    mr_pool_run(bench.pool, &waits.task); /* the one that tells when the other is over */
    while (atomic_load(&waits.worked) == 0) {
        sched_yield();
    }
    assert_true(mr_pool_recall(bench.pool, &over.task));
    while (bench.done == 0) {
        mr_loop_run(bench.loop);
    }
    assert_int_equal(atomic_load(&over.worked), 1);
    assert_int_equal(waits.done, 1);
    mr_pool_run(bench.pool, &over.task); /* idle again */
    mr_loop_run(bench.loop);
    assert_int_equal(over.done, 1);
    assert_int_equal(begun.done, 0);
    close_bench(&bench);
}

static void who_hurries_is_first(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece first, second, third;
    open_bench(&bench, 1);
    prepare(&first, &bench, work_behind_the_gate);
    prepare(&second, &bench, work_behind_the_gate);
    prepare(&third, &bench, work);
    mr_pool_run(bench.pool, &first.task);
    sem_wait(&bench.begun);
    mr_pool_run(bench.pool, &second.task);
    mr_pool_hurry(bench.pool, &third.task);
    assert_int_equal(mr_pool_waiting(bench.pool), 2);
    sem_post(&bench.gate);
    sem_wait(&bench.begun);
    assert_int_equal(atomic_load(&third.worked), 1);
    assert_int_equal(mr_pool_waiting(bench.pool), 0);
    sem_post(&bench.gate);
    while (bench.done < 3) {
        mr_loop_run(bench.loop);
    }
    close_bench(&bench);
}

/* What hurries does not overtake what hurried before: the first of many would have to wait for all
 * that come after it. */
static void who_hurries_waits_for_those_before(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece first, slow, hurried[2];
    open_bench(&bench, 1);
    prepare(&first, &bench, work_behind_the_gate);
    prepare(&slow, &bench, work);
    prepare(&hurried[0], &bench, work_behind_the_gate);
    prepare(&hurried[1], &bench, work_behind_the_gate);
    mr_pool_run(bench.pool, &first.task);
    sem_wait(&bench.begun);
    mr_pool_run(bench.pool, &slow.task);
    mr_pool_hurry(bench.pool, &hurried[0].task);
    mr_pool_hurry(bench.pool, &hurried[1].task);
    for (unsigned i = 0; i < 2; i++) {
        sem_post(&bench.gate);
        sem_wait(&bench.begun);
        assert_int_equal(atomic_load(&hurried[i].worked), 0); /* it stands at the gate */
        assert_int_equal(mr_pool_waiting(bench.pool), 2 - i);
        assert_false(mr_pool_withdraw(bench.pool, &hurried[i].task));
        assert_int_equal(atomic_load(&hurried[0].worked), i);
    }
    assert_int_equal(atomic_load(&slow.worked), 0);
    sem_post(&bench.gate);
    while (bench.done < 4) {
        mr_loop_run(bench.loop);
    }
    close_bench(&bench);
}

/* Its work is over, and its `done` has not been called. */
static void what_waits_for_the_loop_is_not_withdrawn(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece piece;
    open_bench(&bench, 1);
    prepare(&piece, &bench, work);
    mr_pool_run(bench.pool, &piece.task);
    while (atomic_load(&piece.worked) == 0) {
        sched_yield();
    }
    mr_pool_pause(bench.pool);
    assert_false(mr_pool_withdraw(bench.pool, &piece.task));
    mr_pool_resume(bench.pool);
    mr_loop_run(bench.loop);
    assert_int_equal(piece.done, 1);
    close_bench(&bench);
}

static void a_pause_waits_and_lets_nothing_begin(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece first, second;
    pthread_t opener;
    open_bench(&bench, 2);
    prepare(&first, &bench, work_behind_the_gate);
    prepare(&second, &bench, work);
    mr_pool_run(bench.pool, &first.task);
    sem_wait(&bench.begun);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, &bench), 0);
    mr_pool_pause(bench.pool);
    assert_int_equal(atomic_load(&first.worked), 1);
    mr_pool_run(bench.pool, &second.task);
    nanosleep(&moment, NULL);
    assert_int_equal(atomic_load(&second.worked), 0);
    mr_pool_resume(bench.pool);
    while (bench.done < 2) {
        mr_loop_run(bench.loop);
    }
    assert_int_equal(atomic_load(&second.worked), 1);
    pthread_join(opener, NULL);
    close_bench(&bench);
}

static void the_end_waits_for_what_was_begun_only(void **state)
{
    (void)state;
    static struct bench bench;
    static struct piece first, second;
    pthread_t opener;
    open_bench(&bench, 1);
    prepare(&first, &bench, work_behind_the_gate);
    prepare(&second, &bench, work);
    mr_pool_run(bench.pool, &first.task);
    sem_wait(&bench.begun);
    mr_pool_run(bench.pool, &second.task);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, &bench), 0);
    close_bench(&bench);
    pthread_join(opener, NULL);
    assert_int_equal(first.done, 1);
    assert_int_equal(atomic_load(&second.worked), 0);
    assert_int_equal(second.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_and_reports_on_the_loop),
        cmocka_unit_test(what_nobody_began_is_withdrawn),
        cmocka_unit_test(what_is_recalled_never_reports),
        cmocka_unit_test(who_hurries_is_first),
        cmocka_unit_test(who_hurries_waits_for_those_before),
        cmocka_unit_test(what_waits_for_the_loop_is_not_withdrawn),
        cmocka_unit_test(a_pause_waits_and_lets_nothing_begin),
        cmocka_unit_test(the_end_waits_for_what_was_begun_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
