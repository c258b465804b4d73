/* drops.h - what a worker counts: each lost packet by cause, and what it took in.
 *
 * One writer (the worker), any readers. Relaxed atomics used as plain loads and stores: no locked
 * instruction on the packet path. */
#ifndef MR_UPLOAD_DROPS_H
#define MR_UPLOAD_DROPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum mr_drop_reason {
    MR_UPLOAD_ACCEPTED = 0, /* a new chunk, opened into its slot */
#define MR_UPLOAD_DROP(name, sentence) MR_UPLOAD_DROP_##name,
#include "appliance/upload/upload_drops.def"
#undef MR_UPLOAD_DROP
    MR_DROP_REASONS
};

enum mr_upload_count {
    MR_UPLOAD_COUNT_packets = 0, /* datagrams that arrived */
    MR_UPLOAD_COUNT_bytes,       /* their UDP payload bytes */
    MR_UPLOAD_COUNT_bursts,      /* polls that brought something */
    MR_UPLOAD_COUNT_acks,        /* ACKs queued for sending */
    MR_UPLOAD_COUNT_rebound,     /* sessions that moved to another address */
    MR_UPLOAD_COUNT_staged,      /* uploads that became complete */
    MR_UPLOAD_COUNT_expired,     /* uploads dropped for idleness */
    MR_UPLOAD_COUNT_unsound,     /* uploads dropped for their count lane */
    MR_UPLOAD_COUNT_folds,       /* passes over an accumulator */
    MR_UPLOAD_COUNTS
};

/* The line after next is another worker's: adjacent-line prefetch pulls lines in pairs. */
struct mr_upload_counters {
    _Alignas(128) _Atomic uint64_t reasons[MR_DROP_REASONS];
    _Atomic uint64_t counts[MR_UPLOAD_COUNTS];
    _Atomic uint64_t busy_ns; /* of the worker's time: with packets, orders, folds, ACKs … */
    _Atomic uint64_t idle_ns; /* … and waiting for any */
};

static inline void mr_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t mr_counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Splits a worker's turn. A poll that was allowed to wait, or that brought nothing, is idleness,
 * also where it spins; what a poll does that only fetches what is there is work, as is all after
 * it. */
static inline void mr_counters_turn(struct mr_upload_counters *counters, unsigned wait_us,
                                    unsigned packets, uint64_t poll_ns, uint64_t work_ns)
{
    const bool idle = wait_us > 0 || packets == 0;

    mr_counter_add(&counters->idle_ns, idle ? poll_ns : 0);
    mr_counter_add(&counters->busy_ns, idle ? work_ns : poll_ns + work_ns);
}

/* "bad_tag"; "accepted" for MR_UPLOAD_ACCEPTED. */
const char *mr_drop_reason_name(enum mr_drop_reason reason);

#endif
