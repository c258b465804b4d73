/* plane_internal.h - the inside of plane.h. From below: plane_events.c (what listeners hear),
 * plane_memory.c (slots and accumulators among rounds), plane_room.c (windows), plane_uploads.c,
 * plane_collect.c, plane_round.c (begin, end), plane_report.c (what workers say), plane.c (set-up);
 * none calls one above it. */
#ifndef MR_UPLOAD_PLANE_INTERNAL_H
#define MR_UPLOAD_PLANE_INTERNAL_H

#include "appliance/config/limits.h"
#include "appliance/upload/http_upload.h"
#include "appliance/upload/plane_sources.h"
#include "appliance/upload/worker.h"

/* The HTTP/2 lane's number in upload ids. */
#define MR_LANE_HTTP2 255
/* Sessions outlive their slot: from the fold until the commit, and as tombstones. */
#define MR_SESSIONS_PER_SLOT 4u

/* An event that the loop's thread raises itself. */
struct mr_plane_raised {
    struct mr_plane_event event;
    uint32_t generation; /* of its round */
    uint8_t round;
};

/* Delivered on the loop's next turn. Grows; not the data path. */
struct mr_plane_events {
    struct mr_plane_raised *items;
    size_t head; /* the next to deliver */
    size_t count;
    size_t capacity;
};

/* Drawn so many at a time: a draw costs more than what it brings. They are public once used. */
#define MR_PLANE_RANDOMS 64u

struct mr_plane_collecting {
    bool running; /* asked for, not every worker has answered */
    bool out;     /* with the caller, until mr_upload_plane_return */
    bool freeze;
    unsigned missing; /* answers */
    mr_collected_fn collected;
    void *context;
    struct mr_collection collection;
    struct mr_shard **shards; /* one a worker, then the lane's */
    uint64_t *upload_ids;     /* room for all that can be staged at once */
    const uint8_t **shares;   /* likewise, where they are kept */
};

struct mr_plane_round {
    struct mr_upload_plane *plane;
    struct mr_plane_listener listener;
    struct mr_layout layout;
    uint32_t generation; /* no other round of this plane has it */
    uint8_t index;       /* its place */
    bool open;           /* between begin and freeze */
    bool keep;           /* collections bring the shares themselves too */
    uint32_t uploads_max;
    uint32_t uploads; /* receiving, or staged and not returned yet */
    uint32_t *held;   /* slots, one a worker, then the lane's */
    /* It was refused a slot: until then what falls free is kept for it (plane_memory.c). */
    uint64_t hungry_until_ms;
    uint64_t accumulators_at, accumulators_bytes; /* in each worker's; 0 bytes: it needs none */
    struct mr_plane_collecting collecting;
};

struct mr_upload_plane {
    struct mr_upload_plane_config config; /* its strings are copies */
    struct mr_loop *loop;
    const struct mr_kernels *kernels;
    struct mr_plane_sources sources;
    struct mr_log *log;
    int report_fd;             /* eventfd: a worker, or this thread itself, has something to tell */
    struct mr_dpdk_port *dpdk; /* NULL: none */
    struct mr_worker **workers;
    struct mr_worker_view *views; /* one a worker */
    uint32_t *window_totals;      /* one a worker: config, or what its socket buffer holds */
    uint32_t chunks_max;          /* of an upload of any round that is not ended */
    struct mr_lane lane;
    struct mr_timer *lane_timer; /* expires idle HTTP/2 uploads */
    struct mr_plane_events events;
    mr_loop_fn room; /* NULL: nobody waits for windows */
    void *room_context;
    struct mr_plane_round *rounds[MR_PLANE_ROUNDS_MAX]; /* by place; NULL: none */
    unsigned ending[MR_PLANE_ROUNDS_MAX]; /* workers that still forget what was there */
    uint32_t generation;                  /* the newest round's */
    uint32_t randoms[MR_PLANE_RANDOMS];   /* for upload ids, each used once */
    unsigned randoms_left;
};

/* plane_events.c. The round at that place, NULL if it is another one by now. */
struct mr_plane_round *mr_plane_round_at(const struct mr_upload_plane *plane, uint8_t index,
                                         uint32_t generation);
/* Delivered by _deliver, never from inside the caller's call. */
void mr_plane_raise(struct mr_plane_round *round, enum mr_plane_event_kind kind,
                    uint64_t upload_id);
void mr_plane_deliver(struct mr_upload_plane *plane);

/* plane_memory.c. Whether the round may have one more slot of that view (the workers', then the
 * lane's). */
bool mr_plane_may_take(const struct mr_plane_round *round, const struct mr_worker_view *view,
                       unsigned which);
/* Finds room for that many bytes in the accumulators. 0 or -1. */
int mr_plane_accumulators_find(const struct mr_upload_plane *plane, uint64_t bytes, uint64_t *at,
                               struct mr_error *error);

/* plane_room.c. The worker with the fewest receiving sessions among those with a slot for the
 * round; -1: none. */
int mr_plane_choose_worker(const struct mr_plane_round *round);
/* What one more upload of that worker may send before it heard anything. True: it will have a
 * window; false: it will have to wait for one. */
bool mr_plane_first_window(const struct mr_upload_plane *plane, unsigned worker, uint32_t *window);

/* plane_uploads.c. An upload ended: neither receiving nor staged any more. */
void mr_plane_upload_ended(struct mr_upload_plane *plane, struct mr_worker_view *view,
                           struct mr_worker_view_entry *entry);
/* The round is frozen: what that view has of it and was receiving ended. */
void mr_plane_receiving_ended(struct mr_plane_round *round, struct mr_worker_view *view);
void mr_plane_on_lane_timer(void *plane);

/* plane_collect.c. A worker handed the round's shard over. */
void mr_plane_collected_from(struct mr_plane_round *round, unsigned worker, struct mr_shard *shard);
/* Tells the caller once all have. */
void mr_plane_finish_collection(struct mr_plane_round *round);

/* plane_round.c. Frees what the control thread has of it. */
void mr_plane_round_free(struct mr_plane_round *round);

/* plane_report.c: the loop's callback. */
void mr_plane_on_report(void *plane, int fd, uint32_t events);

static inline uint32_t mr_plane_sessions_per_worker(const struct mr_upload_plane_config *config)
{
    return config->slots_per_worker * MR_SESSIONS_PER_SLOT;
}

#endif
