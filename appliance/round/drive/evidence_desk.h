/* evidence_desk.h - nothing that a round makes a hub say leaves before it is in the hub's
 * transcript.
 *
 * A driver takes a slip with each of its jobs: what its core knows and the transcript does not yet.
 * The job writes the slip, so that mostly nobody waits for a sync more. Whatever would leave before
 * its facts are durable is held here, in order, and let go afterwards. Loop's thread, unless it is
 * said. One for each driver. */
#ifndef MR_ROUND_DRIVE_EVIDENCE_DESK_H
#define MR_ROUND_DRIVE_EVIDENCE_DESK_H

#include "appliance/privacy/transcript_file.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/runtime/job.h"

struct mr_evidence_desk;

/* An answer of a helper or a question of a lead; what a role does not use is zero. */
struct mr_evidence_held {
    void *token;
    bool json;
    unsigned peer;
    int step; /* enum mr_peer_step */
    uint64_t round;
    const uint8_t *body; /* copied when held; NULL: none */
    size_t length;
};

struct mr_evidence_desk_config {
    const struct mr_round_context *context; /* task, folder, key, what is fatal */
    struct mr_job_thread *jobs;             /* the driver's; the only one that writes */
    void (*facts)(void *driver, struct mr_round_facts *facts);
    void (*let_go)(void *driver, const struct mr_evidence_held *held);
    void (*drop)(void *driver, const struct mr_evidence_held *held); /* the hub stops */
    void *driver;
};

/* Opens the transcript in the task's folder. The config's pointers outlive the desk. 0, or -1 with
 * an error. */
int mr_evidence_desk_open(struct mr_evidence_desk **desk,
                          const struct mr_evidence_desk_config *config, struct mr_error *error);
/* Drops what is held; nothing is held any more. */
void mr_evidence_desk_halt(struct mr_evidence_desk *desk);
void mr_evidence_desk_close(struct mr_evidence_desk *desk); /* the jobs have ended; NULL allowed */

struct mr_evidence_slip {
    struct mr_facts_batch batch;
    uint64_t number, unix_ms; /* number 0: there was nothing new */
};
/* What is new. _written is owed, or _lost where the job is not run or has failed. */
void mr_evidence_take(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip);
/* On the job thread. 0 or -1: the hub must not go on. */
int mr_evidence_write(struct mr_evidence_desk *desk, const struct mr_evidence_slip *slip,
                      struct mr_error *error);
/* It is durable: lets go of what waited for it. */
void mr_evidence_written(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip);
void mr_evidence_lost(struct mr_evidence_slip *slip);

/* Lets it go at once where all that the core knows is durable. Else holds it, and has what is
 * missing written. */
void mr_evidence_pass(struct mr_evidence_desk *desk, const struct mr_evidence_held *held);

/* Before the first job: the end of a round that an earlier process brought to its end, if the
 * transcript has none of it. 0 or -1. */
int mr_evidence_complete(struct mr_evidence_desk *desk, const struct mr_round_facts *facts,
                         struct mr_error *error);

#endif
