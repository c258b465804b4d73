/* keeper.h - keeps a task's folder within its limits and says how full the disk is: removes what is
 * over (model/retention.h) on the driver's job thread, watches the free space, and refuses a round
 * that the disk has no room for before it begins. One for each driver, lead and helper alike.
 * Loop's thread only. */
#ifndef MR_ROUND_DRIVE_KEEPER_H
#define MR_ROUND_DRIVE_KEEPER_H

#include "appliance/config/hub_config.h"
#include "appliance/observe/metrics.h"
#include "appliance/round/drive/audit_shelf.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/round/drive/round_history.h"
#include "appliance/runtime/job.h"
#include "wire/refusal.h"

struct mr_keeper;

struct mr_keeper_config {
    const struct mr_round_context
        *context;               /* the driver's: task, folder, loop, log, store, policy */
    struct mr_job_thread *jobs; /* the only one that writes the store */
    const struct mr_round_history *history;
    /* The model that a round which is signed, or being signed, begins with; NULL: none. */
    const uint8_t *(*parent)(void *driver);
    /* Asked now and then: the logs of a round that has ended may go, if it ended before that. NULL:
     * they stay. */
    void (*drop_logs)(void *driver, uint64_t ended_before_unix_ms);
    /* What is kept for audits, of which all goes that is over but a round's that has not ended (0:
     * there is none). */
    struct mr_audit_shelf *shelf;
    uint64_t (*under_way)(void *driver);
    void *driver;
};

/* The config's pointers are the caller's and outlive the keeper. NULL: out of memory. */
struct mr_keeper *mr_keeper_open(const struct mr_keeper_config *config);
/* Nothing begins any more. */
void mr_keeper_halt(struct mr_keeper *keeper);
/* When the job thread has ended and the loop has run what it posted. NULL allowed. */
void mr_keeper_close(struct mr_keeper *keeper);

/* A round has ended, or the limits have changed: looks soon. */
void mr_keeper_kick(struct mr_keeper *keeper);

/* What a round may write until it has ended: the next model, its sum, two generations of the log.
 */
uint64_t mr_keeper_round_bytes(uint64_t model_bytes, uint64_t share_bytes, uint32_t devices);
/* Whether the disk has room for that. False with the refusal filled. A disk that cannot be asked
 * has room: the write itself will tell. */
bool mr_keeper_has_room(struct mr_keeper *keeper, uint64_t bytes, struct mr_refusal *refusal);

/* An end that was not written, since the round has another one on record. */
void mr_keeper_count_kept(struct mr_keeper *keeper);

/* Of all tasks: one family each, the tasks' samples in it. */
void mr_keeper_metrics(struct mr_keeper *const *keepers, unsigned count,
                       struct mr_metrics *metrics);

#endif
