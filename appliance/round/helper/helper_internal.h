/* helper_internal.h - the helper's state, shared by the files of this folder only. */
#ifndef MR_ROUND_HELPER_HELPER_INTERNAL_H
#define MR_ROUND_HELPER_HELPER_INTERNAL_H

#include "appliance/round/helper/helper.h"
#include "appliance/round/helper/journal_state.h"
#include "appliance/round/helper/seeds.h"
#include "appliance/round/helper/shape.h"

/* Repeats of one question that may wait for the same answer. */
#define HELPER_WAITERS_MAX 4

/* Receipts that wait for their seeds to be durable, in order. */
struct helper_receipts {
    struct helper_receipt *list;
    uint32_t count, capacity;
};
struct helper_receipt {
    void *token;
    struct mr_included of; /* whose seed */
    struct mr_receipt receipt;
    uint64_t needed;
};

/* Of a round whose set is drawn. */
struct helper_draw {
    uint8_t value[MR_DRAW_VALUE_BYTES]; /* this hub's: leaves when the list is durable */
    uint8_t *bytes;                     /* the list as it came; NULL: none has */
    size_t length;
    struct mr_draw_list list;          /* of it */
    uint64_t needed;                   /* so many durable, and the list is */
    void *waiters[HELPER_WAITERS_MAX]; /* for the value */
    unsigned waiter_count;
    uint8_t values[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES]; /* every hub's, with the set */
    bool values_known;
};

struct mr_helper {
    struct mr_helper_config config; /* its policy is that of the round that is signed */
    struct mr_helper_policy next_policy;
    struct mr_signing_pair keys;
    const struct mr_helper_ops *ops;
    void *context;
    enum mr_helper_state state;
    bool working; /* a save, expand or reveal that the state waits for is under way outside */

    uint64_t asked;   /* saves and appends, all ever */
    uint64_t durable; /* of them */
    uint64_t needed;  /* what the state waits for, or the opening: so many durable */
    struct helper_receipts receipts;

    struct mr_round_terms terms;    /* valid once round_known */
    struct mr_round_terms proposed; /* while signing */
    struct mr_hpke_pair proposed_seal;
    uint8_t proposed_value[MR_DRAW_VALUE_BYTES];
    bool round_known;
    unsigned position; /* of this hub in the list */
    /* What seeds of the round are sealed to. The private half is zero from the freeze on, since no
     * seed comes after it. */
    struct mr_hpke_pair seal;
    struct mr_hpke_kit *kit;                   /* that opens them */
    uint8_t receipt_key[MR_RECEIPT_KEY_BYTES]; /* ask mr_helper_receipt_key for it */
    bool receipt_key_known;
    struct helper_draw draw;
    bool listed; /* a list was taken: this hub's value has left, or was about to; also when void */
    struct mr_seeds seeds;
    uint32_t admitted_count; /* devices whose seeds were here; stays when seeds are wiped */
    uint32_t bad_seeds;

    void *waiters[HELPER_WAITERS_MAX]; /* for the step that is being worked on */
    unsigned waiter_count;
    bool forgetting;                    /* void, and that is not durable yet … */
    void *mourners[HELPER_WAITERS_MAX]; /* … whoever said so waits for that */
    unsigned mourner_count;

    struct mr_included *included;
    uint32_t included_count;
    struct mr_expansion *list; /* its seeds, while the set is being made durable */
    uint8_t set_hash[MR_HASH_BYTES];
    uint8_t nonce[MR_NONCE_BYTES];
    bool admitted_known; /* from the freeze on */
    uint32_t admitted_seeds;
    uint8_t admitted_root[MR_HASH_BYTES];
    struct mr_shape shape; /* of the set, in this life */
    uint8_t *result;       /* own, packed */
    bool opened;           /* commitments[] are all known and fixed */
    bool releasing;        /* the ledger is asked for, and has not answered */
    bool released; /* … it has the set, or is asked to have it: also when the round is void */
    struct mr_commitment commitments[MR_HUBS_MAX]; /* own and the lead's from the freeze on */
    uint8_t *results[MR_HUBS_MAX];                 /* own, and copies of the openings: revealing */
    struct mr_watermark_parts mark_parts;          /* likewise, of a round that marks */
    struct mr_opening_seal seals[MR_HUBS_MAX];     /* of the openings that are known */
    unsigned seals_known;                          /* bits of positions; the own one once opened */
    uint8_t model_hash[MR_HASH_BYTES];
    uint8_t model_signature[MR_SIGNATURE_BYTES];
    bool attested;                              /* … are there */
    struct mr_hub_signature proposal;           /* the lead's word for what is proposed or signed */
    bool proposal_known;                        /* … in this life */
    uint8_t void_signature[MR_SIGNATURE_BYTES]; /* the lead's order that the reason is of */
    bool void_ordered;
    char reason[300];
};

/* Files of this folder, from the ground up; each uses only those above it in this list.
 *
 * state.c: the only one that sets the state. */
void mr_helper_enter(struct mr_helper *helper, enum mr_helper_state state);
/* The round's terms and seal key, and everything else of it as new. */
void mr_helper_take_terms(struct mr_helper *helper, const struct mr_round_terms *terms,
                          const struct mr_hpke_pair *seal);
/* Seeds and the key that opens more of them: wiped. */
void mr_helper_drop_seeds(struct mr_helper *helper);
/* Lets go of everything of the round but its terms; wipes. */
void mr_helper_drop_round(struct mr_helper *helper);
void mr_helper_drop_list(struct mr_helper *helper);
void mr_helper_drop_list_to_draw(struct mr_helper *helper);
/* Whether the device may still bring seeds: there is no list to draw from yet, or it is on it. */
bool mr_helper_on_list(const struct mr_helper *helper, const uint8_t client_id[MR_CLIENT_ID_BYTES]);
/* Refuses who waits for this hub's value of the draw. */
void mr_helper_refuse_values(struct mr_helper *helper, enum mr_refusal_code code, const char *why);
/* The least devices of a set: as announced, and as this hub's operator says. */
uint32_t mr_helper_set_min(const struct mr_helper *helper);
void mr_helper_drop_results(struct mr_helper *helper);
void mr_helper_refuse(struct mr_helper *helper, void *token, enum mr_refusal_code code,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Keeps the token until mr_helper_answer_waiting; refuses it as busy when too many wait. */
void mr_helper_wait(struct mr_helper *helper, void *token);
void mr_helper_answer_waiting(struct mr_helper *helper, bool json, const void *body, size_t length);
void mr_helper_save(struct mr_helper *helper, const struct mr_journal_state *state);
void mr_helper_append(struct mr_helper *helper, const uint8_t *record, size_t length);
/* What the journal says from the freeze on; `entries` are the set's. */
void mr_helper_frozen_state(const struct mr_helper *helper, struct mr_journal_state *state,
                            const struct mr_expansion *entries);

/* previous_round.c: fills the refusal for a round that this process does not have: another one, or
 * one that an earlier process gave up or that is lost. */
enum mr_refusal_code mr_helper_unknown(const struct mr_helper *helper, uint64_t round,
                                       struct mr_refusal *refusal);
/* … for the last round that this hub signed. */
enum mr_refusal_code mr_helper_not_kept(const struct mr_helper_last *last,
                                        struct mr_refusal *refusal);

/* admit.c: the round's key for the MACs of its receipts, derived once; NULL when OpenSSL fails. */
const uint8_t *mr_helper_receipt_key(struct mr_helper *helper);
/* Answers what is durable; refuses all that waits. */
void mr_helper_answer_receipts(struct mr_helper *helper);
void mr_helper_refuse_receipts(struct mr_helper *helper, enum mr_refusal_code code,
                               const char *why);

/* end.c: the round is void. */
void mr_helper_give_up(struct mr_helper *helper, enum mr_void_kind kind, const char *why);
/* Whether `from` leads the current round and the round is that one; refuses the token if not. */
bool mr_helper_accepts(struct mr_helper *helper, uint16_t from, uint64_t round, void *token);

/* proposal.c: whether the announcement of that hash is the one that this hub signed last, or is
 * signing. */
bool mr_helper_is_current(const struct mr_helper *helper, const uint8_t *hash);
/* Whether this hub signs such terms at all, from that hub, with that signature of its. */
enum mr_refusal_code mr_helper_check_proposal(const struct mr_helper *helper, uint16_t from,
                                              const struct mr_round_terms *terms,
                                              const uint8_t *signature, struct mr_refusal *refusal);
/* Whether a lead that vanishes now would be found gone in a sensible time. */
enum mr_refusal_code mr_helper_check_deadline(const struct mr_helper *helper,
                                              const struct mr_announcement *announcement,
                                              struct mr_refusal *refusal);

/* propose.c: the terms are durable. */
void mr_helper_signed(struct mr_helper *helper);
void mr_helper_answer_signatures(struct mr_helper *helper);

/* shape_rule.c: whether this hub's operator takes a set, or a list to draw it from, of that shape.
 * Where the round may close at `quorum` devices and has that many, those that were late do not
 * count; 0: it may not. */
enum mr_refusal_code mr_helper_check_shape(const struct mr_helper *helper,
                                           const struct mr_shape *shape, uint32_t quorum,
                                           struct mr_refusal *refusal);

/* draw.c: takes a copy of a list, with every signature of it. 0; 1: it is not sound; -1: no memory.
 */
int mr_helper_take_list(struct mr_helper *helper, const uint8_t *bytes, size_t length,
                        struct mr_error *error);
void mr_helper_answer_values(struct mr_helper *helper); /* as far as the list is durable */
/* The devices that the hubs drew, rising; `values` are every hub's. The caller frees .clients. */
struct helper_drawn {
    uint8_t (*clients)[MR_CLIENT_ID_BYTES];
    uint32_t count;
};
enum mr_refusal_code mr_helper_drawn(const struct mr_helper *helper,
                                     const uint8_t (*values)[MR_DRAW_VALUE_BYTES],
                                     struct helper_drawn *drawn, struct mr_refusal *refusal);
enum mr_refusal_code mr_helper_check_drawn(const struct helper_drawn *drawn,
                                           const struct mr_included *set, uint32_t count,
                                           struct mr_refusal *refusal);

/* release.c: the set, or the commitments before the opening, are durable. reveal.c, recover.c and
 * facts.c,
 * helper.c stand beside and above it. */
void mr_helper_set_durable(struct mr_helper *helper);
void mr_helper_opening_durable(struct mr_helper *helper);
/* What this hub goes by once the ledger knows of the set: asks for it to be released. */
enum mr_set_claim mr_helper_claim(struct mr_helper *helper, struct mr_refusal *refusal);
void mr_helper_release(struct mr_helper *helper);

#endif
