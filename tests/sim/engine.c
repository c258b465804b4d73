/* engine.c - virtual time and the trace. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/engine.h"
#include "tests/sim/sim.h"
#include "base/assert.h"

static struct sim *active;

struct sim *sim_active(void)
{
    return active;
}

void sim_activate(struct sim *sim)
{
    active = sim;
}

/* --- the queue: a binary heap by time, then by order ----------------------------------------- */

struct event {
    uint64_t at_us, order;
    sim_fn fn;
    void *argument;
    struct sim_node *node;
    uint32_t life;
    bool owned;
};

struct sim_queue {
    struct event *heap;
    size_t count, capacity;
    uint64_t order;
};

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push(struct sim_queue *queue, const struct event *event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? 2 * queue->capacity : 1024;
        queue->heap = realloc(queue->heap, queue->capacity * sizeof *queue->heap);
        MR_ASSERT(queue->heap);
    }
    size_t i = queue->count++;
    for (; i && before(event, &queue->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
    }
    queue->heap[i] = *event;
}

static struct event pop(struct sim_queue *queue)
{
    const struct event first = queue->heap[0];
    const struct event last = queue->heap[--queue->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < queue->count; i = child) {
        child += child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child]);
        if (!before(&queue->heap[child], &last)) {
            break;
        }
        queue->heap[i] = queue->heap[child];
    }
    queue->heap[i] = last;
    return first;
}

static void plan(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_fn fn, void *argument,
                 bool owned)
{
    const struct event event = {.at_us = at_us > sim->now_us ? at_us : sim->now_us,
                                .order = sim->queue->order++,
                                .fn = fn,
                                .argument = argument,
                                .node = node,
                                .life = node ? node->life : 0,
                                .owned = owned};
    push(sim->queue, &event);
}

void sim_at(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_fn fn, void *argument)
{
    plan(sim, at_us, node, fn, argument, false);
}

void sim_at_owned(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_fn fn, void *argument)
{
    plan(sim, at_us, node, fn, argument, true);
}

bool sim_step(struct sim *sim)
{
    if (!sim->queue->count) {
        return false;
    }
    struct event event = pop(sim->queue);
    struct sim_node *node = event.node;
    sim->now_us = event.at_us;
    if (node && node->life == event.life && node->stalled_until_us > sim->now_us) {
        event.at_us = node->stalled_until_us;
        push(sim->queue, &event); /* keeps its order among those that wait with it */
        return true;
    }
    if (!node || node->life == event.life) {
        sim->current = node;
        sim->result.totals.events++;
        event.fn(sim, event.argument);
        sim->current = NULL;
    }
    if (event.owned) {
        free(event.argument);
    }
    return true;
}

/* --- the trace ------------------------------------------------------------------------------- */

#define RECORDS 512
#define TEXT    160

struct record {
    uint64_t at_us, step, a, b;
    const struct sim_node *node;
    const char *what; /* NULL: in words */
    char text[TEXT];
};

struct sim_trace {
    uint64_t hash, count;
    struct record ring[RECORDS];
};

static void print_record(const struct record *record)
{
    printf("%10" PRIu64 ".%03" PRIu64 " ms  step %-7" PRIu64 " %-4s ", record->at_us / 1000,
           record->at_us % 1000, record->step, record->node ? record->node->name : "-");
    if (record->what) {
        printf("%s %" PRIx64 " %" PRIx64 "\n", record->what, record->a, record->b);
    } else {
        printf("%s\n", record->text);
    }
}

static void keep(struct sim *sim, const struct record *record, uint64_t hash)
{
    struct sim_trace *trace = sim->trace;
    const uint64_t words[4] = {trace->hash, record->at_us, hash,
                               record->node ? record->node->index : UINT64_MAX};
    trace->hash = sim_hash(words, sizeof words, 1);
    trace->count++;
    if (sim->options.print) {
        print_record(record);
    }
}

static struct record *next_record(struct sim *sim, const struct sim_node *node)
{
    struct record *record = &sim->trace->ring[sim->trace->count % RECORDS];
    record->at_us = sim->now_us;
    record->step = sim->result.totals.events;
    record->node = node;
    return record;
}

void sim_mark(struct sim *sim, const struct sim_node *node, const char *what, uint64_t a,
              uint64_t b)
{
    struct record *record = next_record(sim, node);
    const uint64_t numbers[2] = {a, b};
    record->what = what;
    record->a = a;
    record->b = b;
    keep(sim, record, sim_hash(what, strlen(what), sim_hash(numbers, sizeof numbers, 2)));
}

void sim_note(struct sim *sim, const struct sim_node *node, const char *format, ...)
{
    struct record *record = next_record(sim, node);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(record->text, sizeof record->text, format, arguments);
    va_end(arguments);
    record->what = NULL;
    keep(sim, record, sim_hash(record->text, strlen(record->text), 3));
}

static void fail(struct sim *sim, const char *format, va_list arguments)
{
    if (sim->result.failed) {
        return;
    }
    vsnprintf(sim->result.why, sizeof sim->result.why, format, arguments);
    sim->result.failed = true;
    sim->over = true;
    sim_note(sim, sim->current, "BROKEN: %s", sim->result.why);
}

/* Among honest hubs: of what a liar is told nothing else is promised. */
void sim_broken(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!sim->options.malicious) {
        fail(sim, format, arguments);
    }
    va_end(arguments);
}

void sim_breach(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(sim, format, arguments);
    va_end(arguments);
}

void sim_count(struct sim *sim, enum sim_fault fault)
{
    sim->result.totals.faults[fault]++;
}

void sim_print_tail(const struct sim *sim, unsigned records)
{
    const struct sim_trace *trace = sim->trace;
    const uint64_t kept = trace->count < RECORDS ? trace->count : RECORDS;
    const uint64_t shown = records < kept ? records : kept;
    for (uint64_t i = trace->count - shown; i < trace->count; i++) {
        print_record(&trace->ring[i % RECORDS]);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

void sim_engine_open(struct sim *sim)
{
    sim_seed(sim, sim->options.seed);
    sim->queue = calloc(1, sizeof *sim->queue);
    sim->trace = calloc(1, sizeof *sim->trace);
    MR_ASSERT(sim->queue && sim->trace);
    sim->pool = sim_pool_open();
}

void sim_engine_close(struct sim *sim)
{
    sim->result.hash = sim->trace->hash;
    for (size_t i = 0; i < sim->queue->count; i++) {
        if (sim->queue->heap[i].owned) {
            free(sim->queue->heap[i].argument);
        }
    }
    free(sim->queue->heap);
    free(sim->queue);
    free(sim->trace);
    sim_pool_close(sim->pool);
}
