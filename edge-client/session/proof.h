/* proof.h - what this device sent in a round with audit_hours, and whether every hub proves that it
 * counted exactly that (inside session/ only). */
#ifndef MR_SESSION_PROOF_H
#define MR_SESSION_PROOF_H

#include "edge-client/session/client.h"

/* An attempt begins, of which nothing is noted. The first one of a round says which attempts are
 * not known here. */
void mr_proof_begin(struct mre_client *client, const struct mr_round_terms *terms,
                    uint32_t attempt);
/* The lead takes an attempt, and its seeds are with the helpers: from now on it may be counted.
 * Nothing where the terms have no audit_hours. Hashes (seed_hashes: of the helpers', in list order)
 * are remembered, in memory only; an attempt is hashed once, however often it is brought over. */
void mr_proof_note(struct mre_client *client, const struct mr_round_terms *terms, uint32_t attempt,
                   uint8_t (*seed_hashes)[MR_HASH_BYTES], const uint8_t *share);

/* The round made a model: asks every hub for its proof. Adds to the outcome's text that all prove
 * it, or sets its warning, which names the hub that does not. What counts may be an attempt of a
 * process before this one, and is no lie then: the text says that it could not be checked. Nothing
 * of a round that did not begin here. */
void mr_proof_check(struct mre_client *client, uint64_t round, struct mre_outcome *outcome);

#endif
