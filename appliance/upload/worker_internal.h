/* worker_internal.h - the inside of worker.h. From below: worker_rounds.c, worker_orders.c,
 * worker_turn.c, worker.c (the thread); none calls one above it. All but worker.c runs on the
 * worker's own thread. */
#ifndef MR_UPLOAD_WORKER_INTERNAL_H
#define MR_UPLOAD_WORKER_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "appliance/runtime/pages.h"
#include "appliance/upload/mailbox.h"
#include "appliance/upload/worker.h"

#define MR_WORKER_SHARDS 2

/* A round as this worker knows it. */
struct mr_worker_round {
    struct mr_shard shards[MR_WORKER_SHARDS]; /* their memory is in the accumulators */
    unsigned active; /* the shard that is folded into; the other may be with the control thread */
    bool lent;
    bool keep; /* only folded when it is collected, and shares stay until the shard is back */
    struct mr_layout layout;
    uint32_t generation;
    uint32_t held_told; /* slots that the control thread thinks it holds */
};

struct mr_worker {
    struct mr_worker_config config;
    struct mr_mailbox orders;
    struct mr_mailbox reports;
    pthread_t thread;
    bool thread_started;
    atomic_bool stop;
    sem_t ready;    /* posted by the worker: started or failed */
    sem_t released; /* posted by the control thread: it will not touch the source any more */
    struct mr_error start_error;
    bool start_failed;
    char why[160];
    struct mr_upload_counters *counters;

    /* The worker thread's own from here on (`source` is made by it and read-only afterwards). */
    struct mr_packet_source *source;
    struct mr_sessions *sessions;
    struct mr_pages accumulators;
    struct mr_worker_round rounds[MR_PLANE_ROUNDS_MAX];
    uint8_t live[MR_PLANE_ROUNDS_MAX]; /* places of the rounds that there are */
    unsigned live_count;
    unsigned reported; /* reports since the control thread was woken last */
    bool pressing;     /* by a report that does not wait */
    uint64_t told_ms;  /* when it was */
    uint64_t expire_at_ms;
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_ack_datagram acks[MR_BURST_MAX]; /* here, lest each turn fills them with a pattern */
};

/* worker_rounds.c. Reports `content` about the round, or an event of it. */
void mr_worker_tell(struct mr_worker *worker, unsigned round,
                    const struct mr_worker_report *content);
void mr_worker_tell_event(struct mr_worker *worker, unsigned round, enum mr_plane_event_kind kind,
                          uint64_t upload_id);
/* Adds the round's staged uploads to its active shard: full folds only, or everything. */
void mr_worker_fold(struct mr_worker *worker, unsigned round, bool everything);

/* worker_orders.c. Follows all orders that are there. */
void mr_worker_take_orders(struct mr_worker *worker, uint64_t now);

/* worker_turn.c. *wait: how long its poll may sleep, in microseconds; set anew for the next. */
void mr_worker_turn(struct mr_worker *worker, unsigned *wait);

#endif
