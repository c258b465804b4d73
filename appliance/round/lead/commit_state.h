/* commit_state.h - the lead's round as bytes for its commit log (storage/commit_log.h adds
 * generation and checksum): everything that a restarted lead needs to take up the same round where
 * it was. Sans-IO: bytes in, state out.
 *
 * Layout, little-endian: phase u32 | quorum u32 | deadline_ms u32 | envelope_bytes u32 | included
 * count u32 | draw_ms u32 | share_bytes u64 | nonce 32 | receipt keys 32 each of the helpers, in
 * list order, zeros for those that there are not | envelope | the draw | entries (client16 ‖
 * be32(attempt) ‖ be64(upload id) ‖ serial20) | sum as share bytes.
 *
 * The draw, of terms whose set is drawn and from OPEN on: for each hub in list order its pledge 96
 * ‖ its value 32; known u32 | count u32 | clients 16 each (big-endian). This hub's value is secret
 * until the set is frozen.
 *
 * The sum is of masked shares: by itself it is uniformly random. */
#ifndef MR_ROUND_LEAD_COMMIT_STATE_H
#define MR_ROUND_LEAD_COMMIT_STATE_H

#include "base/error.h"
#include "wire/draw.h"
#include "wire/exchange.h"
#include "wire/receipt.h"

enum mr_commit_phase {
    MR_COMMIT_PROPOSED = 1, /* the terms are fixed and may be signed: no signatures yet */
    MR_COMMIT_OPEN,         /* every hub has signed */
    MR_COMMIT_FROZEN,       /* the set is final, and the nonce of this hub's commitment */
};

/* What the hubs have said of a draw, in hub-list order. */
struct mr_commit_draw {
    struct mr_draw_pledge pledges[MR_HUBS_MAX]; /* the lead's: once there is a list */
    uint8_t values[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES];
    unsigned known;                         /* bits of positions: whose value is there */
    uint8_t (*clients)[MR_CLIENT_ID_BYTES]; /* the list, rising strictly; NULL: none yet */
    uint32_t count;
};

struct mr_commit_state {
    enum mr_commit_phase phase;
    uint32_t quorum, deadline_ms, draw_ms;
    const struct mr_commit_draw *draw; /* NULL: the set is not drawn, or the round not signed */
    unsigned hub_count;                /* where there is a draw */
    /* be16(length) ‖ canonical bytes; from OPEN on with every signature: the signed envelope. */
    const uint8_t *envelope;
    uint32_t envelope_bytes;
    const struct mr_included *included; /* in the order of their commits; clients are distinct */
    const uint64_t *upload_ids;         /* likewise */
    const struct mr_serial *serials;    /* of the certificates they came with, likewise */
    uint32_t included_count;
    uint8_t nonce[MR_NONCE_BYTES]; /* zero before FROZEN */
    /* While devices are admitted, which is in OPEN; secrets of helper and lead. */
    uint8_t receipt_keys[MR_HUBS_MAX - 1][MR_RECEIPT_KEY_BYTES];
    const uint8_t *sum;   /* over the included uploads, packed; none for nobody */
    uint64_t share_bytes; /* 0 exactly when nobody is included */
};

size_t mr_commit_state_bytes(const struct mr_commit_state *state);
void mr_commit_state_encode(uint8_t *out, const struct mr_commit_state *state);

/* A state that was read. `state` points into the bytes and at the arrays. */
struct mr_commit_read {
    struct mr_commit_state state;
    struct mr_round_terms terms;
    struct mr_commit_draw draw;   /* its clients are malloc'd */
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
