/* recovery.h - what `millrace recover` does at a hub that has found itself older (task/age.h), once
 * its operator knows what it costs. The round that its files have is void, and counts as opened;
 * its transcript says that it recovered; and no model that the hub has is signed on again: the task
 * goes on with a version whose name has the recovery's code in it, which nobody can have opened a
 * set on. */
#ifndef MR_ROUND_DRIVE_RECOVERY_H
#define MR_ROUND_DRIVE_RECOVERY_H

#include "appliance/round/drive/evidence_desk.h"
#include "appliance/task/age.h"
#include "wire/refusal.h"

/* A helper's numbers follow the lead's; a lead cannot know how many it has used up, and goes on
 * beyond what it may have signed, by so many and a random number below _SPREAD: two lives that go
 * on from one copy, where no other hub remembers the first, hardly meet. */
#define MR_RECOVERY_LEAD_JUMP   (UINT64_C(1) << 16)
#define MR_RECOVERY_LEAD_SPREAD (UINT64_C(1) << 18)
/* How far beyond its own newest number a lead that has recovered follows what other hubs say of
 * theirs: none shuts the rest of the numbers to it. With both above still within what a helper
 * takes (propose.c). */
#define MR_RECOVERY_HEARD_MAX (UINT64_C(1) << 19)

/* The number of the next round: the one after the last that this lead signed. Once it has recovered
 * and a helper has a higher one on record, beyond that as above: the helper may have lost those
 * that came after it, too. */
uint64_t mr_recovery_next_round(const struct mr_round_context *context,
                                const struct mr_evidence_desk *desk);

struct mr_recovery_config {
    const struct mr_round_context *context;
    struct mr_evidence_desk *desk;
    struct mr_job_thread *jobs;
    const struct mr_round_terms *terms; /* of the round in this hub's files; NULL: none */
    bool leads;                         /* numbers are left out */
    bool halted;                        /* the task goes on with the next start of the hub only */
    int (*wipe)(void *driver, struct mr_error *error); /* on the job thread: journal or log */
    void (*recovered)(void *driver, const struct mr_recovered *recovered);
    void *driver;
};

#define MR_RECOVERY_REASON_BYTES 200
/* Why a round that was left is void. */
void mr_recovery_reason(char reason[MR_RECOVERY_REASON_BYTES]);

/* The operator's answer: result -1: the hub must not go on. */
typedef void (*mr_recovery_fn)(void *context, void *token, int result,
                               const struct mr_recovered *recovered, bool halted,
                               const struct mr_error *error);

/* Refuses where there is nothing to recover, and with what it costs where that was not accepted. */
enum mr_refusal_code mr_recovery_check(const struct mr_round_context *context, bool accepted,
                                       struct mr_refusal *refusal);
/* What was checked is done: fn answers in a later turn of the loop. */
void mr_recovery(const struct mr_recovery_config *config, mr_recovery_fn fn, void *fn_context,
                 void *token);

#endif
