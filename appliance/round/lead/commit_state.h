/* commit_state.h - the lead's round as bytes for its commit log (storage/commit_log.h adds
 * generation and checksum): everything that a restarted lead needs to take up the same round where
 * it was. Sans-IO: bytes in, state out.
 *
 * Layout, little-endian: phase u32 | quorum u32 | deadline_ms u32 | envelope_bytes u32 | included
 * count u32 | zero u32 | share_bytes u64 | nonce 32 | envelope | entries (client16 ‖ be32(attempt)
 * ‖ be64(upload id) ‖ serial20) | sum as share bytes.
 *
 * The sum is of masked shares: by itself it is uniformly random. */
#ifndef MR_ROUND_LEAD_COMMIT_STATE_H
#define MR_ROUND_LEAD_COMMIT_STATE_H

#include "base/error.h"
#include "wire/exchange.h"

enum mr_commit_phase {
    MR_COMMIT_PROPOSED = 1, /* the terms are fixed and may be signed: no signatures yet */
    MR_COMMIT_OPEN,         /* every hub has signed */
    MR_COMMIT_FROZEN,       /* the set is final, and the nonce of this hub's commitment */
};

struct mr_commit_state {
    enum mr_commit_phase phase;
    uint32_t quorum, deadline_ms;
    /* be16(length) ‖ canonical bytes; from OPEN on with every signature: the signed envelope. */
    const uint8_t *envelope;
    uint32_t envelope_bytes;
    const struct mr_included *included; /* in the order of their commits; clients are distinct */
    const uint64_t *upload_ids;         /* likewise */
    const struct mr_serial *serials;    /* of the certificates they came with, likewise */
    uint32_t included_count;
    uint8_t nonce[MR_NONCE_BYTES]; /* zero before FROZEN */
    const uint8_t *sum;            /* over the included uploads, packed; none for nobody */
    uint64_t share_bytes;          /* 0 exactly when nobody is included */
};

size_t mr_commit_state_bytes(const struct mr_commit_state *state);
void mr_commit_state_encode(uint8_t *out, const struct mr_commit_state *state);

/* A state that was read. `state` points into the bytes and at the arrays. */
struct mr_commit_read {
    struct mr_commit_state state;
    struct mr_round_terms terms;
    struct mr_included *included; /* malloc'd */
    uint64_t *upload_ids;         /* malloc'd */
    struct mr_serial *serials;    /* malloc'd */
    uint8_t *bytes;               /* malloc'd by whoever read the file; NULL: the caller's */
};

/* Takes exactly what the encoder writes for a valid state: -1 for anything else, with a text. The
 * bytes must outlive the result; mr_commit_read_fini is owed for 0. */
int mr_commit_state_parse(struct mr_commit_read *read, const uint8_t *bytes, size_t length,
                          struct mr_error *error);
void mr_commit_read_fini(struct mr_commit_read *read);

#endif
