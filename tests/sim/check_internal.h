/* check_internal.h - the model's state, shared by the check*.c. */
#ifndef MR_TESTS_SIM_CHECK_INTERNAL_H
#define MR_TESTS_SIM_CHECK_INTERNAL_H

#include <jansson.h>

#include "tests/sim/check.h"
#include "tests/sim/map.h"
#include "wire/exchange.h"

/* A lead that has recovered goes on from another number, and may do so once more when it hears of
 * higher ones. */
#define ROUNDS_OF_LIFE 1280
#define LIVES_MAX      (2 * SIM_PUT_BACK_MAX)
#define ROUNDS_MAX     (ROUNDS_OF_LIFE * LIVES_MAX)

struct round {
    bool opened, calm, published, given_up;
    bool seen;                     /* a helper has signed it */
    uint8_t parent[MR_HASH_BYTES]; /* the model that it begins with */
    uint8_t lied_to;    /* bit per hub: it was told another part of a mark's key than announced */
    uint8_t parts_told; /* bit per hub: it has told its part, with its opening */
    uint64_t frozen[SIM_HUBS];    /* bit per device: the set that the hub has committed to */
    bool unknown;                 /* the lead crashed before it had it on its disk */
    bool lost;                    /* the lead's files were put back from a copy without its end */
    bool made;                    /* some hub has revealed it … */
    uint8_t model[MR_HASH_BYTES]; /* … and this is what it led to */
    uint64_t told;                /* bit per device: it was promised that it counts */
    uint64_t included;            /* … it does, in the published round */
    uint64_t set;                 /* hash of the set that some hub has revealed; 0: none */
    uint64_t set_members;
};

/* Versions without a round between them: from, to. */
#define RESUMED_MAX 64
struct resumed {
    uint8_t pairs[RESUMED_MAX][2][MR_HASH_BYTES];
    char codes[RESUMED_MAX][SIM_CODES_BYTES]; /* of the recoveries that it ended */
    unsigned count;
};

/* What a hub has opened on one model, whatever the task: a row for each set, a number for each
 * device, in echelon form. */
#define OPENED_MAX 64
struct opened {
    uint64_t hub, model;                           /* 0: the place is free */
    uint64_t sets[OPENED_MAX], rounds[OPENED_MAX]; /* bit per device; task << 32 | round */
    unsigned count;
    uint32_t rows[OPENED_MAX][SIM_DEVICES];
    unsigned rank;
};

/* What a helper has taken in its round of a task. */
struct fair {
    uint64_t round, disks;
    uint32_t life; /* the process in which the round began */
    uint8_t announcement_hash[MR_HASH_BYTES];
    uint8_t order[SIM_DEVICES]; /* devices in the order of their first receipts */
    unsigned count;
    uint64_t admitted; /* bit per device */
    uint8_t list[SIM_DEVICES * MR_CLIENT_ID_BYTES + 4 + MR_HUBS_MAX * 96 + MR_SIGNATURE_BYTES];
    size_t list_bytes; /* 0: no list */
    unsigned draws;    /* in a row without a model, this one too */
    uint64_t drawn;    /* the last round before this one that had a list */
};

/* Of the recoveries that were seen: epochs are times, and a clock may have gone back between two.
 */
#define EPOCHS_MAX 16
struct epochs {
    uint64_t seen[EPOCHS_MAX];
    unsigned count;
};

/* A model that a task may have, by the plain calculation. */
struct known_model {
    uint8_t hash[MR_HASH_BYTES];
    unsigned task;
    float *values; /* D, then as many that rounding left out, then the optimiser's momentum */
};

struct sim_check {
    struct fair fair[SIM_HUBS][SIM_TASKS];
    struct round rounds[SIM_TASKS][ROUNDS_MAX];
    uint64_t bases[SIM_TASKS][LIVES_MAX]; /* that a lead's numbers go on from */
    unsigned lives[SIM_TASKS];            /* of them, beside the first, which is 0 */
    struct epochs epochs[SIM_HUBS][SIM_TASKS];
    struct resumed resumed[SIM_TASKS];
    struct opened *opened; /* grows */
    size_t opened_count;
    struct known_model *known; /* grows */
    size_t known_count;
    struct map seeds;     /* seed → who may use it */
    struct map chunks;    /* (device, lead, upload, chunk) → datagram */
    struct map nonces;    /* (key, nonce) → message */
    struct map keys;      /* AEAD → key */
    struct map answered;  /* (hub, task, round, step) → the question that was answered */
    struct map answers;   /* (hub, task, round, step, question) → the answer */
    struct map uploads;   /* (lead, upload id) → task, round, device */
    struct map verified;  /* signature, message and key → what verifying gave */
    struct map addresses; /* (lead, address) → bytes that may still be sent there */
};

struct round *check_round(struct sim *sim, const struct sim_task *task, uint64_t round);
/* The number of the round in that place; places rise with their numbers, from 1 on. */
uint64_t check_number(const struct sim *sim, const struct sim_task *task, unsigned place);
/* How the round ended, as the lead's disk has it: one that stops, or was killed right after it had
 * written that, could not say so. */
void check_take_record(struct sim_node *lead, const struct sim_task *task, uint64_t number);

/* --- check_sum.c ----------------------------------------------------------------------------- */
/* The record of a round on a hub's disk; NULL: none. */
json_t *check_record(struct sim_node *node, const struct sim_task *task, uint64_t round);
/* The bytes of a round's sum on a hub's disk; NULL: none. */
const uint8_t *check_kept_sum(struct sim_node *node, const struct sim_task *task, uint64_t round,
                              size_t *length);
/* A hub has computed a round's result: the sum is right, the set is large enough and everybody's.
 */
void check_revealed(struct sim_node *node, const struct sim_task *task, uint64_t round);

/* --- check_next.c ---------------------------------------------------------------------------- */
/* What a task begins with; another version of a model, with the same values and state. */
void check_next_begin(struct sim *sim, const struct sim_task *task, const uint8_t *initial);
void check_next_same(struct sim *sim, const struct sim_task *task, const uint8_t *from,
                     const uint8_t *to);
/* The model that the hub has made in this round, and the state that goes with it, are what its
 * opened sum leads to. */
void check_next_model(struct sim_node *node, const struct sim_task *task, uint64_t round);
void check_next_free(struct sim_check *check);

/* --- check_mark.c ---------------------------------------------------------------------------- */
/* Puts the task's mark into the values where it has faded, and there is room for it. */
void check_mark(float *values, const struct sim_task *task);
/* No hub makes a model with a part that was not announced; and where a round is void by one, the
 * hub is named that told it. */
void check_lies_end(struct sim_node *node, const struct sim_task *task, uint64_t round);
void check_lies_named(struct sim *sim, const struct sim_task *task, uint64_t round,
                      const char *reason);
/* A log event's text. */
void check_parts_in_text(struct sim_node *node, const char *text);

/* --- check_opened.c -------------------------------------------------------------------------- */
/* Whether one is the other's next version without a round, or the next but one, … */
bool check_is_resumed(const struct sim *sim, const struct sim_task *task, const uint8_t *from,
                      const uint8_t *to);
/* A helper has committed to this set; has opened it. */
void check_frozen(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                  const uint8_t *body, size_t length);
void check_opening(struct sim_node *hub, const struct sim_task *task, uint64_t round);

/* --- check_fair.c ---------------------------------------------------------------------------- */
/* A helper has signed the round; given its first receipt to a device, maybe; said its value for
 * this list; committed to this set; made its model. */
void check_terms_signed(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                        const uint8_t hash[MR_HASH_BYTES]);
void check_seed_taken(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                      unsigned device);
void check_list(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                const uint8_t *body, size_t length);
void check_fair_set(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                    const uint8_t *body, size_t length);
/* Its count is that of a copy again, at most. */
void check_draws_forgotten(struct sim_node *hub, const struct sim_task *task);
void check_model_made(struct sim_node *hub, const struct sim_task *task, uint64_t round);

/* --- check_datagrams.c ----------------------------------------------------------------------- */
uint64_t check_hash(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Whose the upload is: task << 48 | round << 8 | device. Uploads of all tasks share a lead's ids.
 */
uint64_t *check_upload_owner(struct sim *sim, const struct sim_node *lead, uint64_t upload_id,
                             bool *fresh);

#endif
