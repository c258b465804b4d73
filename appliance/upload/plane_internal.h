/* plane_internal.h - the inside of plane.h: plane.c (set-up, metrics) and plane_control.c (rounds).
 */
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

/* Events that the loop's thread raises itself, delivered on its next turn. Grows; not the data
 * path. */
struct mr_plane_events {
    struct mr_plane_event *items;
    size_t head; /* the next to deliver */
    size_t count;
    size_t capacity;
};

struct mr_plane_collecting {
    bool running; /* asked for, not every worker has answered */
    bool out;     /* with the caller, until mr_upload_plane_return */
    bool freeze;
    unsigned missing; /* answers */
    mr_collected_fn collected;
    void *context;
    struct mr_collection collection;
    struct mr_shard **shards; /* one a worker, then the lane's */
    uint64_t *upload_ids;     /* room for every session there is */
};

/* For now the plane carries one round at a time; this is its handle. */
struct mr_plane_round {
    struct mr_upload_plane *plane;
    struct mr_plane_listener listener;
    bool begun;
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
    struct mr_lane lane;
    struct mr_timer *lane_timer; /* expires idle HTTP/2 uploads */
    struct mr_plane_events events;
    struct mr_plane_collecting collecting;
    struct mr_plane_round round;
    bool round_open; /* between begin and freeze */
    uint32_t generation;
    struct mr_layout layout;
};

/* plane_control.c: the loop's callbacks. */
void mr_plane_on_report(void *plane, int fd, uint32_t events);
void mr_plane_on_lane_timer(void *plane);

#endif
