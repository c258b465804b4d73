/* attempt_internal.h - one attempt's own state, shared by the attempt*.c files only. */
#ifndef MR_SESSION_ATTEMPT_INTERNAL_H
#define MR_SESSION_ATTEMPT_INTERNAL_H

#include "edge-client/session/attempt.h"
#include "edge-client/session/control.h"

struct attempt {
    struct mre_client *client;
    struct mr_round_work *work;
    struct mre_outcome *outcome;
    struct mr_upload_request request;              /* its number, transport, receipts */
    uint8_t seeds[MR_HUBS_MAX - 1][MR_SEED_BYTES]; /* until they are sealed */
    struct mr_seed_request sealed[MR_HUBS_MAX - 1];
    uint8_t seed_hashes[MR_HUBS_MAX - 1][MR_HASH_BYTES]; /* for proofs */
    uint8_t *share; /* pages; frozen from before the first send */
    struct mr_upload_grant grant;
    struct mr_upload_status status;
    bool cut; /* the connection was lost between the grant and its keys */
};

static inline uint64_t mr_attempt_deadline(const struct attempt *a)
{
    return a->work->terms.announcement.deadline_unix_ms;
}

/* Whether a question is asked once more, after the pause that it takes. */
static inline bool mr_attempt_asks_again(struct attempt *a, enum mre_result result, unsigned *times)
{
    return mr_control_again(a->client, result, mr_attempt_deadline(a), times, a->outcome);
}

/* attempt_share.c: rounds, lifts, noises and masks with randomness that serves this attempt only.
 * What it takes is a->share and a->seeds, the caller's to give and to wipe in any case. */
enum mre_result mr_attempt_make_share(struct attempt *a);

/* attempt_upload.c: sends the share by the request's transport, under the grant. How that ended is
 * a->status; RECEIVING: nothing was heard of it. */
enum mre_result mr_attempt_upload(struct attempt *a);

#endif
