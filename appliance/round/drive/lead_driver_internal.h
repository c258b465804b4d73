/* lead_driver_internal.h - the lead at work, shared by the lead_*.c files only. */
#ifndef MR_ROUND_DRIVE_LEAD_DRIVER_INTERNAL_H
#define MR_ROUND_DRIVE_LEAD_DRIVER_INTERNAL_H

#include "appliance/round/drive/audit_shelf.h"
#include "appliance/round/drive/evidence_desk.h"
#include "appliance/round/drive/round_debit.h"
#include "appliance/round/drive/lead_log.h"
#include "appliance/round/drive/lead_driver.h"
#include "appliance/round/drive/peer_link.h"
#include "appliance/model/next_model.h"
#include "appliance/round/drive/recovery.h"
#include "appliance/runtime/job.h"

/* A round that was given up is not followed by the next one at once; where one after the other is,
 * because of this hub or another, the pause doubles. */
#define MR_LEAD_PAUSE_MS      1000u
#define MR_LEAD_PAUSE_MOST_MS 300000u

/* Answers longer than what a question needs: a refusal's body. */
#define MR_LEAD_REFUSAL_BYTES_MAX 8192u

/* Further apart, two hubs' clocks are worth a line in the log. */
#define MR_CLOCK_MS_MAX 5000

struct mr_lead_driver {
    struct mr_round_context context;
    struct mr_lead_listener listener;
    struct mr_lead *core;
    struct mr_plane_round *round;            /* of context.plane; NULL before the first round */
    struct mr_peer_link *links[MR_HUBS_MAX]; /* by position; 0 unused */
    /* By position: whether the hub has said, since this one started, where they stand; and the
     * proposal that waits for that. */
    bool stood[MR_HUBS_MAX];
    struct {
        uint64_t round;
        uint8_t *body; /* owned */
        size_t length;
    } proposals[MR_HUBS_MAX];
    struct mr_timer *timer;
    struct mr_timer *automatic;  /* opens the next round */
    unsigned automatic_failures; /* rounds in a row that failed, or were not opened */
    uint64_t automatic_pause_ms; /* before the next round; 0: none */
    char not_opened[400];        /* why, the last time */
    uint64_t stopped_after;      /* early_stop.h */
    struct mr_job_thread *jobs;
    struct mr_keeper *keeper; /* NULL: no limits */
    bool stopping;
    /* Of a hub that is older than itself: the round in its files, which it does not take up. */
    struct mr_round_terms left;
    bool has_left, recovering;
    /* While it recovers: the helpers that have not said yet what they remember, a bit by position,
     * and who waits for that. */
    struct {
        unsigned hubs;
        void *token;
    } learning;
    struct mr_store_desk *store_desk;
    bool resuming; /* another model is being made the current one: no round begins */
    struct {
        uint32_t peer_timeout_ms;
    } rules; /* of the policy that the round was opened under */

    /* The round's sum: the job thread's while a job runs, else the loop's. */
    struct mr_evidence_desk *desk;
    struct mr_audit_shelf *shelf;
    struct mr_disk_file *disk;
    struct mr_commit_log *log;
    bool log_dropped; /* of a round that ended long ago */
    struct mr_vector_sum sum;
    uint8_t *packed; /* share bytes, perhaps the sum's own lanes; in the end this hub's result */
    struct mr_noise_tables *noise; /* the job thread's */
    struct mr_round_debit debit;
    struct mr_collection *collection; /* held between collect and return */
    struct mr_made_model *made;       /* between reveal and store; NULL: none */

    /* For reports. */
    enum mr_lead_state last_state;
    char void_reason[300];           /* of the last void round; "": the last one was none */
    char waits_said[300];            /* for which hub, and why, as logged; "": for none */
    bool clock_differs[MR_HUBS_MAX]; /* that is said of the hub at that position */
    unsigned void_repeats;           /* void rounds in a row for that reason, after the first */
    struct mr_round_history history;
    uint32_t committed_seen, unsound_seen; /* of the current round, counted already */
    uint64_t published, voids[MR_VOID_KINDS], committed, unsound, included;
    double publish_seconds_last, publish_seconds_sum;
    struct mr_round_stopwatch watch; /* of the round under way */
    struct mr_histogram stages[MR_ROUND_STAGES];
};

/* lead_report.c: monotonic, for durations. */
uint64_t mr_lead_driver_now_us(void);

/* Files of the lead driver, from the ground up; each uses only those above it in this list.
 *
 * lead_report.c: the core has news; the round's summary as it is now. */
void mr_lead_driver_note(struct mr_lead_driver *run);
/* Whether a hub's clock is far from this one's: said when that changes. */
void mr_lead_driver_look_at_clock(struct mr_lead_driver *run, unsigned peer);
/* Openings were asked for, and another hub's answer is out: no time ends the round. */
bool mr_lead_driver_waits(const struct mr_lead_report *report);
/* A round that waits for a hub for as long as it takes says so: when that begins, and when the
 * reason is another. */
void mr_lead_driver_tell_waiting(struct mr_lead_driver *run);
void mr_lead_driver_summarise(struct mr_lead_driver *run, struct mr_round_summary *summary);

/* lead_jobs.c: actions of the core that take long; how a round begins and ends on the disk. */
void mr_lead_driver_remember(void *context, const struct mr_commit_state *state);
void mr_lead_driver_end(void *context);
/* The log of a round that ended before that goes, overwritten. The context is a driver. */
void mr_lead_driver_drop_log(void *context, uint64_t ended_before_unix_ms);

/* lead_reveal.c: likewise; the next model. */
void mr_lead_driver_reveal(void *context, const uint8_t *const *results, uint32_t included_count);
void mr_lead_driver_store(void *context, const struct mr_publication *publication);

/* lead_commit.c: likewise; the sum. */
void mr_lead_driver_commit(void *context, const struct mr_commit_state *state);
/* Zeroed memory for a round's sum. 0 or -1. */
int mr_lead_driver_reserve(struct mr_lead_driver *run, const struct mr_layout *layout);
void mr_lead_driver_drop_sum(struct mr_lead_driver *run);

/* lead_boot.c: opens the commit log and takes up the round that is in it. */
int mr_lead_driver_boot(struct mr_lead_driver *run, struct mr_error *error);

/* lead_older.c: halting; what another hub says beside its answer, which may show that this hub is
 * older than itself: then false, and nothing goes on. A hub that is already learns from it. */
bool mr_lead_driver_hear(struct mr_lead_driver *run, const struct mr_peer_answer *answer);

/* lead_begin.c: what the round goes by until it ends, whatever the policy becomes meanwhile. */
void mr_lead_driver_take_rules(struct mr_lead_driver *run);

/* lead_automatic.c: the next round, after a change of state; now, as of a new policy; the timer. */
void mr_lead_driver_plan_next(struct mr_lead_driver *run, const struct mr_lead_report *report);
void mr_lead_driver_plan_now(struct mr_lead_driver *run);
void mr_lead_driver_on_automatic(void *context);

/* lead_evidence.c: the desk that questions pass. */
int mr_lead_driver_open_desk(struct mr_lead_driver *run, struct mr_error *error);
/* The proposal that waited until the hub had said where it stands. */
void mr_lead_driver_propose(struct mr_lead_driver *run, unsigned peer);

/* lead_actions.c: all that the core asks for; the context is a struct mr_lead_driver. */
extern const struct mr_lead_ops mr_lead_driver_ops;
/* The devices of the round before have had until now to hear how it ended. */
void mr_lead_driver_end_plane_round(struct mr_lead_driver *run);

/* lead_driver.c opens and closes, and is above all. */

/* lead_store.c. No round is under way; the desk of what operators ask of the store. */
bool mr_lead_driver_between_rounds(const struct mr_lead_driver *run);
int mr_lead_driver_open_store_desk(struct mr_lead_driver *run, struct mr_error *error);

#endif
