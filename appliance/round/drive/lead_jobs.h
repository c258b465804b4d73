/* lead_jobs.h - what the lead does on its job thread: jobs of one shape. Shared by the lead_*.c
 * files only. */
#ifndef MR_ROUND_DRIVE_LEAD_JOBS_H
#define MR_ROUND_DRIVE_LEAD_JOBS_H

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/reveal.h"

/* Every job of the lead; the fields that a kind does not use are zero. */
struct mr_lead_job {
    struct mr_lead_driver *run;
    int result;
    struct mr_error error;
    struct mr_commit_state state;
    struct mr_reveal reveal; /* of another job that keeps the model: `made` of it */
    struct mr_publication publication;
    struct mr_round_summary summary; /* of a round that ends */
    char *text;                      /* owned */
    bool opened;                     /* of a void round: some hub may have opened it */
    struct mr_evidence_slip slip;    /* of jobs that mr_lead_job_finish ends */
};

/* A copy of `with` is done: `work` on the job thread, then `done` on the loop's, both with the
 * copy, which `done` frees. Not of a hub that stops: the core waits for ever, which is what such a
 * hub wants. */
void mr_lead_job_start(struct mr_lead_driver *run, const struct mr_lead_job *with, mr_loop_fn work,
                       mr_loop_fn done);
/* … and what the core knows by now is to go into the transcript: `work` writes the slip. */
void mr_lead_job_start_noting(struct mr_lead_driver *run, const struct mr_lead_job *with,
                              mr_loop_fn work, mr_loop_fn done);
/* Frees the job. False where it failed: the hub must not go on, and has been told so. */
bool mr_lead_job_finish(struct mr_lead_job *job, const char *what);

#endif
