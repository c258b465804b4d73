/* lead.h - the lead's side of a round as a state machine, sans-IO.
 *
 *   idle ─open→ signing ─▸ proposed ─▸ open [─▸ drawing ─▸ open] ─quorum|deadline→ closing ─▸
 * committing ─▸ opening ─▸ revealing ─▸ storing ─▸ published            (any of them ─▸ void, with
 * a reason)
 *
 * Events come in through the calls below, each with the time (monotonic milliseconds); actions go
 * out through struct mr_lead_ops. No clock, socket, file, thread or randomness of its own, so that
 * a simulator can drive it. Single-threaded. An action's answer comes in a later call, never from
 * inside the action.
 *
 * What it tells is durable before it is told: its signature, the signed terms before a device hears
 * of them, an upload before `committed`, the set and the nonce before the commitment, the end
 * before anybody hears of it. Everything after the freeze follows from set, sum and nonce, so a
 * lead that restarts (mr_lead_recover) takes up the same round and asks the same questions again.
 *
 * Nothing that could be combined into a sum leaves this hub before the set is frozen, has at least
 * cohort_min devices, and every hub has committed to its result over that very set; and openings
 * are asked for only when this hub's ledger of released sets has it. From then on some hub may have
 * opened, and the devices of the set are counted again on the next model only: so the round is not
 * given up for time any more, by nobody but a hub's answer or the operator's word. */
#ifndef MR_ROUND_LEAD_LEAD_H
#define MR_ROUND_LEAD_LEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/round/frozen_set.h"
#include "appliance/round/void_kind.h"
#include "wire/refusal.h"
#include "wire/exchange.h"
#include "wire/messages.h"

struct mr_lead; /* opaque */
struct mr_admission;
struct mr_commit_state;
struct mr_commit_read;
struct mr_round_facts;

enum mr_lead_state {
    MR_LEAD_IDLE = 0,
    MR_LEAD_SIGNING,    /* the round's terms are being made durable */
    MR_LEAD_PROPOSED,   /* collecting every hub's signature, then making them durable */
    MR_LEAD_OPEN,       /* admitting devices */
    MR_LEAD_DRAWING,    /* the list of ready devices is closed, hubs say their values; open then */
    MR_LEAD_CLOSING,    /* the set is being frozen and made durable */
    MR_LEAD_COMMITTING, /* helpers expand and commit */
    MR_LEAD_OPENING,    /* helpers open */
    MR_LEAD_REVEALING,  /* every hub computes the next model */
    MR_LEAD_STORING,    /* the next model is being made durable */
    MR_LEAD_PUBLISHED,
    MR_LEAD_VOID,
};

/* A question to another hub; each is idempotent on the other side. */
enum mr_peer_step {
    MR_PEER_PROPOSE = 0,
    MR_PEER_FREEZE,
    MR_PEER_OPEN,
    MR_PEER_REVEAL,
    MR_PEER_VOID,
    MR_PEER_DRAW,  /* between _PROPOSE and _FREEZE, where the set is drawn */
    MR_PEER_STAND, /* where it stands: its driver's question, not the core's */
};

/* How a question to another hub ended. status 0: no HTTP answer, `text` says why. */
struct mr_peer_answer {
    uint64_t round;
    unsigned peer; /* position in the hub list, 1.. */
    enum mr_peer_step step;
    int status;
    const uint8_t *body;
    size_t length;
    const char *text;
    const char *word;  /* said beside it (transport/h2_message.h); NULL or "": nothing */
    bool unacceptable; /* with status 0: one side does not take the other's certificate */
};

/* Everything that goes into the store when a round is published. */
struct mr_publication {
    const struct mr_round_terms *terms;
    const struct mr_included *included; /* sorted */
    const uint64_t *upload_ids;         /* of them */
    uint32_t included_count;
    const uint8_t *set_hash;
    const uint8_t *model_hash;
    const uint8_t (*signatures)[MR_SIGNATURE_BYTES]; /* model attestations in hub-list order */
    const struct mr_commitment *commitments;         /* likewise */
};

struct mr_lead_ops {
    void (*random)(void *context, uint8_t *out, size_t bytes);
    /* The one timer: mr_lead_tick is due at that time; UINT64_MAX disarms. */
    void (*timer)(void *context, uint64_t at_ms);
    /* Makes the state durable, and that this hub signs these terms; answered by mr_lead_remembered.
     * What a state points at stays until the answer. */
    void (*remember)(void *context, const struct mr_commit_state *state);
    int (*plane_begin)(void *context, const struct mr_round_terms *terms, struct mr_error *error);
    int (*plane_admit)(void *context, const struct mr_admission *admission,
                       struct mr_upload_grant *grant);
    void (*plane_revoke)(void *context, uint64_t upload_id, enum mr_upload_reason reason);
    /* Answered by mr_lead_collected; the collection is held outside until plane_return. */
    void (*plane_collect)(void *context, bool freeze);
    void (*plane_return)(void *context, bool committed, enum mr_upload_reason reason);
    /* Merges the held collection, if there is one, into the round's sum, adds the sum to the state
     * and makes it durable. Answered by mr_lead_committed. What a state points at stays until then.
     */
    void (*commit)(void *context, const struct mr_commit_state *state);
    /* Makes durable that the round is void (mr_lead_report says why); answered by mr_lead_ended. */
    void (*end)(void *context);
    /* The ledger of released sets (task/released.h), for the round of mr_lead_terms. Whether it may
     * count the device, of whose budget it keeps its price then: false with the refusal filled. */
    bool (*may_count)(void *context, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                      struct mr_refusal *refusal);
    /* Takes the frozen set for the round's model: _REFUSED with the refusal filled. */
    enum mr_set_claim (*claim)(void *context, const struct mr_frozen_set *set,
                               struct mr_refusal *refusal);
    /* Where the terms have audit_hours: the root of the tree of what this hub counted of the set,
     * which is kept and durable by now. 0, or -1: not all of it is here, or no memory. NULL: no
     * such round can be released. */
    int (*counted_root)(void *context, const struct mr_included *set, uint32_t count,
                        uint8_t root[MR_HASH_BYTES]);
    /* Makes durable that the claimed set is released; answered by mr_lead_released. */
    void (*release)(void *context);
    /* Asks another hub (the body is copied); answered by mr_lead_peer_answered, except _VOID. */
    void (*ask)(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                size_t length);
    /* Computes the next model from the hubs' results (64-byte aligned, kept until answered);
     * answered by mr_lead_revealed or mr_lead_not_revealed. */
    void (*reveal)(void *context, const uint8_t *const *results, uint32_t included_count);
    /* Answered by mr_lead_stored. Everything pointed at stays until then. */
    void (*store)(void *context, const struct mr_publication *publication);
    /* The answer to an mr_lead_admit that took its token: a grant, or a refusal. */
    void (*admitted)(void *context, void *token, const struct mr_upload_grant *grant);
    void (*refused)(void *context, void *token, const struct mr_refusal *refusal);
    void (*upload_changed)(void *context, uint64_t upload_id); /* committed or refused */
    void (*round_changed)(void *context);                      /* mr_lead_report has news */
    /* Whether the CA has taken a certificate back; NULL: never. */
    bool (*revoked)(void *context, const struct mr_serial *serial);
};

struct mr_lead_config {
    uint16_t index;              /* this hub */
    const uint8_t *private_key;  /* Ed25519 seed, 32 bytes; copied, wiped at the end */
    const uint8_t *mark_part;    /* of the key of marks, 32 bytes, kept by the caller; NULL: none */
    uint32_t peer_timeout_ms;    /* of a round that is recovered: for each step, with retries */
    uint32_t commit_interval_ms; /* likewise */
};

/* What the terms of a round do not say to the devices. */
struct mr_lead_limits {
    uint32_t quorum;      /* close at so many committed uploads; >= cohort_min */
    uint32_t deadline_ms; /* from now */
    uint32_t draw_ms;     /* from the opening: where the set is drawn, the list is closed then */
    uint32_t peer_timeout_ms, commit_interval_ms; /* 0: as for the round before */
};

struct mr_lead *mr_lead_new(const struct mr_lead_config *config, const struct mr_lead_ops *ops,
                            void *context);
/* Refuses what still waits. Nothing may be under way outside any more. */
void mr_lead_free(struct mr_lead *lead);

/* Refuses every request that waits for an answer, now: the round will not go on here. */
void mr_lead_dismiss(struct mr_lead *lead, enum mr_refusal_code code, const char *why);

/* Opens a round with these terms (the caller has filled every field, round number included).
 * Refuses while another one is under way. Returns a refusal code. */
enum mr_refusal_code mr_lead_open(struct mr_lead *lead, const struct mr_announcement *announcement,
                                  const struct mr_lead_limits *limits, uint64_t now_ms,
                                  struct mr_refusal *refusal);

/* How the round of a commit state ended, as the store says. */
struct mr_lead_end {
    bool published, voided;
    uint8_t model_hash[MR_HASH_BYTES]; /* when published */
    char reason[300];                  /* when void */
};

/* Takes up the round of a commit state: 0, or 1 with the reason why it is not a round that this hub
 * can go on with, or -1 without memory: the round is not lost, another start may take it up. For an
 * idle lead; what the log said has been written anew already. `result`: the sum packed, 64-byte
 * aligned, kept until the next round opens; NULL while nobody is included. The caller puts the sum
 * back where ops->commit merges, after this call. */
int mr_lead_recover(struct mr_lead *lead, const struct mr_commit_read *read, const uint8_t *result,
                    const struct mr_lead_end *end, uint64_t now_ms, uint64_t unix_ms,
                    struct mr_error *error);

/* What the record of an ended round says of its uploads. */
struct mr_previous_round {
    uint64_t round;
    bool published;                      /* else void */
    const struct mr_included *committed; /* whose devices were told so */
    const uint64_t *upload_ids;          /* of them */
    uint32_t count;
};

/* Makes a lead that has just started answer for the round before that of its commit log, or before
 * the next. 0, or -1 out of memory: then it does not know the round. */
int mr_lead_recall(struct mr_lead *lead, const struct mr_previous_round *past);

/* The operator gives the current round up. Refused while it is being made durable, and once it has
 * ended. Where openings were asked for, only with `accepted`: the devices of the set are counted
 * again on the next model only, and if there is none the task stands still. */
enum mr_refusal_code mr_lead_give_up(struct mr_lead *lead, uint64_t round, bool accepted,
                                     uint64_t now_ms, struct mr_refusal *refusal);
/* Of the key that the round's model is marked with, while ops->reveal is under way. */
const struct mr_watermark_parts *mr_lead_mark_parts(const struct mr_lead *lead);
/* What it knows of the current or last round, for the transcript; pointers stay until the next call
 * that changes the lead. Nothing of a round that had ended when this process started. */
void mr_lead_facts(const struct mr_lead *lead, struct mr_round_facts *facts);
/* Whether it still wants an answer to that question. */
bool mr_lead_asks(const struct mr_lead *lead, uint64_t round, enum mr_peer_step step);

/* --- devices --------------------------------------------------------------------------------- */
/* The signed envelope while the round is open, else NULL. */
const uint8_t *mr_lead_envelope(const struct mr_lead *lead, size_t *length);
/* How long the open round still takes uploads; 0: none is open, or it is over. */
uint64_t mr_lead_left_ms(const struct mr_lead *lead, uint64_t now_ms);
/* The terms of the current or last round; NULL before the first. */
const struct mr_round_terms *mr_lead_terms(const struct mr_lead *lead);
/* Its uploads that are committed, and their ids. */
const struct mr_included *mr_lead_committed_uploads(const struct mr_lead *lead,
                                                    const uint64_t **upload_ids, uint32_t *count);

/* A device asks for an upload. Copied as far as it is needed after the call, except the token. */
struct mr_applicant {
    uint64_t round;
    const uint8_t *client_id;       /* MR_CLIENT_ID_BYTES, of its certificate */
    const struct mr_serial *serial; /* likewise */
    const struct mr_upload_request *request;
    const struct mr_upload_keys *keys; /* of the very connection that asked; NULL for HTTP/2 */
    void *token;
};

/* Takes the token: ops->admitted or ops->refused answers it, at once or later. */
void mr_lead_admit(struct mr_lead *lead, const struct mr_applicant *applicant, uint64_t now_ms);

/* What became of an upload, as told to the device that owns it; also for the round before. An
 * upload that a restart has forgotten was not committed: once its round has taken its set, that is
 * its end. */
enum mr_refusal_code mr_lead_upload_status(const struct mr_lead *lead, uint64_t round,
                                           const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                           uint64_t upload_id, struct mr_upload_status *status,
                                           struct mr_refusal *refusal);
/* Whether the device may send this upload's share as an HTTP/2 body now. */
enum mr_refusal_code mr_lead_may_put(const struct mr_lead *lead, uint64_t round,
                                     const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                     uint64_t upload_id, struct mr_refusal *refusal);

/* --- events ---------------------------------------------------------------------------------- */
void mr_lead_tick(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_remembered(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_staged(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms);
void mr_lead_revoked(struct mr_lead *lead, uint64_t upload_id, bool revoked, uint64_t now_ms);
/* The list of revoked certificates has news: their uploads under way are taken back. One that is
 * folded cannot be: then the round is void when it closes. */
void mr_lead_revocation(struct mr_lead *lead);
void mr_lead_expired(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms);
/* The whole share came, and its count lane does not open to 1: it is not folded. */
void mr_lead_unsound(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms);
void mr_lead_collected(struct mr_lead *lead, const uint64_t *upload_ids, uint32_t count,
                       uint64_t now_ms);
/* `result`: after the commit of a frozen set this hub's packed result, kept until the next round
 * opens. */
void mr_lead_committed(struct mr_lead *lead, const uint8_t *result, uint64_t now_ms);
void mr_lead_peer_answered(struct mr_lead *lead, const struct mr_peer_answer *answer,
                           uint64_t now_ms);
void mr_lead_revealed(struct mr_lead *lead, const uint8_t *model_hash, uint64_t now_ms);
/* There is no next model: MR_VOID_SUM where the openings are to blame, MR_VOID_INTERNAL where this
 * hub failed. */
void mr_lead_not_revealed(struct mr_lead *lead, enum mr_void_kind kind, const char *why,
                          uint64_t now_ms);
void mr_lead_stored(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_released(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_ended(struct mr_lead *lead, uint64_t now_ms);

/* --- reports --------------------------------------------------------------------------------- */
struct mr_lead_report {
    enum mr_lead_state state;
    uint64_t round; /* 0: none yet */
    uint32_t quorum;
    uint32_t admitted;                       /* devices that were ever granted an upload */
    uint32_t listed, drawn;                  /* where the set is drawn: of so many so many */
    uint32_t unsound;                        /* uploads refused for their count lane */
    uint32_t staged;                         /* complete, not yet durable */
    uint32_t committed;                      /* durable */
    uint32_t included;                       /* in the frozen set; 0 before */
    uint64_t opened_ms, closed_ms, ended_ms; /* monotonic; 0 = not yet */
    uint8_t model_hash[MR_HASH_BYTES];       /* of the next model, when published */
    enum mr_void_kind void_kind;             /* when void */
    bool ending;                             /* void, and that is not durable yet */
    char reason[300];                        /* when void */
    bool opened;         /* openings were asked for, or may have been: also when void */
    char waits_for[300]; /* the other hub that it waits for, and what came last; "": none */
};
void mr_lead_report(const struct mr_lead *lead, struct mr_lead_report *report);
const char *mr_lead_state_name(enum mr_lead_state state);

#endif
