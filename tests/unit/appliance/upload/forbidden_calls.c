#include "forbidden_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "upload_kit.h"

static atomic_bool counting;
static atomic_uint paid[TOLLS_WORKERS_MAX][TOLLS];

const char *toll_name(enum toll toll)
{
    static const char *const names[TOLLS] = {
#define TOLL(name) [TOLL_##name] = #name,
#include "tolls.def"
#undef TOLL
    };

    return names[toll];
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
bool tolls_are_counted(void)
{
    return false;
}
#else
bool tolls_are_counted(void)
{
    return true;
}

static void pay(enum toll toll)
{
    char name[17] = "";
    unsigned worker;

    if (!atomic_load_explicit(&counting, memory_order_relaxed)) {
        return;
    }
    if (prctl(PR_GET_NAME, name) == 0 && sscanf(name, "mr-upload-%u", &worker) == 1 &&
        worker < TOLLS_WORKERS_MAX) {
        atomic_fetch_add(&paid[worker][toll], 1);
    }
}

/* --- memory: what glibc calls its own, so that nothing has to be looked up before it is needed ---
 */

#define SEEN __attribute__((visibility("default")))

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

SEEN void *malloc(size_t bytes)
{
    pay(TOLL_malloc);
    return __libc_malloc(bytes);
}

SEEN void *calloc(size_t count, size_t bytes)
{
    pay(TOLL_calloc);
    return __libc_calloc(count, bytes);
}

SEEN void *realloc(void *old, size_t bytes)
{
    pay(TOLL_realloc);
    return __libc_realloc(old, bytes);
}

SEEN void *aligned_alloc(size_t alignment, size_t bytes)
{
    pay(TOLL_aligned_alloc);
    return __libc_memalign(alignment, bytes);
}

SEEN void *memalign(size_t alignment, size_t bytes)
{
    pay(TOLL_memalign);
    return __libc_memalign(alignment, bytes);
}

SEEN int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    pay(TOLL_posix_memalign);
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}

SEEN void free(void *memory)
{
    if (memory) {
        pay(TOLL_free);
    }
    __libc_free(memory);
}

/* --- locks ------------------------------------------------------------------------------------ */

/* Calls the next definition, looked up once: the answer is the same whoever asks. */
#define LOCK(NAME, PARAMETERS, ...)                                                                \
    SEEN int NAME PARAMETERS                                                                       \
    {                                                                                              \
        static int(*_Atomic next) PARAMETERS;                                                      \
        int(*call) PARAMETERS = atomic_load(&next);                                                \
        if (!call) {                                                                               \
            *(void **)&call = dlsym(RTLD_NEXT, #NAME);                                             \
            atomic_store(&next, call);                                                             \
        }                                                                                          \
        pay(TOLL_##NAME);                                                                          \
        return call(__VA_ARGS__);                                                                  \
    }

LOCK(pthread_mutex_lock, (pthread_mutex_t * lock), lock)
LOCK(pthread_mutex_trylock, (pthread_mutex_t * lock), lock)
LOCK(pthread_spin_lock, (pthread_spinlock_t * lock), lock)
LOCK(pthread_spin_trylock, (pthread_spinlock_t * lock), lock)
LOCK(pthread_rwlock_rdlock, (pthread_rwlock_t * lock), lock)
LOCK(pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), lock)
LOCK(pthread_rwlock_wrlock, (pthread_rwlock_t * lock), lock)
LOCK(pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), lock)
LOCK(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *lock), condition, lock)
LOCK(pthread_cond_timedwait,
     (pthread_cond_t * condition, pthread_mutex_t *lock, const struct timespec *end), condition,
     lock, end)
LOCK(sem_wait, (sem_t * semaphore), semaphore)
LOCK(sem_trywait, (sem_t * semaphore), semaphore)
LOCK(sem_timedwait, (sem_t * semaphore, const struct timespec *end), semaphore, end)
#endif

void tolls_begin(void)
{
    for (unsigned worker = 0; worker < TOLLS_WORKERS_MAX; worker++) {
        for (unsigned toll = 0; toll < TOLLS; toll++) {
            atomic_store(&paid[worker][toll], 0);
        }
    }
    atomic_store(&counting, true);
}

void tolls_end(void)
{
    atomic_store(&counting, false);
}

unsigned tolls_paid(unsigned worker, enum toll toll)
{
    return atomic_load(&paid[worker][toll]);
}

void tolls_assert_none(void)
{
    bool none = true;

    for (unsigned worker = 0; worker < TOLLS_WORKERS_MAX; worker++) {
        for (unsigned toll = 0; toll < TOLLS; toll++) {
            const unsigned calls = tolls_paid(worker, (enum toll)toll);
            if (calls == 0) {
                continue;
            }
            print_error("worker %u called %s %u times\n", worker, toll_name((enum toll)toll),
                        calls);
            none = false;
        }
    }
    assert_true(none);
}
