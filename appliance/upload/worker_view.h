/* worker_view.h - what the control thread knows of one worker's sessions: which indices are in use, how
 * many slots are free. It chooses upload ids from this, so that admitting needs no answer from the
 * worker. Loop thread only; no I/O. */
#ifndef MR_UPLOAD_WORKER_VIEW_H
#define MR_UPLOAD_WORKER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum mr_mirror_state {
    MR_MIRROR_NONE = 0,
    MR_MIRROR_RECEIVING,
    MR_MIRROR_STAGED,
    MR_MIRROR_ENDED, /* a tombstone at the worker: the index may be used again */
};

struct mr_mirror_entry {
    uint64_t upload_id;
    uint64_t since_ms; /* admitted; over HTTP/2: or heard of last */
    uint8_t state;     /* enum mr_mirror_state */
    bool revoking;     /* asked, not answered yet */
    bool committed;    /* ended well */
};

struct mr_mirror {
    struct mr_mirror_entry *entries;
    uint32_t *unused; /* stack of indices never used in this round */
    uint32_t *ended;  /* ring of tombstones, oldest first */
    uint32_t sessions, slots;
    uint32_t unused_count, ended_head, ended_count;
    uint32_t slots_free;
    uint32_t receiving;
    uint8_t lane;
};

int mr_mirror_open(struct mr_mirror *mirror, uint8_t lane, uint32_t sessions, uint32_t slots);
void mr_mirror_close(struct mr_mirror *mirror); /* safe on a zeroed struct */
void mr_mirror_begin(struct mr_mirror *mirror); /* everything is free again */

/* Takes a slot and an index for a new upload with that random part (not zero); its id, or 0 when
 * there is no room. */
uint64_t mr_mirror_admit(struct mr_mirror *mirror, uint32_t random, uint64_t now_ms);
/* NULL if the mirror knows no such upload. */
struct mr_mirror_entry *mr_mirror_find(const struct mr_mirror *mirror, uint64_t upload_id);
void mr_mirror_staged(struct mr_mirror *mirror, struct mr_mirror_entry *entry);
void mr_mirror_ended(struct mr_mirror *mirror, struct mr_mirror_entry *entry);
/* Frozen: everything that was receiving has ended. */
void mr_mirror_end_receiving(struct mr_mirror *mirror);

#endif
