/* plane.h - the upload plane: workers that receive sealed shares, stage them whole, and fold them
 * into accumulator shards. This header is the control thread's side of it.
 *
 * A hub that leads has one plane. It carries the rounds of all tasks side by side: each round has
 * its own layout, its own accumulators and its own uploads; ports, slots and windows are shared.
 *
 * Everything here is called on the loop's thread; every callback comes back on it. Ownership of
 * shards, sessions and slots belongs to the workers; messages pass between the threads over
 * single-producer rings. The workers' memory is planned at _open from the config and fixed from
 * then on: what does not fit is refused when a round begins or an upload is admitted, never later.
 *
 * Life of an upload: admit → RECEIVING → (all chunks opened and staged) → STAGED, folded into the
 * worker's shard → collected → the round syncs it → returned → COMMITTED. Revoked or timed out
 * before STAGED, or with a count lane that is not the one announced at admission: never folded. */
#ifndef MR_UPLOAD_PLANE_H
#define MR_UPLOAD_PLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/config/limits.h"
#include "appliance/ingest/dpdk.h"
#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"
#include "appliance/runtime/loop.h"
#include "appliance/upload/limits.h"
#include "kernels/kernels.h"
#include "wire/messages.h"
#include "appliance/aggregate/sum.h"

struct mr_upload_plane;
struct mr_plane_round; /* a round that the plane carries */

struct mr_upload_plane_config {
    unsigned workers;          /* 1..MR_WORKERS_MAX; each has its own UDP port */
    const int *worker_cpus;    /* NULL: not pinned */
    unsigned slots_per_worker; /* uploads that may be in flight or staged at once, per worker */
    uint64_t share_bytes_max;  /* a slot's size: rounds with larger shares cannot open */
    /* For the accumulators of all rounds together, per worker (and once for HTTP/2); 0: what one
     * round of the largest share takes. */
    uint64_t accumulator_bytes;
    const char *source; /* "auto", "dpdk", "io_uring", "recvmmsg" */
    const char *listen_host;
    uint16_t port_base;         /* worker i binds port_base + i; 0: free ports */
    const char *advertise_host; /* numeric address put into grants */
    uint32_t receive_buffer_bytes;
    uint32_t window_max;        /* chunks in flight that one device is ever granted */
    uint32_t window_total;      /* chunks in flight over all sessions of one worker */
    uint32_t idle_timeout_ms;   /* no new chunk, nothing over HTTP/2 for so long: dropped */
    struct mr_dpdk_config dpdk; /* its port_base and workers are set by the plane; device NULL: no
                                   port */
};

enum mr_plane_event_kind {
    MR_PLANE_STAGED,      /* the upload is complete and will be in the next collection */
    MR_PLANE_REVOKED,     /* answer to revoke: it will never be folded */
    MR_PLANE_NOT_REVOKED, /* answer to revoke: too late, it is staged (or unknown) */
    MR_PLANE_EXPIRED,     /* idle for too long: dropped, will never be folded */
    MR_PLANE_UNSOUND,     /* complete, but its count lane is wrong: will never be folded */
};

struct mr_plane_event {
    enum mr_plane_event_kind kind;
    uint64_t upload_id;
};
typedef void (*mr_plane_event_fn)(void *context, const struct mr_plane_event *event);

/* Who hears of a round's uploads; copied. Never called from inside a call of the plane. */
struct mr_plane_listener {
    mr_plane_event_fn event;
    void *context;
};

/* Starts the worker threads and binds their sockets. 0 or -1 (the error names option and remedy).
 */
int mr_upload_plane_open(struct mr_upload_plane **plane, struct mr_loop *loop,
                         const struct mr_upload_plane_config *config,
                         const struct mr_kernels *kernels, struct mr_log *log,
                         struct mr_error *error);
/* Ends the rounds that are still there. NULL allowed. */
void mr_upload_plane_close(struct mr_upload_plane *plane);
/* What one round takes of accumulator_bytes: uploads_max uploads (at most as many as one worker has
 * sessions) of that share. */
uint64_t mr_upload_plane_round_bytes(const struct mr_upload_plane_config *config,
                                     uint64_t share_bytes, uint32_t uploads_max);
/* Set-up of the process is over: the workers give up what their loops do not need
 * (runtime/sandbox.h, after _finish). */
void mr_upload_plane_confine(struct mr_upload_plane *plane);
/* Uploads that can be under way or staged at once. */
uint32_t mr_upload_plane_slots(const struct mr_upload_plane *plane);
/* How its workers receive datagrams, "mixed" where they differ: not "auto". Static. */
const char *mr_upload_plane_source(const struct mr_upload_plane *plane);
void mr_upload_plane_metrics(const struct mr_upload_plane *plane, struct mr_metrics *metrics);

/* Starts a round beside those that run. At most uploads_max of its uploads are under way or staged
 * at once. -1 with an error when its share does not fit a slot, its accumulators do not fit what is
 * left of accumulator_bytes, or MR_PLANE_ROUNDS_MAX rounds are there. */
int mr_upload_plane_begin(struct mr_upload_plane *plane, const struct mr_round_terms *terms,
                          uint32_t uploads_max, const struct mr_plane_listener *listener,
                          struct mr_plane_round **round, struct mr_error *error);

/* Forgets a round, whatever it was doing: its uploads become unknown, its slots and accumulators
 * free. No callback comes any more, and a collection that is out is invalid from now on.
 *
 * Until then an upload that ended stays as a tombstone which answers retransmissions (unless
 * many later uploads needed its place). So a round is to be ended only when its devices had time to
 * hear how it went: when its owner begins the next one, or goes. Accumulators are free as soon as a
 * frozen collection has been returned; a round that only answers takes nothing but its place. */
void mr_upload_plane_end(struct mr_plane_round *round);

struct mr_admission {
    uint32_t attempt;
    enum mr_transport transport;
    uint32_t count_lane;               /* what the share's lane MR_TRAILER_COUNT has to be */
    const struct mr_upload_keys *keys; /* copied; NULL for HTTP/2 */
};

/* Opens a session for a device; fills the grant. Returns 0, or -1 when the round has no slot to get
 * (the device is told to come back). The caller makes sure that a device has one live upload at
 * most.
 *
 * A round that was refused gets the next slots that fall free, until it has its even part of all
 * slots: rounds that hold more are refused meanwhile. */
int mr_upload_plane_admit(struct mr_plane_round *round, const struct mr_admission *admission,
                          struct mr_upload_grant *grant);

/* Whether a device that asks for an upload over UDP does better to wait for its answer than to be
 * admitted now: it would get no window, but one is likely to fall free soon. Returns after how many
 * milliseconds to ask again at the latest, 0: admit it (or refuse it) now. A guess: what is held
 * needs a bound of time. Only where every round's uploads fit one window is anything held; longer
 * ones wait at the worker, which costs them one ACK of many. */
uint32_t mr_upload_plane_hold_ms(const struct mr_plane_round *round);

/* Calls room(context) whenever workers reported something, so that _hold_ms may say otherwise: on
 * the loop's thread, never from inside a call of the plane. NULL: nobody. */
void mr_upload_plane_on_room(struct mr_upload_plane *plane, mr_loop_fn room, void *context);

/* A whole share that came over HTTP/2 for an upload admitted that way (share_bytes exactly). */
enum mr_plane_put {
    MR_PLANE_PUT_NONE = -1,  /* there is no such upload, or the length differs */
    MR_PLANE_PUT_STAGED = 0, /* MR_PLANE_STAGED follows */
    MR_PLANE_PUT_UNSOUND =
        1, /* its count lane is wrong, and it has ended; MR_PLANE_UNSOUND follows */
    MR_PLANE_PUT_NO_MEMORY = 2, /* it may be put again */
};
enum mr_plane_put mr_upload_plane_put(struct mr_upload_plane *plane, uint64_t upload_id,
                                      const uint8_t *share, size_t length);

/* More of that share has come over HTTP/2: the upload is not idle. Nothing if there is no such. */
void mr_upload_plane_touch(struct mr_upload_plane *plane, uint64_t upload_id);

/* Asks for the end of an upload; answered by REVOKED or NOT_REVOKED. */
void mr_upload_plane_revoke(struct mr_plane_round *round, uint64_t upload_id,
                            enum mr_upload_reason reason);

/* What one collection brings: the sum of exactly the round's uploads listed, since its last one. */
struct mr_collection {
    struct mr_vector_sum *parts; /* one per worker and one for HTTP/2; NULL lanes = nothing there */
    unsigned part_count;
    const uint64_t *upload_ids;
    /* In a round with audit_hours each one's whole share, 64-byte aligned, which stays there until
     * the collection is returned and holds its slot until then; else NULL. */
    const uint8_t *const *shares;
    uint32_t upload_count;
};
typedef void (*mr_collected_fn)(void *context, struct mr_collection *collection);

/* Every worker folds what is staged of the round and hands its shard over. With `freeze` no upload
 * of it is staged any more afterwards: receiving sessions end as refused/closed. One collection of
 * a round at a time; until it is returned the workers fold into the round's second shard. */
void mr_upload_plane_collect(struct mr_plane_round *round, bool freeze, mr_collected_fn collected,
                             void *context);

/* Gives a collection back. committed: its uploads are durable; their devices hear COMMITTED. Else
 * (the round is void) they hear REFUSED with the reason. The parts are zeroed by the plane. */
void mr_upload_plane_return(struct mr_plane_round *round, struct mr_collection *collection,
                            bool committed, enum mr_upload_reason reason);

#endif
