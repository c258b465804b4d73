/* threads.c - clocks, randomness, threads and semaphores of the real code, by the linker's --wrap.
 * With no simulation running, or for threads of its own, each is what it always was. */
#include <openssl/rand.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/seams.h"
#include "tests/sim/sim.h"
#include "base/assert.h"

/* The node whose code is running, or NULL. */
static struct sim_node *here(void)
{
    struct sim *sim = sim_active();
    return sim ? sim->current : NULL;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    const struct sim_node *node = here();
    if (!node) {
        return __real_clock_gettime(id, out);
    }
    const uint64_t us = id == CLOCK_REALTIME ? sim_wall_us(node) : sim_monotonic_us(node);
    *out = (struct timespec){(time_t)(us / SIM_S), (long)(us % SIM_S * 1000)};
    return 0;
}

int __wrap_RAND_bytes(unsigned char *out, int bytes)
{
    struct sim_node *node = here();
    if (!node) {
        return __real_RAND_bytes(out, bytes);
    }
    sim_fill(node->sim, out, (size_t)bytes);
    return 1;
}

/* --- threads --------------------------------------------------------------------------------- */

struct thread {
    struct sim_co *co;
    void *(*fn)(void *argument);
    void *argument;
};

static void run(void *argument)
{
    struct thread *thread = argument;
    thread->fn(thread->argument);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes,
                          void *(*fn)(void *argument), void *argument)
{
    struct sim_node *node = here();
    if (!node) {
        return __real_pthread_create(out, attributes, fn, argument);
    }
    struct thread *thread = malloc(sizeof *thread);
    MR_ASSERT(thread && sizeof *out == sizeof thread);
    *thread = (struct thread){.fn = fn, .argument = argument};
    thread->co = sim_co_new(node, run, thread);
    *out = (pthread_t)thread;
    return 0;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
    if (!here()) {
        return __real_pthread_join(id, result);
    }
    struct thread *thread = (struct thread *)id;
    sim_co_join(thread->co);
    free(thread);
    return 0;
}

int __wrap_pthread_setname_np(pthread_t id, const char *name)
{
    return here() ? 0 : __real_pthread_setname_np(id, name);
}

/* Whoever waits here is a thread: a hub starts and stops in one. */
int __wrap_sem_wait(sem_t *semaphore)
{
    struct sim_node *node = here();
    if (!node) {
        return __real_sem_wait(semaphore);
    }
    while (sem_trywait(semaphore) != 0) {
        sim_yield(node->sim);
    }
    return 0;
}

/* --- assertions ------------------------------------------------------------------------------ */

/* In place of base/assert.c: says which seed it was. */
void mr_assert_failed(const char *condition, const char *file, int line)
{
    struct sim *sim = sim_active();
    if (sim) {
        sim_note(sim, sim->current, "ASSERTION %s at %s:%d", condition, file, line);
        sim_print_tail(sim, 40);
        printf("seed %llu: assertion failed: %s at %s:%d\n", (unsigned long long)sim->options.seed,
               condition, file, line);
        fflush(stdout);
    }
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
