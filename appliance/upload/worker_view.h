/* worker_view.h - what the control thread knows of one worker's sessions: which indices are in use,
 * how many slots are free. It chooses upload ids from this, so that admitting needs no answer from
 * the worker. Loop thread only; no I/O. */
#ifndef MR_UPLOAD_WORKER_VIEW_H
#define MR_UPLOAD_WORKER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum mr_worker_view_state {
    MR_MIRROR_NONE = 0,
    MR_MIRROR_RECEIVING,
    MR_MIRROR_STAGED,
    MR_MIRROR_ENDED, /* a tombstone at the worker: the index may be used again */
};

struct mr_worker_view_entry {
    uint64_t upload_id;
    uint64_t since_ms; /* admitted; over HTTP/2: or heard of last */
    uint8_t state;     /* enum mr_worker_view_state */
    bool revoking;     /* asked, not answered yet */
    bool committed;    /* ended well */
};

struct mr_worker_view {
    struct mr_worker_view_entry *entries;
    uint32_t *unused; /* stack of indices never used in this round */
    uint32_t *ended;  /* ring of tombstones, oldest first */
    uint32_t sessions, slots;
    uint32_t unused_count, ended_head, ended_count;
    uint32_t slots_free;
    uint32_t receiving;
    uint8_t lane;
};

int mr_worker_view_open(struct mr_worker_view *view, uint8_t lane, uint32_t sessions,
                        uint32_t slots);
void mr_worker_view_close(struct mr_worker_view *view); /* safe on a zeroed struct */
void mr_worker_view_begin(struct mr_worker_view *view); /* everything is free again */

/* Takes a slot and an index for a new upload with that random part (not zero); its id, or 0 when
 * there is no room. */
uint64_t mr_worker_view_admit(struct mr_worker_view *view, uint32_t random, uint64_t now_ms);
/* NULL if the view knows no such upload. */
struct mr_worker_view_entry *mr_worker_view_find(const struct mr_worker_view *view,
                                                 uint64_t upload_id);
void mr_worker_view_staged(struct mr_worker_view *view, struct mr_worker_view_entry *entry);
void mr_worker_view_ended(struct mr_worker_view *view, struct mr_worker_view_entry *entry);
/* Frozen: everything that was receiving has ended. */
void mr_worker_view_end_receiving(struct mr_worker_view *view);

#endif
