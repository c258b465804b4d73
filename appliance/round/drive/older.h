/* older.h - what a hub that is older than itself (task/age.h) does not do, as refusals. For lead
 * and helper alike; loop's thread only. */
#ifndef MR_ROUND_DRIVE_OLDER_H
#define MR_ROUND_DRIVE_OLDER_H

#include "appliance/round/drive/round_context.h"
#include "wire/refusal.h"

struct mr_job_thread;
struct mr_older;

/* Whether this hub is older than itself in the task: then it signs and answers nothing. */
bool mr_older(const struct mr_round_context *context);
/* Fills the refusal that says so, and what its operator has to do; returns its code. */
enum mr_refusal_code mr_older_refuse(const struct mr_round_context *context,
                                     struct mr_refusal *refusal);

/* Whether a round may begin with that model after a recovery: the version that goes on from it is
 * there, and a parent of it is asked for by nobody. `parent`: the round is to begin with the
 * current model's parent. False with the refusal filled. */
bool mr_older_may_begin(const struct mr_round_context *context, bool parent,
                        struct mr_refusal *refusal);

/* The hub has found that it is older: from now on mr_older says so, and the log. Written down on
 * the thread, before all that it has not done yet; NULL: before this returns. A disk that does not
 * take it is fatal. */
void mr_older_found(const struct mr_round_context *context, struct mr_job_thread *jobs,
                    const struct mr_older *older);

#endif
