/* journal_state.h - what a helper's journal says, as plain bytes (journal.h seals them): everything
 * that a restarted helper needs to take up the same round. Sans-IO: bytes in, state out.
 *
 * Snapshot, big-endian: phase u8 | canonical length u16 | canonical bytes | seal's public key 32 |
 *   in ADMITTING only: seal's private key 32 | this hub's value of the draw 32; always: length u32
 * | the list to draw from as the lead sent it, if it has; and if it has, from FROZEN on: every
 * hub's value of the draw 32 | count u32 | entries | FROZEN: the lead's commitment | nonce 32 |
 * admitted OPENED: every hub's commitment in list order | nonce 32 | admitted DONE:   every hub's
 * commitment | nonce 32 | admitted | model_hash 32 | own result admitted: what was admitted when
 * the set was frozen, count u32 | root 32 (wire/evidence.h). An entry is client16 ‖ be32(attempt),
 * followed by serial20 ‖ seed32 ‖ sealed hash 32 but in DONE. From FROZEN on entries rise strictly
 * by client. Behind a snapshot come records: 1 | entry (ADMITTING), 2 | every hub's commitment
 * (FROZEN: it is OPENED then), or 3 | length u32 | the list (ADMITTING, once).
 *
 * Secret, all of it: whoever holds such bytes wipes them. */
#ifndef MR_ROUND_HELPER_JOURNAL_STATE_H
#define MR_ROUND_HELPER_JOURNAL_STATE_H

#include "appliance/round/helper/helper.h"
#include "wire/draw.h"

enum mr_journal_phase {
    MR_JOURNAL_ADMITTING = 1, /* signed; entries are the seeds that came */
    MR_JOURNAL_FROZEN,        /* one set is answered; entries are that set with its seeds */
    MR_JOURNAL_OPENED,        /* … and no hub's commitment may change any more */
    MR_JOURNAL_DONE,          /* the model is computed; entries are the set, no seeds any more */
};

struct mr_journal_state {
    enum mr_journal_phase phase;
    const struct mr_round_terms *terms;
    const struct mr_hpke_pair *seal; /* its private half in ADMITTING only */
    const uint8_t *draw_value;       /* MR_DRAW_VALUE_BYTES, in ADMITTING only */
    const uint8_t *list;             /* to draw from; NULL: none has come */
    uint32_t list_bytes;
    const uint8_t *draw_values; /* every hub's, where there is a list, from FROZEN on */
    const struct mr_expansion *entries;
    uint32_t count;
    struct mr_commitment commitments[MR_HUBS_MAX]; /* FROZEN: the lead's; then everybody's */
    uint8_t nonce[MR_NONCE_BYTES];
    uint32_t admitted;                    /* from FROZEN on */
    uint8_t admitted_root[MR_HASH_BYTES]; /* likewise */
    uint8_t model_hash[MR_HASH_BYTES];    /* DONE */
    const uint8_t *result;                /* DONE: share_bytes of them */
};

/* From mr_secret_new; NULL when out of memory. */
uint8_t *mr_journal_state_encode(const struct mr_journal_state *state, size_t *length);

#define MR_JOURNAL_SEED_BYTES                                                                      \
    (1 + MR_INCLUDED_BYTES + MR_SERIAL_BYTES + MR_SEED_BYTES + MR_HASH_BYTES)
#define MR_JOURNAL_LIST_BYTES(list_bytes) (1 + 4 + (size_t)(list_bytes))
#define MR_JOURNAL_OPENED_BYTES           (1 + MR_HUBS_MAX * MR_COMMITMENT_BYTES) /* at most */
/* All return the record's length. */
size_t mr_journal_seed_encode(uint8_t out[MR_JOURNAL_SEED_BYTES], const struct mr_expansion *entry);
size_t mr_journal_opened_encode(uint8_t out[MR_JOURNAL_OPENED_BYTES],
                                const struct mr_commitment *commitments, unsigned count);

size_t mr_journal_list_encode(uint8_t *out, const uint8_t *list, uint32_t list_bytes);

/* A state that was read; owns everything that `state` points at. */
struct mr_journal_read {
    struct mr_journal_state state;
    struct mr_round_terms terms;
    struct mr_hpke_pair seal;
    uint8_t draw_value[MR_DRAW_VALUE_BYTES];
    uint8_t *list; /* and the values behind it */
    struct mr_expansion *entries;
    uint32_t capacity;
    uint8_t *result; /* 64-byte aligned */
};

/* Takes exactly what the encoder writes; -1 with a text for anything else. For 0,
 * mr_journal_read_fini is owed, which wipes. */
int mr_journal_state_parse(struct mr_journal_read *read, const uint8_t *bytes, size_t length,
                           struct mr_error *error);
/* Adds whole records to the state. -1: they do not belong there; the state is still owed _fini. */
int mr_journal_records_parse(struct mr_journal_read *read, const uint8_t *bytes, size_t length,
                             struct mr_error *error);
void mr_journal_read_fini(struct mr_journal_read *read);

#endif
