/* lead_internal.h - the lead's state, shared by the files of this folder only. */
#ifndef MR_ROUND_LEAD_LEAD_INTERNAL_H
#define MR_ROUND_LEAD_LEAD_INTERNAL_H

#include "appliance/round/lead/commit_state.h"
#include "appliance/round/lead/lead.h"
#include "appliance/round/lead/registry.h"

#define LEAD_NEVER UINT64_MAX

struct lead_peer {
    bool waiting;         /* a question is out */
    bool done;            /* answered as it should be */
    unsigned tries;       /* of this step */
    uint64_t retry_at_ms; /* LEAD_NEVER: no retry planned */
    char why[160];        /* why the last try had no answer; "": none has come back */
};

/* Of a round whose set is drawn. */
struct lead_draw {
    struct mr_commit_draw said; /* its own value from the start on */
    uint64_t due_ms;            /* the list is made then, if enough are ready */
    bool writing;               /* the list is being made durable */
    uint8_t *list;              /* as every helper is asked; NULL: none yet */
    size_t list_bytes;
    uint8_t hash[MR_HASH_BYTES]; /* of the list */
    uint8_t *drawn;              /* 1 for each client of the list that is; NULL: not drawn yet */
    uint32_t drawn_count;
};

struct mr_lead {
    struct mr_lead_config config;
    struct mr_signing_pair keys;
    const struct mr_lead_ops *ops;
    void *context;
    enum mr_lead_state state;

    struct mr_round_terms terms; /* valid once round_known */
    bool round_known;
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    size_t canonical_bytes;
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    uint8_t receipt_keys[MR_HUBS_MAX][MR_RECEIPT_KEY_BYTES]; /* of the helpers that signed */
    uint8_t envelope[MR_ANNOUNCEMENT_SIGNED_MAX];
    size_t envelope_bytes;
    uint32_t quorum;
    uint32_t open_for_ms, draw_ms; /* as the round was opened with */
    uint64_t deadline_ms;

    struct mr_registry registry;
    struct mr_registry previous; /* the round before: late questions about uploads */
    uint64_t previous_round;
    /* What became of those uploads of the round before that a restart has forgotten; NONE: there
     * was no restart. The current round's: */
    enum mr_upload_reason previous_forgotten;
    bool recovered;
    struct mr_included *included; /* collected so far; sorted once frozen and durable */
    uint64_t *upload_ids;         /* of them */
    struct mr_serial *serials;    /* likewise, of their certificates */
    uint32_t included_count, included_capacity;
    uint32_t committed_count; /* leading entries of `included` that are durable */
    uint32_t staged_count;    /* complete, not collected */
    bool collecting;          /* a collection is out, being made durable or asked for */
    bool freezing;            /* … and it is the last */
    bool held;                /* … and goes back unused as soon as the end is durable */
    bool ending;              /* void, but that is not durable yet: nobody is told */
    uint64_t next_commit_ms;

    struct lead_draw draw;

    struct lead_peer peers[MR_HUBS_MAX]; /* by position; 0 is this hub */
    bool asking;
    enum mr_peer_step step;
    uint64_t step_deadline_ms;
    uint8_t *body; /* of the question of this step; openings: written for each hub */
    size_t body_bytes;

    uint8_t set_hash[MR_HASH_BYTES];
    struct mr_commitment commitments[MR_HUBS_MAX];
    uint8_t nonces[MR_HUBS_MAX][MR_NONCE_BYTES];
    const uint8_t *results[MR_HUBS_MAX];  /* [0] is borrowed, the others owned */
    struct mr_watermark_parts mark_parts; /* from the openings on; own at [0] */
    uint8_t model_hash[MR_HASH_BYTES];
    uint8_t model_hashes[MR_HUBS_MAX][MR_HASH_BYTES];
    uint8_t model_signatures[MR_HUBS_MAX][MR_SIGNATURE_BYTES];
    struct mr_opening_seal seals[MR_HUBS_MAX];  /* of the openings; [0] from the freeze on */
    unsigned commitments_known, openings_known; /* bits of positions, for the transcript */
    bool all_signed;                            /* the signatures are there */
    bool set_fixed;                             /* the set is sorted and hashed */
    uint8_t admitted_root[MR_HASH_BYTES];       /* once set_fixed */
    bool releasing; /* the ledger is asked for the set, and has not answered */
    bool opened;    /* … has it, or is asked to have it: a helper may have opened */
    bool revealed;  /* by this hub */
    bool working;   /* a reveal or store is under way outside */

    uint32_t admitted_count;
    uint32_t unsound_count; /* uploads refused for their count lane */
    uint64_t opened_ms, closed_ms, ended_ms;
    enum mr_void_kind void_kind;
    char reason[300];
};

static inline const struct mr_announcement *lead_announcement(const struct mr_lead *lead)
{
    return &lead->terms.announcement;
}

/* Files of this folder, from the ground up; each uses only those above it in this list.
 *
 * state.c: the only one that sets the state. */
void mr_lead_enter(struct mr_lead *lead, enum mr_lead_state state);
void mr_lead_set_timer(struct mr_lead *lead);
/* Where the set is drawn: whether devices that are ready are only listed yet; when the list of them
 * is closed, LEAD_NEVER: not with so few of them; lets go of the draw. */
bool mr_lead_registers(const struct mr_lead *lead);
uint64_t mr_lead_list_due_ms(const struct mr_lead *lead);
void mr_lead_drop_draw(struct mr_lead *lead);
const char *mr_lead_step_name(enum mr_peer_step step);
/* Memory for `more` entries of the included set. 0 or -1. */
int mr_lead_reserve(struct mr_lead *lead, uint32_t more);
/* Sorts the set, which is durable, and its ids with it. */
void mr_lead_sort_set(struct mr_lead *lead);
/* What is to be made durable now. */
void mr_lead_commit_state(const struct mr_lead *lead, enum mr_commit_phase phase,
                          struct mr_commit_state *state);

/* ask.c: asks every other hub; takes the malloc'd body over. A reveal's is written there, for each
 * hub that is asked. */
void mr_lead_ask_all(struct mr_lead *lead, enum mr_peer_step step, uint8_t *body, size_t length,
                     uint64_t now_ms);
void mr_lead_ask(struct mr_lead *lead, unsigned peer); /* one of them, once more */
void mr_lead_stop_asking(struct mr_lead *lead);

/* register.c, where the set is drawn: lists a device that is ready, and refuses it for now. */
enum mr_refusal_code mr_lead_register(struct mr_lead *lead, const struct mr_applicant *applicant,
                                      uint64_t now_ms, struct mr_refusal *refusal);
/* … refuses one that is not drawn. */
enum mr_refusal_code mr_lead_check_drawn(const struct mr_lead *lead, const uint8_t *client_id,
                                         struct mr_refusal *refusal);

/* admit.c: ends every upload that is not durable and every request that waits. */
void mr_lead_refuse_waiting(struct mr_lead *lead, enum mr_refusal_code code, const char *text);
void mr_lead_end_uploads(struct mr_lead *lead, enum mr_upload_reason reason);
/* Why an upload of the round that this process does not know has ended; NONE: it has not. */
enum mr_upload_reason mr_lead_forgotten(const struct mr_lead *lead);

/* end.c: the round is void. */
void mr_lead_void(struct mr_lead *lead, enum mr_void_kind kind, uint64_t now_ms, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
void mr_lead_tell_void(struct mr_lead *lead);
/* Lets go of what belonged to one round only, but for its registry. */
void mr_lead_drop_round(struct mr_lead *lead);

/* open.c: signs, and asks every other hub to. */
void mr_lead_propose(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_all_signed(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_opened(struct mr_lead *lead, uint64_t now_ms); /* … and that is durable */
int mr_lead_take_signature(struct mr_lead *lead, const struct mr_peer_answer *answer,
                           struct mr_error *error);

/* draw.c, where the set is drawn: closes the list if it is due; … it is durable; … every hub has
 * said its value. _take_ as below. */
void mr_lead_look_at_list(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_begin_draw(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_drawn(struct mr_lead *lead, uint64_t now_ms);
int mr_lead_take_value(struct mr_lead *lead, const struct mr_peer_answer *answer,
                       struct mr_error *error);
int mr_lead_recover_draw(struct mr_lead *lead, const struct mr_commit_draw *said); /* 0 or -1 */
/* Goes on with a draw that a restart cut off; false: there is none. */
bool mr_lead_draws_again(struct mr_lead *lead, uint64_t now_ms);

/* release.c: what the hubs say to each other about the frozen set. _take_* check one hub's answer:
 * -1 with a text, and the round is void. */
void mr_lead_begin_freeze(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_begin_open(struct mr_lead *lead, uint64_t now_ms);
int mr_lead_take_commitment(struct mr_lead *lead, const struct mr_peer_answer *answer,
                            struct mr_error *error);
int mr_lead_take_opening(struct mr_lead *lead, const struct mr_peer_answer *answer,
                         struct mr_error *error);

/* reveal.c: every opening is in; every hub has computed the next model. _take_ as above. */
void mr_lead_begin_reveal(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_publish(struct mr_lead *lead, uint64_t now_ms);
int mr_lead_take_model(struct mr_lead *lead, const struct mr_peer_answer *answer,
                       struct mr_error *error);

/* facts.c: what was admitted, as the set is fixed. 0, or -1 without memory. */
int mr_lead_admitted_root(const struct mr_lead *lead, uint8_t root[MR_HASH_BYTES]);

/* close.c */
void mr_lead_close(struct mr_lead *lead, uint64_t now_ms);
void mr_lead_collect(struct mr_lead *lead, bool freeze, uint64_t now_ms);
bool mr_lead_quorum(const struct mr_lead *lead);

/* peer.c: asks again where an answer is due; recover.c and lead.c are above all. */
void mr_lead_retry(struct mr_lead *lead, uint64_t now_ms);

#endif
