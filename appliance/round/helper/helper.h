/* helper.h - the helper's side of a round as a state machine, sans-IO.
 *
 *   idle ─propose→ signing ─▸ admitting [─draw→ admitting] ─freeze→ expanding ─▸ committed ─open→
 * opened ─reveal→ revealing ─▸ done                          (any of them ─▸ void)
 *
 * What it promises is durable before it is said: a seed before its receipt, the round's seal key
 * before the signature that names it, the set and the nonce before the commitment, every hub's
 * commitment and the set in this hub's ledger before the opening. So a hub that restarts takes up
 * the same round (mr_helper_recover) and answers the same question with the same bytes.
 *
 * It trusts the lead with nothing: it checks the terms against its own policy, signs on the model
 * that is current here, counts the devices that it authenticated itself and has released on that
 * model in no other set, answers one set a round and that one always with the same bytes, opens
 * only when every hub has committed, and computes the next model by itself.
 *
 * Questions come in with a token; ops->answer or ops->refuse answers it, at once or later, exactly
 * once. Other actions are answered in a later call, never from inside. Single-threaded. */
#ifndef MR_ROUND_HELPER_HELPER_H
#define MR_ROUND_HELPER_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/round/frozen_set.h"
#include "appliance/round/void_kind.h"
#include "wire/refusal.h"
#include "wire/exchange.h"
#include "wire/messages.h"

struct mr_helper; /* opaque */
struct mr_journal_state;
struct mr_journal_read;
struct mr_round_facts;

enum mr_helper_state {
    MR_HELPER_IDLE = 0,
    MR_HELPER_SIGNING, /* the round's terms are being made durable */
    MR_HELPER_ADMITTING,
    MR_HELPER_EXPANDING,
    MR_HELPER_COMMITTED,
    MR_HELPER_OPENED,
    MR_HELPER_REVEALING,
    MR_HELPER_DONE,
    MR_HELPER_VOID,
};

/* One counted upload with its seed: secret, to be wiped by whoever expands it. */
struct mr_expansion {
    struct mr_included included;
    struct mr_serial serial; /* of the certificate that the seed came with */
    uint8_t seed[MR_SEED_BYTES];
    uint8_t sealed_hash[MR_HASH_BYTES]; /* of the sealed bytes that brought it */
};

/* The highest round that this hub ever signed, as its disk says; round 0: none. */
struct mr_helper_last {
    uint64_t round;
    uint8_t hash[MR_HASH_BYTES];
    char given_up[300]; /* why an earlier process gave it up; "": it did not */
    bool lost;          /* because its journal was gone */
};

struct mr_helper_ops {
    void (*random)(void *context, uint8_t *out, size_t bytes);
    void (*recall)(void *context, struct mr_helper_last *last);
    /* Makes a state the whole journal, in place of what was there, and durable with it that this
     * hub signed the round. What is pointed at is valid during the call only. */
    void (*save)(void *context, const struct mr_journal_state *state);
    /* Adds a record to the journal (secret; copied). Many may share one sync. Saves and appends
     * take effect in order; mr_helper_durable says how far that has come. */
    void (*append)(void *context, const uint8_t *record, size_t length);
    /* Makes durable that the round is void (mr_helper_report says why, and whether this hub may
     * have opened), then overwrites and removes the journal; answered by mr_helper_forgotten. What
     * the round has on record stays; the set (mr_helper_included) is there during the call. */
    void (*forget)(void *context);
    /* How many values of a model are trained, and *values as an announcement's model_values; 0:
     * this hub has not that model. */
    uint32_t (*model_dimension)(void *context, const uint8_t *model_hash, uint32_t *values);
    /* Whether a new round may begin with a model that this hub has: the current one, or its direct
     * parent, where the lead gave a round up after this hub had computed. False with the refusal
     * filled. */
    bool (*may_begin_with)(void *context, const uint8_t *model_hash, struct mr_refusal *refusal);
    /* The ledger of released sets (task/released.h), for the round of these terms. Whether it may
     * count the device, of whose budget it keeps its price then: false with the refusal filled. */
    bool (*may_count)(void *context, const struct mr_round_terms *terms,
                      const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal);
    /* Takes the frozen set for the round's model: _REFUSED with the refusal filled. */
    enum mr_set_claim (*claim)(void *context, const struct mr_frozen_set *set,
                               struct mr_refusal *refusal);
    /* Makes durable that the claimed set is released; answered by mr_helper_released. */
    void (*release)(void *context);
    /* Where the terms have audit_hours: the root of the tree of what this hub counted of the set,
     * which is kept and durable by now. 0, or -1: not all of it is here, or no memory. NULL: no
     * such round can be committed to. */
    int (*counted_root)(void *context, const struct mr_included *set, uint32_t count,
                        uint8_t root[MR_HASH_BYTES]);
    /* Sums the masks of these seeds (runtime/secret.h, passes to the callee, which frees);
     * answered by mr_helper_expanded. `terms` stay until then. */
    void (*expand)(void *context, const struct mr_round_terms *terms, struct mr_expansion *list,
                   uint32_t count);
    /* Computes the next model from the results (64-byte aligned, kept until answered); answered by
     * mr_helper_revealed or mr_helper_not_revealed. */
    void (*reveal)(void *context, const struct mr_round_terms *terms, const uint8_t *const *results,
                   uint32_t included_count);
    /* content: JSON text if `json`, else octets; copied. NULL body: 204. */
    void (*answer)(void *context, void *token, bool json, const void *body, size_t length);
    void (*refuse)(void *context, void *token, const struct mr_refusal *refusal);
    void (*changed)(void *context); /* mr_helper_report has news */
    /* Whether this hub's operator accepts the terms, asked before they are signed: false with the
     * refusal filled. NULL: all of them. */
    bool (*accepts)(void *context, const struct mr_round_terms *terms, struct mr_refusal *refusal);
    /* Whether there is room for the files of such a round, asked before it is signed: false with
     * the refusal filled. NULL: there is. */
    bool (*has_room)(void *context, const struct mr_round_terms *terms, struct mr_refusal *refusal);
    /* The wall clock, when a round is proposed; NULL: any deadline will do. */
    uint64_t (*unix_ms)(void *context);
    /* Whether the CA has taken a certificate back; NULL: never. */
    bool (*revoked)(void *context, const struct mr_serial *serial);
};

/* What this hub insists on. */
struct mr_helper_policy {
    uint32_t cohort_min;    /* this hub's own minimum */
    uint32_t share_percent; /* so many of those it admitted must be in a set; 0: any number */
    /* Of the devices that came before the middle of the set at most so many are left out (shape.h);
     * 0: any number. */
    uint32_t passed_over_percent;
    uint64_t share_bytes_max;   /* larger rounds are not signed */
    uint32_t lead_grace_ms;     /* a lead that has not ended a round so long after its deadline is
                                   gone: the round is given up */
    uint64_t deadline_ahead_ms; /* a deadline further ahead of this hub's clock is not signed: seeds
                                   would lie here until it comes */
};

struct mr_helper_config {
    const char *task;           /* no other task's rounds are signed; kept by the caller */
    uint16_t index;             /* this hub */
    const uint8_t *private_key; /* Ed25519 seed; copied, wiped at the end */
    const uint8_t *mark_part;   /* of the key of marks, 32 bytes, kept by the caller; NULL: none */
    const struct mr_announced_hub *hubs; /* pinned, in list order; kept by the caller */
    unsigned hubs_count;
    struct mr_helper_policy policy;
};

struct mr_helper *mr_helper_new(const struct mr_helper_config *config,
                                const struct mr_helper_ops *ops, void *context);
/* Refuses what still waits; wipes. Nothing may be under way outside any more. */
void mr_helper_free(struct mr_helper *helper);
/* Refuses every request that waits for an answer, now: the round will not go on here. */
void mr_helper_dismiss(struct mr_helper *helper, enum mr_refusal_code code, const char *why);

/* The policy of rounds that are proposed from now on; the round that is signed keeps its own. */
void mr_helper_set_policy(struct mr_helper *helper, const struct mr_helper_policy *policy);

/* Takes up the round of a journal: 0, or 1 with the reason why it is not a round that this hub can
 * go on with, or -1 without memory: the round is not lost, another start may take it up. For an
 * idle helper; what the journal said is saved anew before anything is answered.
 */
int mr_helper_recover(struct mr_helper *helper, const struct mr_journal_read *read,
                      struct mr_error *error);

/* --- questions ------------------------------------------------------------------------------- */
void mr_helper_seed(struct mr_helper *helper, uint64_t round,
                    const uint8_t client_id[MR_CLIENT_ID_BYTES], const struct mr_serial *serial,
                    const struct mr_seed_request *request, void *token);
/* `from` is the hub index in the asker's certificate, which alone is believed nothing: a proposal
 * and the order to give a round up carry the signature of the lead's pinned key. The body is
 * mr_proposal_decode's. */
void mr_helper_propose(struct mr_helper *helper, uint16_t from, const uint8_t *body, size_t length,
                       void *token);
/* The list that the set is drawn from (wire/draw.h), answered with this hub's value once the list
 * is durable: from then on no other list is taken, nor a seed of a device that is not on it. */
void mr_helper_draw(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                    size_t length, void *token);
void mr_helper_freeze(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                      size_t length, void *token);
void mr_helper_open(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                    size_t length, void *token);
void mr_helper_reveal(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                      size_t length, void *token);
/* The message's reason is the lead's word, for the report. */
void mr_helper_void(struct mr_helper *helper, uint16_t from, uint64_t round,
                    const struct mr_peer_void *message, void *token);

/* --- events ---------------------------------------------------------------------------------- */
/* The round is given up if its lead counts as gone by the wall clock. Due at the time that _due
 * says, which changes with ops->changed; UINT64_MAX: never. A round that this hub has opened is
 * not: its devices could not be counted again before the next model, and its lead asks until it has
 * an answer. */
void mr_helper_tick(struct mr_helper *helper, uint64_t unix_ms);
uint64_t mr_helper_due_unix_ms(const struct mr_helper *helper);
/* The first `count` of all saves and appends that this helper asked for are durable. */
void mr_helper_durable(struct mr_helper *helper, uint64_t count);
void mr_helper_released(struct mr_helper *helper);
void mr_helper_forgotten(struct mr_helper *helper);
/* The packed result (64-byte aligned, malloc'd, passes to the helper), or NULL: out of memory. */
void mr_helper_expanded(struct mr_helper *helper, uint8_t *result);
void mr_helper_revealed(struct mr_helper *helper, const uint8_t *model_hash);
/* There is no next model: MR_VOID_SUM where the openings are to blame, MR_VOID_INTERNAL where this
 * hub failed. */
void mr_helper_not_revealed(struct mr_helper *helper, enum mr_void_kind kind, const char *why);

/* This hub's operator leaves the current round, if it has not ended: it is void. False: not while
 * it is being worked on. */
bool mr_helper_leave(struct mr_helper *helper, const char *why);

/* --- reports --------------------------------------------------------------------------------- */
/* The terms of the current or last round; NULL before the first. */
const struct mr_round_terms *mr_helper_terms(const struct mr_helper *helper);
/* The model that the round which is signed, or being signed, begins with; NULL: there is none. */
const uint8_t *mr_helper_parent(const struct mr_helper *helper);
/* The frozen set and its hash; NULL before the freeze. */
const struct mr_included *mr_helper_included(const struct mr_helper *helper, uint32_t *count,
                                             const uint8_t **set_hash);

/* Of the key that the round's model is marked with, while ops->reveal is under way. */
const struct mr_watermark_parts *mr_helper_mark_parts(const struct mr_helper *helper);
/* What it knows of that round, for the transcript; pointers stay until the next call that changes
 * the helper. */
void mr_helper_facts(const struct mr_helper *helper, struct mr_round_facts *facts);

struct mr_helper_report {
    enum mr_helper_state state;
    uint64_t round;       /* 0: none yet */
    uint32_t admitted;    /* devices whose seed is here */
    uint32_t bad_seeds;   /* seed requests that did not open */
    uint32_t included;    /* in the frozen set; 0 before */
    uint32_t left_out;    /* of it: devices that it could have had, likewise … */
    uint32_t passed_over; /* … and of those the ones before its middle (shape.h) */
    bool listed;          /* this hub has told its value of the draw, or was about to: likewise */
    bool opened;          /* this hub has opened its result, or was about to: also when void */
    char reason[300];     /* when void */
};
void mr_helper_report(const struct mr_helper *helper, struct mr_helper_report *report);
const char *mr_helper_state_name(enum mr_helper_state state);

#endif
