/* coroutine.c - threads of the simulated nodes, as coroutines on one real thread. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/sim/sim.h"
#include "base/assert.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES ((size_t)1 << 20)
#else
#define STACK_BYTES ((size_t)256 << 10)
#endif
#define GUARD_BYTES ((size_t)4096)
#define THREADS_MAX 8192

struct sim_co {
    struct sim_node *node;
    void (*fn)(void *argument);
    void *argument;
    ucontext_t inside, outside;
    uint8_t *stack; /* NULL: has ended */
    bool waiting;
    uint64_t wake_us;
    void *fake_stack; /* the sanitizer's */
};

struct sim_pool {
    struct sim_co *all[THREADS_MAX];
    unsigned count;
    uint8_t *spare[THREADS_MAX];
    unsigned spare_count;
};

/* --- switching ------------------------------------------------------------------------------- */

static void enter(struct sim_co *co)
{
#ifdef __SANITIZE_ADDRESS__
    void *mine;
    __sanitizer_start_switch_fiber(&mine, co->stack + GUARD_BYTES, STACK_BYTES);
    swapcontext(&co->outside, &co->inside);
    __sanitizer_finish_switch_fiber(mine, NULL, NULL);
#else
    swapcontext(&co->outside, &co->inside);
#endif
}

#ifdef __SANITIZE_ADDRESS__
static const void *main_stack;
static size_t main_bytes;
#endif

static void leave(struct sim_co *co, bool for_good)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(for_good ? NULL : &co->fake_stack, main_stack, main_bytes);
    swapcontext(&co->inside, &co->outside);
    __sanitizer_finish_switch_fiber(co->fake_stack, &main_stack, &main_bytes);
#else
    (void)for_good;
    swapcontext(&co->inside, &co->outside);
#endif
}

static void body(unsigned low, unsigned high)
{
    struct sim_co *co = (struct sim_co *)((uintptr_t)high << 32 | low);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &main_stack, &main_bytes);
#endif
    co->fn(co->argument);
    co->argument = NULL;
    leave(co, true);
}

void sim_co_run(struct sim_co *co)
{
    struct sim *sim = co->node->sim;
    struct sim_node *before = sim->current;
    MR_ASSERT(!sim->running && co->stack);
    sim->current = co->node;
    sim->running = co;
    enter(co);
    sim->running = NULL;
    sim->current = before;
    if (!co->argument) {
        sim->pool->spare[sim->pool->spare_count++] = co->stack;
        co->stack = NULL;
    }
}

bool sim_co_done(const struct sim_co *co)
{
    return !co->stack;
}

/* In a thread: lets the others run until that one has ended. Outside: runs it, and its node's other
 * threads, which it may be waiting for. */
void sim_co_join(struct sim_co *co)
{
    struct sim *sim = co->node->sim;
    struct sim_pool *pool = sim->pool;
    while (co->stack && sim->running) {
        sim_yield(sim);
    }
    while (co->stack) {
        sim_co_run(co);
        for (unsigned i = 0; co->stack && i < pool->count; i++) {
            if (pool->all[i]->node == co->node && pool->all[i]->stack) {
                sim_co_run(pool->all[i]);
            }
        }
    }
}

/* --- waiting --------------------------------------------------------------------------------- */

static void on_wake(struct sim *sim, void *argument)
{
    struct sim_co *co = argument;
    if (co->waiting && sim->now_us >= co->wake_us) {
        co->waiting = false;
        sim_co_run(co);
    }
}

void sim_wait_until(struct sim *sim, uint64_t until_us)
{
    struct sim_co *co = sim->running;
    MR_ASSERT(co);
    if (co->node->dead) { /* time does not pass for it any more, but its other threads must run */
        leave(co, false);
        return;
    }
    co->waiting = true;
    co->wake_us = until_us;
    if (until_us != UINT64_MAX) {
        sim_at(sim, until_us, co->node, on_wake, co);
    }
    leave(co, false);
}

void sim_yield(struct sim *sim)
{
    sim_wait_for(sim, 200);
}

void sim_wait_for(struct sim *sim, uint64_t us)
{
    sim_wait_until(sim, sim->now_us + us);
}

void sim_wake(struct sim_co *co)
{
    struct sim *sim = co->node->sim;
    if (co->stack && co->waiting && co->wake_us > sim->now_us) {
        co->wake_us = sim->now_us;
        sim_at(sim, sim->now_us, co->node, on_wake, co);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static uint8_t *take_stack(struct sim_pool *pool)
{
    if (pool->spare_count) {
        return pool->spare[--pool->spare_count];
    }
    uint8_t *stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    MR_ASSERT(stack != MAP_FAILED && mprotect(stack, GUARD_BYTES, PROT_NONE) == 0);
    return stack;
}

struct sim_co *sim_co_new(struct sim_node *node, void (*fn)(void *argument), void *argument)
{
    struct sim *sim = node->sim;
    struct sim_co *co = calloc(1, sizeof *co);
    MR_ASSERT(co && argument && sim->pool->count < THREADS_MAX);
    co->node = node;
    co->fn = fn;
    co->argument = argument;
    co->stack = take_stack(sim->pool);
    MR_ASSERT(getcontext(&co->inside) == 0);
    co->inside.uc_stack.ss_sp = co->stack + GUARD_BYTES;
    co->inside.uc_stack.ss_size = STACK_BYTES;
    co->inside.uc_link = NULL;
    makecontext(&co->inside, (void (*)(void))body, 2, (unsigned)(uintptr_t)co,
                (unsigned)((uintptr_t)co >> 32));
    sim->pool->all[sim->pool->count++] = co;
    co->waiting = true;
    co->wake_us = sim->now_us;
    sim_at(sim, sim->now_us, node, on_wake, co);
    return co;
}

struct sim_pool *sim_pool_open(void)
{
    struct sim_pool *pool = calloc(1, sizeof *pool);
    MR_ASSERT(pool);
    return pool;
}

void sim_pool_close(struct sim_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        MR_ASSERT(!pool->all[i]->stack);
        free(pool->all[i]);
    }
    for (unsigned i = 0; i < pool->spare_count; i++) {
        munmap(pool->spare[i], GUARD_BYTES + STACK_BYTES);
    }
    free(pool);
}
