/* worker.h - one upload worker: a thread with its packet source, its sessions and, for each round,
 * two shards.
 *
 * The control thread sends orders and reads reports; both are fixed messages in single-producer
 * rings. A worker that has nothing to do sleeps in its source's poll until a packet or an order
 * wakes it. */
#ifndef MR_UPLOAD_WORKER_H
#define MR_UPLOAD_WORKER_H

#include "appliance/aggregate/shard.h"
#include "appliance/upload/plane_sources.h"
#include "appliance/upload/session.h"

enum mr_order_kind {
    MR_ORDER_BEGIN,
    MR_ORDER_END, /* answered by MR_REPORT_ENDED */
    MR_ORDER_ADMIT,
    MR_ORDER_REVOKE,
    MR_ORDER_COLLECT,
    MR_ORDER_RETURN,
    MR_ORDER_CONFINE, /* set-up is over: only the loop's own system calls are left */
};

/* Control thread to worker. */
struct mr_worker_order {
    enum mr_order_kind kind;
    uint8_t round; /* the place of the round that it is about */
    union {
        struct {
            uint32_t generation; /* put into every report about the round */
            uint32_t window_total;
            uint32_t capacity; /* of a shard: uploads */
            bool keep;         /* shares stay in their slots until the shard is returned */
            uint64_t number;
            uint64_t accumulators_at; /* offset of its two shards */
            struct mr_layout layout;
        } begin;
        struct {
            uint32_t window_total;
        } end;
        struct {
            uint64_t upload_id;
            uint32_t attempt;
            uint32_t count_lane;
            struct mr_upload_keys keys; /* wiped by the worker */
        } admit;
        struct {
            uint64_t upload_id;
            enum mr_upload_reason reason;
        } revoke;
        struct {
            bool freeze;
        } collect;
        struct {
            bool committed;
            enum mr_upload_reason reason;
        } give_back;
    };
};

enum mr_report_kind {
    MR_REPORT_EVENT,     /* tell the round */
    MR_REPORT_SLOTS,     /* only slots_freed */
    MR_REPORT_ENDED,     /* the round is forgotten, all its slots are free */
    MR_REPORT_COLLECTED, /* `shard` belongs to the control thread until MR_ORDER_RETURN */
};

/* Worker to control thread. */
struct mr_worker_report {
    enum mr_report_kind kind;
    uint8_t round;
    uint32_t generation;  /* of the round: its place may have another one meanwhile */
    uint32_t slots_freed; /* by the round since its last report */
    enum mr_plane_event_kind event;
    uint64_t upload_id;
    struct mr_shard *shard;
};

struct mr_worker_config {
    unsigned index;
    int cpu; /* -1: not pinned */
    struct mr_sessions_config sessions;
    uint64_t accumulator_bytes;
    struct mr_packet_source_config source;
    mr_source_make_fn make_source; /* NULL: mr_packet_source_open(source) */
    void *make_context;
    const struct mr_kernels *kernels;
    int report_fd; /* an eventfd, written after a turn that made reports, or within a millisecond */
};

struct mr_worker;

/* Starts the thread and waits until its memory is backed and its socket bound. The config is
 * copied. 0 or -1. */
int mr_worker_open(struct mr_worker **worker, const struct mr_worker_config *config,
                   struct mr_error *error);
void mr_worker_close(struct mr_worker *worker); /* stops and joins; NULL allowed */

/* --- on the control thread ---------------------------------------------------------------- */
/* The order to fill; then send it. There is always room (see the bound in worker.c). */
struct mr_worker_order *mr_worker_order(struct mr_worker *worker);
void mr_worker_send(struct mr_worker *worker);
/* Sends it without waking the worker, which takes it before the next packet that it receives, or
 * after a second: for what means nothing before a packet comes. */
void mr_worker_leave(struct mr_worker *worker);
/* Takes the oldest report; false if there is none. */
bool mr_worker_report(struct mr_worker *worker, struct mr_worker_report *report);

uint16_t mr_worker_port(const struct mr_worker *worker);
uint32_t mr_worker_receive_buffer_bytes(const struct mr_worker *worker);
const char *mr_worker_source(const struct mr_worker *worker);             /* "io_uring", … */
const char *mr_worker_source_why(const struct mr_worker *worker);         /* a sentence */
const struct mr_opener *mr_worker_opener(const struct mr_worker *worker); /* its name may be read */
const struct mr_upload_counters *mr_worker_counters(const struct mr_worker *worker);

#endif
