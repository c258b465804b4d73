/* loop.c - in place of appliance/runtime and the log: an event loop and timers on virtual time.
 * What a hub logs goes into the trace. */
#include "tests/sim/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/observe/log.h"
#include "tests/sim/check.h"
#include "tests/sim/hub.h"
#include "base/assert.h"

#define FDS_MAX 4

struct posted {
    struct posted *next;
    mr_loop_fn fn;
    void *context;
};

struct watched {
    int fd;
    mr_loop_fd_fn fn;
    void *context;
    bool due;
};

struct mr_timer {
    struct mr_timer *next; /* of the loop's, closed ones too */
    struct mr_loop *loop;
    mr_loop_fn fn;
    void *context;
    uint64_t at_ms; /* UINT64_MAX: not armed */
};

struct mr_loop {
    struct mr_timer *timers;
    struct sim_node *node;
    void (*stopped)(struct sim_node *node);
    struct posted *first, **last;
    bool turning; /* events reach it; not while its hub starts or stops */
    bool turn_planned, stop;
    struct watched watched[FDS_MAX];
};

/* --- the loop -------------------------------------------------------------------------------- */

static void turn(struct mr_loop *loop)
{
    for (unsigned i = 0; i < FDS_MAX; i++) {
        struct watched *one = &loop->watched[i];
        if (one->fn && one->due) {
            one->due = false;
            one->fn(one->context, one->fd, 1);
        }
    }
    struct posted *all = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    while (all) {
        struct posted *one = all;
        all = one->next;
        one->fn(one->context);
        free(one);
    }
}

static void on_turn(struct sim *sim, void *argument)
{
    struct mr_loop *loop = argument;
    (void)sim;
    loop->turn_planned = false;
    if (loop->turning) {
        turn(loop);
    }
}

static void plan_turn(struct mr_loop *loop)
{
    if (!loop->turn_planned && loop->turning) {
        loop->turn_planned = true;
        sim_at(loop->node->sim, loop->node->sim->now_us + sim_below(loop->node->sim, 50),
               loop->node, on_turn, loop);
    }
}

struct mr_loop *sim_loop_open(struct sim_node *node, void (*stopped)(struct sim_node *node))
{
    struct mr_loop *loop = calloc(1, sizeof *loop);
    MR_ASSERT(loop);
    loop->node = node;
    loop->stopped = stopped;
    loop->last = &loop->first;
    return loop;
}

struct sim_node *sim_loop_node(const struct mr_loop *loop)
{
    return loop->node;
}

void sim_loop_turns(struct mr_loop *loop, bool turning)
{
    loop->turning = turning;
    loop->turn_planned = false;
    plan_turn(loop);
}

void sim_loop_close(struct mr_loop *loop)
{
    MR_ASSERT(!loop->first);
    while (loop->timers) {
        struct mr_timer *timer = loop->timers;
        loop->timers = timer->next;
        free(timer);
    }
    free(loop);
}

int mr_loop_fd_add(struct mr_loop *loop, int fd, uint32_t events, mr_loop_fd_fn fn, void *context)
{
    (void)events;
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (!loop->watched[i].fn) {
            loop->watched[i] = (struct watched){.fd = fd, .fn = fn, .context = context};
            return 0;
        }
    }
    return -1;
}

int mr_loop_fd_change(struct mr_loop *loop, int fd, uint32_t events)
{
    (void)loop;
    (void)fd;
    (void)events;
    return 0; /* nobody here has anything but "readable" */
}

void mr_loop_fd_remove(struct mr_loop *loop, int fd)
{
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (loop->watched[i].fd == fd) {
            loop->watched[i] = (struct watched){.fd = -1};
        }
    }
}

/* Descriptors are the machine's, so one number is one loop's at a time; whoever writes runs on the
 * same node. */
void sim_loop_written(int fd)
{
    struct sim_node *node = sim_active()->current;
    struct mr_loop *loop = node ? sim_node_loop(node) : NULL;
    for (unsigned i = 0; loop && i < FDS_MAX; i++) {
        if (loop->watched[i].fn && loop->watched[i].fd == fd) {
            loop->watched[i].due = true;
            plan_turn(loop);
        }
    }
}

uint64_t mr_loop_now_ms(const struct mr_loop *loop)
{
    return sim_monotonic_us(loop->node) / 1000;
}

void mr_loop_post(struct mr_loop *loop, mr_loop_fn fn, void *context)
{
    struct posted *one = malloc(sizeof *one);
    MR_ASSERT(one);
    *one = (struct posted){.fn = fn, .context = context};
    *loop->last = one;
    loop->last = &one->next;
    plan_turn(loop);
}

/* Only a hub that closes calls this: to take what its threads still have to say. */
void mr_loop_run(struct mr_loop *loop)
{
    for (loop->stop = false; !loop->stop || loop->first;) {
        turn(loop);
    }
}

void mr_loop_stop(struct mr_loop *loop)
{
    loop->stop = true;
    if (loop->turning && !loop->node->dead) {
        loop->stopped(loop->node);
    }
}

/* --- timers ---------------------------------------------------------------------------------- */

struct mr_timer *mr_timer_open(struct mr_loop *loop, mr_loop_fn fn, void *context)
{
    struct mr_timer *timer = calloc(1, sizeof *timer);
    MR_ASSERT(timer);
    *timer = (struct mr_timer){
        .next = loop->timers, .loop = loop, .fn = fn, .context = context, .at_ms = UINT64_MAX};
    loop->timers = timer;
    return timer;
}

struct due {
    struct mr_timer *timer;
    uint64_t at_ms;
};

static void on_due(struct sim *sim, void *argument)
{
    const struct due *due = argument;
    struct mr_timer *timer = due->timer;
    if (timer->at_ms == due->at_ms && !timer->loop->turning) {
        sim_at_owned(sim, sim->now_us + SIM_MS, timer->loop->node, on_due,
                     memcpy(malloc(sizeof *due), due, sizeof *due));
    } else if (timer->at_ms == due->at_ms) {
        timer->at_ms = UINT64_MAX;
        timer->fn(timer->context);
    }
}

void mr_timer_arm(struct mr_timer *timer, uint64_t at_ms)
{
    struct mr_loop *loop = timer->loop;
    struct due *due = malloc(sizeof *due);
    const uint64_t now_ms = mr_loop_now_ms(loop);
    MR_ASSERT(due);
    timer->at_ms = at_ms > now_ms ? at_ms : now_ms;
    *due = (struct due){timer, timer->at_ms};
    const uint64_t at_us = timer->at_ms * 1000;
    const uint64_t began_us = loop->node->monotonic_us;
    sim_at_owned(loop->node->sim, at_us > began_us ? at_us - began_us : 0, loop->node, on_due, due);
}

void mr_timer_disarm(struct mr_timer *timer)
{
    timer->at_ms = UINT64_MAX;
}

/* Events that were planned for it may still come: it goes with its loop. */
void mr_timer_close(struct mr_timer *timer)
{
    timer->at_ms = UINT64_MAX;
}

/* --- the log --------------------------------------------------------------------------------- */

static void note_event(const char *event, const char *format, va_list arguments)
{
    struct sim *sim = sim_active();
    char text[140];
    if (!sim || !sim->current || sim->current->dead) {
        return;
    }
    vsnprintf(text, sizeof text, format, arguments);
    sim_note(sim, sim->current, "%s %s", event, text);
    sim_check_event(sim->current, event, text);
}

void mr_log_event(struct mr_log *log, enum mr_log_level level, const char *event,
                  const char *format, ...)
{
    va_list arguments;
    (void)log;
    (void)level;
    va_start(arguments, format);
    note_event(event, format, arguments);
    va_end(arguments);
}

void mr_log_strangers(struct mr_log *log, enum mr_log_level level, const char *event,
                      const char *format, ...)
{
    va_list arguments;
    (void)log;
    (void)level;
    va_start(arguments, format);
    note_event(event, format, arguments);
    va_end(arguments);
}

void mr_log_count(struct mr_log *log, struct mr_log_counts *counts)
{
    (void)log;
    *counts = (struct mr_log_counts){.lost = 0};
}
