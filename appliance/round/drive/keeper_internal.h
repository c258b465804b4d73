/* keeper_internal.h - the keeper, shared by the keeper*.c files only. */
#ifndef MR_ROUND_DRIVE_KEEPER_INTERNAL_H
#define MR_ROUND_DRIVE_KEEPER_INTERNAL_H

#include "appliance/model/retention.h"
#include "appliance/round/drive/keeper.h"

struct mr_keeper {
    struct mr_keeper_config config;
    struct mr_timer *timer;
    bool stopping, running, kicked;
    uint64_t last_ms;                /* when the last pass ended */
    struct mr_survey survey;         /* of the last pass: the job thread's while a job runs */
    uint64_t free_bytes, size_bytes; /* size 0: not known */
    uint64_t round_bytes;            /* of the last round that room was asked for; 0: none yet */
    uint64_t removed[MR_STORED_KINDS], removed_bytes;
    uint64_t records_kept;
    struct mr_audit_kept audits; /* of the last pass */
    bool low;                    /* said so */
    bool failed;                 /* said so */
};

/* keeper_room.c: what the next round takes, by the last one or by what the folder holds. */
uint64_t mr_keeper_next_round_bytes(const struct mr_keeper *keeper);
/* Says when the disk's room gets short, and when it does no longer. */
void mr_keeper_watch_space(struct mr_keeper *keeper);

#endif
