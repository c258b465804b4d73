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
    uint64_t number, unix_ms;       /* number 0: there was nothing new */
    struct mr_transcript_head head; /* once it is written: where the transcript stands */
    struct mr_transcript_past past;
};
/* What is new. _written is owed, or _lost where the job is not run or has failed. */
void mr_evidence_take(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip);
/* On the job thread. 0 or -1: the hub must not go on. */
int mr_evidence_write(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip,
                      struct mr_error *error);
/* It is durable: lets go of what waited for it. */
void mr_evidence_written(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip);
void mr_evidence_lost(struct mr_evidence_slip *slip);

/* Lets it go at once where all that the core knows is durable. Else holds it, and has what is
 * missing written. */
void mr_evidence_pass(struct mr_evidence_desk *desk, const struct mr_evidence_held *held);

/* Where the transcript stands, as far as it is durable. */
const struct mr_transcript_head *mr_evidence_head(const struct mr_evidence_desk *desk);
const struct mr_transcript_past *mr_evidence_past(const struct mr_evidence_desk *desk);
/* Another hub's word on where its own stands, verified: it is recorded, if it is further than what
 * is, before anything leaves that comes after this. */
void mr_evidence_hear(struct mr_evidence_desk *desk, const struct mr_standing *standing);
/* The furthest that hub has said. NULL: nothing. */
const struct mr_standing *mr_evidence_heard(const struct mr_evidence_desk *desk, uint16_t hub);

/* Before the first job, or on its thread: the end of a round that an earlier process brought to its
 * end, if the transcript has none of it. 0 or -1. */
int mr_evidence_complete(struct mr_evidence_desk *desk, const struct mr_round_facts *facts,
                         struct mr_error *error);

/* Before the first job. Whether the transcript has this hub's word for a set of the round, the
 * newest one. */
bool mr_evidence_has_set(const struct mr_evidence_desk *desk, uint64_t round);
/* Before the first job. What the transcript, and nothing else any more, has of the newest round. */
struct mr_evidence_left {
    struct mr_round_terms terms; /* as this hub signed them */
    bool listed;                 /* there was a list to draw its set from */
    bool set;                    /* there was one */
    bool opened;                 /* this hub has opened its result, or was about to */
    bool model;                  /* it has led to one */
};
/* False: it is not the newest round, or the terms are not there. */
bool mr_evidence_left(const struct mr_evidence_desk *desk, uint64_t round,
                      struct mr_evidence_left *left);
/* On the job thread: adds a record of the hub itself, durably. 0 or -1. */
int mr_evidence_add(struct mr_evidence_desk *desk, enum mr_evidence_kind kind, const uint8_t *body,
                    size_t length, struct mr_error *error);

#endif
