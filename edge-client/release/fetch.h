/* fetch.h - what every hub says of the newest release, judged, and its model (inside edge-client/
 * only). */
#ifndef MR_EDGE_RELEASE_FETCH_H
#define MR_EDGE_RELEASE_FETCH_H

#include "edge-client/release/slots.h"
#include "edge-client/session/client.h"
#include "wire/release_trust.h"

/* How a model came. */
struct mr_release_fetched {
    bool by_delta;
    enum mr_slot into;
    uint64_t bytes; /* of the delta, or of the blocks that were missing */
};

struct mr_release_answers {
    uint8_t *bytes[MRE_HUBS_MAX]; /* malloc'd; what `list` points into */
    struct mr_signed_release list[MRE_HUBS_MAX];
    unsigned count;
    uint64_t next_key[MRE_HUBS_MAX]; /* by position: the hub's newest statement of next keys */
};

/* Asks all hubs; a first one for up to wait_ms until it has a version above `after`. MRE_OK where
 * at least one has said something, else how the last one failed. mr_release_answers_fini is owed
 * either way. */
enum mre_result mr_release_gather(struct mr_release_answers *answers, struct mre_client *client,
                                  const struct mr_release_version *after, unsigned wait_ms,
                                  struct mre_outcome *outcome);
void mr_release_answers_fini(struct mr_release_answers *answers);

/* The release's model into the next one's place, by delta from the active copy, or into the slots'
 * `part`, whole; verified and synced. What is whole may take long: what is unsaved is saved
 * before. */
enum mre_result mr_release_fetch(struct mre_client *client, const struct mr_release *release,
                                 struct mr_slots *slots, struct mr_release_fetched *fetched,
                                 struct mre_outcome *outcome);

/* report.c. Every hub hears how it went with the release before, if that is owed. What no hub could
 * be asked stays owed: it never fails a pull. */
void mr_release_report(struct mre_client *client, struct mr_slots *slots);

/* --- below the latter ------------------------------------------------------------------------- */
#define MR_RELEASE_MODEL_MS (24u * 3600 * 1000) /* a model may take so long while it moves */

/* fetch_whole.c. In pieces. Bytes that came are added to *bytes. */
enum mre_result mr_release_whole(struct mre_client *client, const struct mr_release *release,
                                 const struct mr_slots *slots, uint64_t *bytes,
                                 struct mre_outcome *outcome);

#endif
