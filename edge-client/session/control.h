/* control.h - the device's questions to hubs, each with its answer decoded (inside session/ only).
 *
 * All return 0 (MRE_OK) for a good answer; otherwise the result, with outcome's text and,
 * for a refusal, client->refusal, outcome->code and outcome->retry_after_ms set. */
#ifndef MR_SESSION_CONTROL_H
#define MR_SESSION_CONTROL_H

#include "edge-client/session/client.h"

/* Connects to hub `position` of the pinned list where there is no connection that can be used: it
 * is kept then, for whatever is asked of that hub, until it fails or has rested for keep_ms. It may
 * be one that the device's other tasks use too (connections.h). */
enum mre_result mr_control_connect(struct mre_client *client, unsigned position,
                                   struct mre_outcome *outcome);
/* Likewise, again and again until the deadline. */
enum mre_result mr_control_reach(struct mre_client *client, unsigned position,
                                 uint64_t deadline_unix_ms, struct mre_outcome *outcome);
/* Forgets it, so that the next connection is another one, for the device's other tasks too; none
 * there is allowed. */
void mr_control_drop(struct mre_client *client, unsigned position);

#define MR_CONTROL_AGAIN_MS  200 /* where a busy hub names no time, or was cut off */
#define MR_CONTROL_AGAIN_MAX 32  /* times that a question is put again, or an upload begun again */

/* Whether a question with that result may be put again, after a pause that is over on return: a hub
 * that was cut off or is busy has said nothing. A hub that restarts takes up the same round, so the
 * same question is the right one. `times` (0 at first) counts those that were cut off, which is
 * bounded; NULL: as often as it takes. The pause is what a busy hub asked for, but ends with the
 * deadline. */
bool mr_control_again(struct mre_client *client, enum mre_result result, uint64_t deadline_unix_ms,
                      unsigned *times, const struct mre_outcome *outcome);

struct mr_question {
    const char *method;
    const char *path;
    const char *content_type; /* NULL: no body */
    const void *body;
    size_t length;
    size_t answer_max;
    uint64_t range_first; /* as mr_h2_request's */
    size_t range_bytes;
    unsigned wait_ms; /* how long the hub itself may wait before it answers */
    /* For what is large: as long as it moves it may take until then. 0: no longer than a timeout.
     */
    uint64_t until_unix_ms;
    struct mr_h2_room *room; /* as mr_h2_request's */
};

/* Asks hub `position`, connecting where need be. 0 for a 2xx answer, which is then owed a
 * mr_h2_response_fini. Codes that end the round become MRE_CLOSED, MRE_VOID, MRE_ALREADY_COUNTED. A
 * connection that failed is dropped; one that had served before and was closed meanwhile is made
 * anew and asked once more, without a word: hubs give up what rests. */
enum mre_result mr_control_ask(struct mre_client *client, unsigned position,
                               const struct mr_question *question, struct mr_h2_response *response,
                               struct mre_outcome *outcome);

/* GET the announcement of a round newer than the last finished one and check it against the pinned
 * hubs. MRE_NO_ROUND when none opens within wait_ms. */
enum mre_result mr_control_announcement(struct mre_client *client, unsigned wait_ms,
                                        struct mr_round_terms *terms, struct mre_outcome *outcome);

/* A sealed seed for one helper; the pointers are the caller's. */
struct mr_seed_for_helper {
    const struct mr_round_terms *terms;
    unsigned position;                     /* of the helper in the terms' list of hubs: >= 1 */
    const struct mr_seed_request *request; /* the same bytes for an attempt, however often */
};

/* POSTs a sealed seed to that helper. `receipt` comes filled as the device
 * computes it itself; the helper's has to say the same, and gives the signature. */
enum mre_result mr_control_seed(struct mre_client *client, const struct mr_seed_for_helper *sent,
                                struct mr_receipt *receipt, struct mre_outcome *outcome);

/* POSTs the receipts to the lead. */
enum mre_result mr_control_grant(struct mre_client *client, const struct mr_round_terms *terms,
                                 const struct mr_upload_request *request,
                                 struct mr_upload_grant *grant, struct mre_outcome *outcome);

/* PUTs a whole share. */
enum mre_result mr_control_put(struct mre_client *client, const struct mr_round_terms *terms,
                               uint64_t upload_id, const uint8_t *share,
                               struct mr_upload_status *status, struct mre_outcome *outcome);

/* GETs an upload's status, waiting up to wait_ms at the hub for committed or refused. */
enum mre_result mr_control_status(struct mre_client *client, const struct mr_round_terms *terms,
                                  uint64_t upload_id, unsigned wait_ms,
                                  struct mr_upload_status *status, struct mre_outcome *outcome);

/* GETs how a round ended, as hub `position` has it, waiting up to wait_ms there. */
enum mre_result mr_control_end(struct mre_client *client, unsigned position, uint64_t round,
                               unsigned wait_ms, struct mr_round_end *end,
                               struct mre_outcome *outcome);

#endif
