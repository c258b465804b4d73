/* test_forbidden_calls.c - while packets of uploads flow and ACKs go out, a worker over real
 * sockets neither allocates nor locks; and the counter that says so sees what it should. (The
 * replay source: test_replay.c. DPDK: tests/unit/appliance/ingest/test_memif.c.)
 *
 *   test_tolls io_uring|recvmmsg */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plane_fixture.h"
#include "forbidden_calls.h"
#include "wire/aead.h"

#define WORKERS 2

/* --- the counter itself ----------------------------------------------------------------------- */

/* Every function of the table, once each (free as often as there is something to free), on a
 * thread that is named as worker 5 is. */
static void call_memory(void)
{
    void *volatile memory = malloc(1); /* volatile: no pair may be optimised away */
    void *aligned = NULL;

    memory = realloc(memory, 100);
    free(memory);
    memory = calloc(1, 1);
    free(memory);
    memory = aligned_alloc(64, 64);
    free(memory);
    memory = memalign(64, 64);
    free(memory);
    assert_int_equal(posix_memalign(&aligned, 64, 64), 0);
    free(aligned);
}

static void call_locks(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    pthread_spinlock_t spin;

    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    pthread_mutex_lock(&mutex);
    assert_int_equal(pthread_mutex_trylock(&mutex), EBUSY);
    pthread_spin_lock(&spin);
    assert_int_equal(pthread_spin_trylock(&spin), EBUSY);
    pthread_rwlock_rdlock(&rwlock);
    assert_int_equal(pthread_rwlock_tryrdlock(&rwlock), 0);
    assert_int_equal(pthread_rwlock_trywrlock(&rwlock), EBUSY);
    pthread_rwlock_unlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    pthread_rwlock_wrlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    pthread_mutex_unlock(&mutex);
}

static pthread_mutex_t signalled_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t signalled_condition = PTHREAD_COND_INITIALIZER;

static atomic_bool has_heard;

static void *signal_until_heard(void *context)
{
    while (!atomic_load(&has_heard)) {
        pthread_cond_broadcast(&signalled_condition);
    }
    return context;
}

static void call_waits(void)
{
    const struct timespec past = {0};
    sem_t semaphore;
    pthread_t signaller;

    sem_init(&semaphore, 0, 2);
    sem_wait(&semaphore);
    sem_trywait(&semaphore);
    assert_int_equal(sem_timedwait(&semaphore, &past), -1);
    pthread_mutex_lock(&signalled_lock); /* the second of that kind */
    assert_int_equal(pthread_cond_timedwait(&signalled_condition, &signalled_lock, &past),
                     ETIMEDOUT);
    assert_int_equal(pthread_create(&signaller, NULL, signal_until_heard, NULL), 0);
    assert_int_equal(pthread_cond_wait(&signalled_condition, &signalled_lock), 0);
    pthread_mutex_unlock(&signalled_lock);
    atomic_store(&has_heard, true);
    pthread_join(signaller, NULL);
    sem_destroy(&semaphore);
}

static void *call_all(void *context)
{
    (void)context;
    pthread_setname_np(pthread_self(), "mr-upload-5");
    tolls_begin();
    call_memory();
    call_locks();
    call_waits();
    tolls_end();
    return NULL;
}

static void run_thread(void *(*call)(void *))
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, call, NULL), 0);
    pthread_join(thread, NULL);
}

static void test_each_is_seen(void **state)
{
    (void)state;
    run_thread(call_all);
    for (unsigned i = 0; i < TOLLS; i++) {
        const unsigned seen = tolls_paid(5, (enum toll)i);
        if (seen < 1) {
            fail_msg("%s is not seen", toll_name((enum toll)i));
        }
        for (unsigned other = 0; other < TOLLS_WORKERS_MAX; other++) {
            if (other != 5) {
                assert_int_equal(tolls_paid(other, (enum toll)i), 0);
            }
        }
    }
    assert_int_equal(tolls_paid(5, TOLL_realloc), 1);
    assert_int_equal(tolls_paid(5, TOLL_pthread_rwlock_wrlock), 1);
}

/* What a library does counts as well: OpenSSL looks its ciphers up under a lock. */
static void *open_aead(void *context)
{
    (void)context;
    pthread_setname_np(pthread_self(), "mr-upload-3");
    tolls_begin();
    mr_aead_close(mr_aead_open());
    tolls_end();
    return NULL;
}

static void test_libraries_are_seen(void **state)
{
    (void)state;
    run_thread(open_aead);
    assert_true(tolls_paid(3, TOLL_malloc) > 0);
    assert_true(tolls_paid(3, TOLL_free) > 0);
    assert_true(
        tolls_paid(3, TOLL_pthread_rwlock_rdlock) + tolls_paid(3, TOLL_pthread_rwlock_wrlock) > 0);
}

/* Nobody but a worker counts. */
static void test_others_are_not_counted(void **state)
{
    (void)state;
    tolls_begin();
    mr_aead_close(mr_aead_open());
    tolls_end();
    tolls_assert_none();
}

/* --- uploads ---------------------------------------------------------------------------------- */

static bool has_begun(struct fixture *fixture)
{
    (void)until_staged(fixture);
    for (unsigned i = 0; i < fixture->count; i++) {
        if (fixture->uploads[i].ack.base < 8) {
            return false;
        }
    }
    return true;
}

/* From the first chunks to the last ACK: receiving, staging, folding, a collection, its return. */
static void test_uploads_pay_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 100000, WORKERS, 8, 600000);
    uint64_t acks = 0;

    for (int i = 0; i < 12; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, has_begun);
    for (unsigned i = 0; i < fixture->count; i++) {
        assert_false(fixture->uploads[i].staged);
    }
    tolls_begin();
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, 12);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    tolls_end();
    for (unsigned i = 0; i < fixture->count; i++) {
        acks += fixture->uploads[i].acks;
    }
    assert_true(acks > fixture->count);
    tolls_assert_none();
    fixture_check_sum(fixture);
    fixture_close(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_seen),
        cmocka_unit_test(test_libraries_are_seen),
        cmocka_unit_test(test_others_are_not_counted),
        cmocka_unit_test(test_uploads_pay_nothing),
    };

    if (argc < 2) {
        return 2;
    }
    fixture_source = argv[1];
    if (!tolls_are_counted()) {
        fprintf(stderr, "skipped: a sanitizer owns the allocator and the locks\n");
        return 77;
    }
    if (kit_lacks_source(fixture_source)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
