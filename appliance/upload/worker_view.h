/* worker_view.h - what the control thread knows of one worker's sessions: which indices are in use,
 * how many slots are free, how many windows are likely to be in use. It chooses upload ids from
 * this, so that admitting needs no answer from the worker. Loop thread only; no I/O. */
#ifndef MR_UPLOAD_WORKER_VIEW_H
#define MR_UPLOAD_WORKER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum mr_worker_view_state {
    MR_VIEW_NONE = 0,
    MR_VIEW_RECEIVING,
    MR_VIEW_STAGED,
    MR_VIEW_ENDED, /* a tombstone at the worker: the index may be used again */
};

struct mr_worker_view_entry {
    uint64_t upload_id;
    uint64_t since_ms; /* admitted; over HTTP/2: or heard of last */
    /* Its neighbours in the list of the fast, by index; MR_VIEW_NOBODY: none. */
    uint32_t fast_before, fast_after;
    uint8_t state;  /* enum mr_worker_view_state */
    uint8_t round;  /* its index */
    bool revoking;  /* asked, not answered yet */
    bool committed; /* ended well */
    bool fast;      /* in that list */
};

#define MR_VIEW_NOBODY UINT32_MAX

struct mr_worker_view {
    struct mr_worker_view_entry *entries;
    uint32_t *unused; /* stack of indices that nobody has and no tombstone is at */
    uint32_t *ended;  /* ring of tombstones, oldest first */
    uint32_t sessions, slots;
    uint32_t unused_count, ended_head, ended_count;
    uint32_t slots_free;
    uint32_t receiving;
    /* Uploads under way that were granted a window and were not dropped by _age: oldest first. */
    uint32_t fast, fast_oldest, fast_newest;
    uint8_t lane;
};

/* Everything is free. */
int mr_worker_view_open(struct mr_worker_view *view, uint8_t lane, uint32_t sessions,
                        uint32_t slots);
void mr_worker_view_close(struct mr_worker_view *view); /* safe on a zeroed struct */

/* Takes a slot and an index for a new upload of that round with that random part (not zero); its
 * id, or 0 when there is no room. */
uint64_t mr_worker_view_admit(struct mr_worker_view *view, uint8_t round, uint32_t random,
                              uint64_t now_ms);
/* The upload, just admitted, was granted a window: it is fast until it is whole, ends, or _age. */
void mr_worker_view_granted(struct mr_worker_view *view, uint64_t upload_id);
/* Those that were admitted MR_WINDOW_TURN_MS ago or more are fast no longer: where others wait, the
 * worker leaves them the least window by now (session_credit.c). Returns how many milliseconds from
 * now on the next one is; UINT32_MAX: none is fast. */
uint32_t mr_worker_view_age(struct mr_worker_view *view, uint64_t now_ms);
/* NULL if the view knows no such upload. */
struct mr_worker_view_entry *mr_worker_view_find(const struct mr_worker_view *view,
                                                 uint64_t upload_id);
void mr_worker_view_staged(struct mr_worker_view *view, struct mr_worker_view_entry *entry);
/* It is a tombstone from now on; false if it was one already. */
bool mr_worker_view_ended(struct mr_worker_view *view, struct mr_worker_view_entry *entry);
/* The round is frozen: all of it that was receiving has ended. Returns how many. */
uint32_t mr_worker_view_end_receiving(struct mr_worker_view *view, uint8_t round);
/* The round is forgotten, tombstones as well. Slots are not given back: the worker says when. */
void mr_worker_view_end_round(struct mr_worker_view *view, uint8_t round);

#endif
