/* lead_driver_internal.h - the lead at work, shared by the lead_run*.c files only. */
#ifndef MR_ROUND_DRIVE_LEAD_DRIVER_INTERNAL_H
#define MR_ROUND_DRIVE_LEAD_DRIVER_INTERNAL_H

#include "appliance/round/drive/lead_log.h"
#include "appliance/round/drive/lead_driver.h"
#include "appliance/round/drive/peer_link.h"
#include "appliance/model/reveal.h"
#include "appliance/runtime/job.h"

struct mr_lead_driver {
    struct mr_round_context context;
    struct mr_lead_listener listener;
    struct mr_lead *core;
    struct mr_upload_plane *plane;
    struct mr_peer_link *links[MR_HUBS_MAX]; /* by position; 0 unused */
    struct mr_timer *timer;
    struct mr_timer *automatic; /* opens the next round */
    struct mr_job_thread *jobs;
    bool stopping;
    struct {
        uint32_t peer_timeout_ms;
        float server_learning_rate;
    } rules; /* of the policy that the round was opened under */

    /* The round's sum: the job thread's while a job runs, else the loop's. */
    struct mr_disk_file *disk;
    struct mr_commit_log *log;
    struct mr_vector_sum sum;
    uint8_t *packed;                  /* share bytes; after the last commit this hub's result */
    struct mr_collection *collection; /* held between collect and return */
    struct mr_reveal_answer revealed; /* between reveal and store */

    /* For reports. */
    enum mr_lead_state last_state;
    struct mr_round_history history[MR_ROUND_HISTORY_MAX];
    unsigned history_count; /* all ever; the place is modulo the size */
    uint64_t published, voids[MR_VOID_KINDS], committed, included;
    double publish_seconds_last, publish_seconds_sum;
};

/* lead_jobs.c: actions of the core that take long. */
void lead_driver_remember(void *context, const struct mr_commit_state *state);
void lead_driver_commit(void *context, const struct mr_commit_state *state);
void lead_driver_end(void *context);
void lead_driver_reveal(void *context, const uint8_t *const *results, uint32_t included_count);
void lead_driver_store(void *context, const struct mr_publication *publication);
/* Zeroed memory for a round's sum. 0 or -1. */
int lead_driver_reserve(struct mr_lead_driver *run, const struct mr_layout *layout);

/* lead_driver_boot.c: opens the commit log and takes up the round that is in it. */
int lead_driver_boot(struct mr_lead_driver *run, struct mr_error *error);

/* lead_report.c: the core has news. */
void lead_driver_note(struct mr_lead_driver *run);

#endif
