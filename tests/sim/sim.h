/* sim.h - a whole federation in one thread: the engine of the simulator.
 *
 * Hubs and devices are the real ones: mr_hub_open with its roles, routes, upload plane and workers,
 * mre_client_round with its attempts and its sender. What stands around them is replaced: the event
 * loop, threads (as coroutines), clocks, randomness, files, datagrams and TLS connections.
 * Everything that happens is an event in one queue ordered by virtual time, every choice is drawn
 * from one generator, so a seed names a history.
 *
 * Code of a node runs either from an event (its loop's thread) or in a coroutine (its other
 * threads, and devices). Only a coroutine may wait. One simulation at a time a process. */
#ifndef MR_TESTS_SIM_H
#define MR_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/faults.h"
#include "tests/sim/mutants.h"
#include "wire/layout.h"
#include "wire/task.h"
#include "wire/watermark_terms.h"

#define SIM_HUBS         5
#define SIM_TASKS        3
#define SIM_DEVICES      40
#define SIM_VALUES_MAX   512 /* of a task's model */
#define SIM_PUT_BACK_MAX 3
#define SIM_NODES        (SIM_HUBS + SIM_DEVICES)
#define SIM_MS           UINT64_C(1000) /* virtual time counts microseconds */
#define SIM_S            (1000 * SIM_MS)

struct sim;
struct sim_co;
struct sim_disk;
struct sim_check;
struct sim_net;

typedef void (*sim_fn)(struct sim *sim, void *argument);

/* A hub or a device: a machine with a disk, on which a process runs or does not. */
struct sim_node {
    struct sim *sim;
    unsigned index; /* hubs 0.., then devices SIM_HUBS.. */
    char name[8];   /* "h0", "d7" */
    bool up;        /* its process runs */
    bool new_disk;  /* it lost its disk: models may be missing on the one it has */
    unsigned disks; /* … so many times */
    unsigned
        older; /* bit per task: its files are older ones, and its operator has not recovered it */
    unsigned put_back; /* how often its files were put back from a copy */
    bool dead; /* it was killed: whatever its code still does to let go of memory has no effect */
    uint32_t life;         /* counts processes: what was meant for an earlier one does not arrive */
    int64_t wall_us;       /* how wrong its wall clock is */
    uint64_t monotonic_us; /* where its monotonic clock began */
    uint64_t stalled_until_us; /* it does not run before */
    uint32_t given_up;         /* of a hub: how often it closed the connections at rest */
    struct sim_disk *disk;
    void *process; /* struct sim_hub or struct sim_device */
};

struct sim_options {
    uint64_t seed;
    bool print;     /* every record of the trace, as it happens */
    bool malicious; /* leads do all they can to have a device in two sums (malice.c) */
    enum sim_mutant mutant;
};

/* What happened, over one seed or many. */
struct sim_totals {
    uint64_t seeds, tasks, failed, events, datagrams, rounds_published, rounds_void, rounds_unknown;
    uint64_t committed, ends_heard, outcomes_other, included;
    uint64_t audited; /* seeds whose hubs' transcripts an audit found whole */
    uint64_t proved;  /* devices to whom every hub proved that it counted them */
    uint64_t virtual_ms;
    uint64_t faults[SIM_FAULTS];
};

struct sim_result {
    bool failed;
    uint64_t hash; /* of the whole trace */
    struct sim_totals totals;
    char why[400];
};

/* A task: the hubs that serve it, the devices that take part, the shape of its rounds. */
struct sim_task {
    unsigned index; /* in the plan */
    char name[MR_TASK_NAME_MAX + 1];
    unsigned hubs[SIM_HUBS]; /* their numbers: the first leads, the others help, rising */
    unsigned hubs_count;
    uint64_t devices; /* bit per device */
    uint32_t cohort_min, cohort_max, quorum, dimension, deadline_ms;
    uint32_t admitted_max, draw_ms; /* 0: the set is not drawn */
    uint8_t ring_bits;
    uint16_t chunk_bytes;
    /* How its rounds make the next model: by FedAvg or FedAvgM; with steps of so many bits, 0: not
     * rounded; marked, with these parts of the key, by place. The hub at place mark_liar tells
     * another part now and then; SIM_HUBS: none does. */
    bool momentum, marked;
    uint8_t requantise;
    unsigned mark_liar;
    uint8_t mark_parts[SIM_HUBS][MR_WATERMARK_KEY_BYTES];
    /* The operators' way on where every device is in a set that was opened and made no model. */
#define SIM_CODES_BYTES 152
    struct sim_resume {
        char codes[SIM_CODES_BYTES]; /* of recoveries that it ends; "": none */
        uint8_t from[32];            /* the version before, by its hash */
        unsigned hubs; /* a bit for each that has the next one, by its place in the list */
        /* Tokens of what the hubs were asked, by place: one that is killed answers none of it. */
        struct sim_resuming {
            struct sim *sim;
            struct sim_task *task;
            unsigned place;
        } asked[SIM_HUBS];
    } resume;
};

/* What a seed decides before anything runs. */
struct sim_plan {
    unsigned hubs, devices;
    uint64_t liars; /* bit per device: its seeds are not those that it shares with */
    struct sim_task tasks[SIM_TASKS];
    unsigned tasks_count;
    uint32_t share_bytes_max; /* of any task */
    uint32_t commit_interval_ms, peer_timeout_ms, idle_timeout_ms, slots, workers;
    uint32_t lead_grace_ms;
    uint64_t faults_end_us; /* from here on nothing goes wrong any more */
    uint64_t fault_gap_us;  /* mean time between faults */
    bool allowed[SIM_FAULTS];
    unsigned loss_max, duplicate_max, corrupt_max; /* of datagrams, per thousand */
    unsigned break_max;                            /* of control requests, per thousand */
    unsigned put_back_max;                         /* so often at most files are put back */
};

struct sim {
    struct sim_options options;
    struct sim_plan plan;
    uint64_t now_us;
    uint64_t random[4];
    struct sim_node nodes[SIM_NODES];
    struct sim_node *current; /* whose code runs; NULL: the simulator's own */
    struct sim_co *running;   /* in which coroutine; NULL: in none */
    bool calm;                /* the fault-free phase */
    bool over;                /* stop: it failed, or everything has ended */
    struct sim_result result;
    struct sim_queue *queue;
    struct sim_trace *trace;
    struct sim_pool *pool;   /* of coroutines */
    struct sim_files *files; /* open ones */
    struct sim_net *net;
    struct sim_check *check;
    struct sim_exchange *exchanges; /* requests on their way */
    struct sim_key {
        uint8_t secret[32], open[32]; /* Ed25519 */
    } hub_keys[SIM_HUBS];
};

/* Runs a seed to its end. */
void sim_run(const struct sim_options *options, struct sim_result *result);
void sim_totals_add(struct sim_totals *totals, const struct sim_totals *more);

/* The simulation that runs, for what is called without a context; NULL: none. */
struct sim *sim_active(void);

/* What a hub has opened it knows from its disk only. */
static inline uint64_t sim_hub_life(const struct sim_node *node)
{
    return node->disks;
}

static inline struct sim_node *sim_hub_node(struct sim *sim, unsigned i)
{
    return &sim->nodes[i];
}

static inline struct sim_node *sim_device_node(struct sim *sim, unsigned i)
{
    return &sim->nodes[SIM_HUBS + i];
}

/* --- time (engine.c) ------------------------------------------------------------------------- */
/* Runs fn at that time on that node (NULL: the simulator itself), unless the node has another
 * process by then. An owned argument is one malloc'd block: freed after fn, or instead of it. */
void sim_at(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_fn fn, void *argument);
void sim_at_owned(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_fn fn,
                  void *argument);

/* --- chance (chance.c) ----------------------------------------------------------------------- */
/* The same seed gives the same numbers. */
void sim_seed(struct sim *sim, uint64_t seed);
uint64_t sim_random(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t n);                    /* 0..n-1; n > 0 */
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high); /* both included */
bool sim_chance(struct sim *sim, unsigned per_thousand);
void sim_fill(struct sim *sim, void *out, size_t bytes);
/* A hash of bytes, good enough to tell honest histories apart. */
uint64_t sim_hash(const void *bytes, size_t length, uint64_t salt);

/* --- the trace (engine.c) -------------------------------------------------------------------- */
/* A record: what, where and two numbers. Cheap. `what` is a literal. */
void sim_mark(struct sim *sim, const struct sim_node *node, const char *what, uint64_t a,
              uint64_t b);
/* A record in words. */
void sim_note(struct sim *sim, const struct sim_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An invariant is broken. The first one counts. */
void sim_broken(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what must hold whatever an adversary does. */
void sim_breach(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_count(struct sim *sim, enum sim_fault fault);
void sim_print_tail(const struct sim *sim, unsigned records);

/* --- coroutines (coroutine.c) ---------------------------------------------------------------- */
/* A thread of a node; it starts with an event of its own, or with the first sim_co_run. */
struct sim_co *sim_co_new(struct sim_node *node, void (*fn)(void *argument), void *argument);
/* From outside any coroutine: lets it run until it waits or ends. */
void sim_co_run(struct sim_co *co);
/* Until it has ended; it was told to. */
void sim_co_join(struct sim_co *co);
bool sim_co_done(const struct sim_co *co);
/* In a coroutine: waits until then, or until somebody wakes it, or until sim_co_run is called
 * again. */
void sim_wait_until(struct sim *sim, uint64_t until_us);
void sim_wait_for(struct sim *sim, uint64_t us);
/* Lets others run. */
void sim_yield(struct sim *sim);
/* Ends the wait of a coroutine, if it waits, with an event of its own. */
void sim_wake(struct sim_co *co);
struct sim_pool *sim_pool_open(void);
void sim_pool_close(struct sim_pool *pool);

/* --- clocks ---------------------------------------------------------------------------------- */
static inline uint64_t sim_monotonic_us(const struct sim_node *node)
{
    return node->sim->now_us + node->monotonic_us;
}

#define SIM_EPOCH_US (UINT64_C(1700000000) * SIM_S)

static inline uint64_t sim_wall_us(const struct sim_node *node)
{
    return (uint64_t)((int64_t)(SIM_EPOCH_US + node->sim->now_us) + node->wall_us);
}

#endif
