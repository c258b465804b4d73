/* helper_driver_internal.h - the helper at work, shared by the helper_*.c files only. */
#ifndef MR_ROUND_DRIVE_HELPER_DRIVER_INTERNAL_H
#define MR_ROUND_DRIVE_HELPER_DRIVER_INTERNAL_H

#include "appliance/round/drive/audit_shelf.h"
#include "appliance/round/drive/round_debit.h"
#include "appliance/round/drive/evidence_desk.h"
#include "appliance/round/drive/helper_driver.h"
#include "appliance/round/drive/helper_journal.h"
#include "appliance/round/drive/recovery.h"
#include "appliance/runtime/job.h"

/* Records that wait for the next sync: while one is under way, all that come share the next. */
struct helper_records {
    uint8_t *bytes; /* secret */
    size_t length, capacity;
};

struct mr_helper_driver {
    struct mr_round_context context;
    struct mr_helper_listener listener;
    struct mr_helper *core;
    struct mr_job_thread *jobs;
    struct mr_keeper *keeper; /* NULL: no limits */
    struct mr_store_desk *store_desk;
    bool stopping;
    enum mr_helper_state last_state;
    uint64_t last_round;
    uint64_t last_terms;   /* the round whose terms were looked at */
    char differences[512]; /* of the terms signed last and this hub's own, as logged */
    uint64_t signed_total, revealed_total, void_total, lead_gone_total;
    struct mr_timer *timer; /* to look whether the lead counts as gone … */
    uint64_t not_before_ms; /* … not before that, whatever the wall clock says */
    struct mr_helper_last
        last_life; /* the round that was given up, as found when the hub started */

    uint64_t refused[MR_REFUSAL_UNKNOWN + 1]; /* to other hubs, by code */
    uint64_t bad_seeds;                       /* of devices */
    uint32_t bad_seeds_seen;                  /* of the current round, counted already */
    struct mr_round_history history;

    struct mr_noise_tables *noise; /* the job thread's */
    struct mr_round_debit debit;
    struct mr_evidence_desk *desk;
    struct mr_audit_shelf *shelf;
    struct mr_disk_file *disk;
    struct mr_journal *journal; /* the job thread's while a job runs */
    struct helper_records records;
    bool appending;
    uint64_t asked; /* saves and appends of the core so far */

    /* Of a hub that is older than itself: the round in its files, which it does not take up. */
    struct mr_round_terms left;
    bool has_left, recovering;

    uint64_t ending; /* the round whose end is not durable yet; 0: none */
};

/* Files of the helper driver, from the ground up; each uses only those above it in this list.
 *
 * helper_report.c: the core has news; the round's summary as it is now. */
void mr_helper_driver_note(struct mr_helper_driver *run);
void mr_helper_driver_summarise(struct mr_helper_driver *run, struct mr_round_summary *summary);

/* helper_disk.c: actions of the core on its journal. */
/* Measured from now on: the round is new, or was found on the disk. */
void mr_helper_driver_wait_for_lead(struct mr_helper_driver *run, bool found);
void mr_helper_driver_save(void *context, const struct mr_journal_state *state);
void mr_helper_driver_append(void *context, const uint8_t *record, size_t length);
void mr_helper_driver_forget(void *context);
void mr_helper_driver_disk_close(struct mr_helper_driver *run);

/* helper_terms.c: whether this hub signs terms, and has room for such a round; the context is a
 * driver. */
bool mr_helper_driver_accepts(void *context, const struct mr_round_terms *terms,
                              struct mr_refusal *refusal);
bool mr_helper_driver_has_room(void *context, const struct mr_round_terms *terms,
                               struct mr_refusal *refusal);

/* helper_evidence.c: the desk that answers pass; the round that has not ended, 0: none. */
uint64_t mr_helper_driver_round_under_way(void *context);
int mr_helper_driver_open_desk(struct mr_helper_driver *run, struct mr_error *error);

/* helper_store.c */
int mr_helper_driver_open_store_desk(struct mr_helper_driver *run, struct mr_error *error);

/* helper_older.c: halting; what the hub does that is older than itself. */

/* helper_boot.c: opens the journal and takes up the round that is in it. */
int mr_helper_driver_boot(struct mr_helper_driver *run, struct mr_error *error);

/* helper_expand.c and helper_reveal.c: actions of the core that take long. */
void mr_helper_driver_expand(void *context, const struct mr_round_terms *terms,
                             struct mr_expansion *list, uint32_t count);
void mr_helper_driver_reveal(void *context, const struct mr_round_terms *terms,
                             const uint8_t *const *results, uint32_t included_count);

/* helper_actions.c: all that the core asks for; the timer, which looks whether the lead counts as
 * gone. The context is a struct mr_helper_driver. */
extern const struct mr_helper_ops mr_helper_driver_ops;
void mr_helper_driver_tick(void *context);

/* helper_driver.c opens and closes, and is above all. */

#endif
