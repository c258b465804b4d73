/* parties.h - a small world for the round's cores: one lead, its helpers, a fake upload plane and
 * devices, driven step by step on one thread with a clock of its own. */
#ifndef MR_TEST_ROUND_PARTIES_H
#define MR_TEST_ROUND_PARTIES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/round/lead/commit_state.h"
#include "appliance/round/drive/expand_list.h"
#include "appliance/round/helper/helper.h"
#include "appliance/round/helper/journal_state.h"
#include "appliance/round/lead/lead.h"
#include "appliance/model/next_model.h"
#include "appliance/upload/plane.h"
#include "appliance/aggregate/sum.h"
#include "wire/share.h"

#define WORLD_DEVICES  16
#define WORLD_HUBS     3
#define WORLD_STEPS    6
#define WORLD_BEGIN_MS 5000u
#define WORLD_GRACE_MS 70000u
#define WORLD_AHEAD_MS 900000u

/* What came back for a token. */
struct reply {
    bool done;
    enum mr_refusal_code code; /* MR_REFUSAL_NONE: answered */
    char text[300];
    uint8_t *body;
    size_t length;
    struct mr_upload_grant grant; /* of an admission */
};
void reply_fini(struct reply *reply);

struct world_device {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    struct mr_serial serial; /* the last byte is the device's number, and one */
    int8_t *q;               /* layout.lanes */
    uint32_t trailer[MR_TRAILER_LANES];
    uint32_t attempt;
    uint64_t upload_id;
};

/* One upload of the fake plane. */
struct world_upload {
    uint64_t id;
    unsigned device;
    uint32_t attempt, count_lane;
    enum { UPLOAD_LIVE, UPLOAD_STAGED, UPLOAD_COLLECTED, UPLOAD_GONE } state;
};

struct world;
/* A question or an answer between hubs on its way; may be changed in place. */
struct passage {
    unsigned peer;
    enum mr_peer_step step;
    bool answer;
    bool cut;   /* the hub that was asked has gone */
    int status; /* of an answer */
    uint8_t *body;
    size_t length;
};
typedef void (*tamper_fn)(struct world *world, struct passage *passage);

/* A hub's ledger of released sets, as on its disk; and the claim, which is in its memory. */
#define WORLD_SETS 16
struct world_set {
    uint8_t parent[MR_HASH_BYTES], announcement_hash[MR_HASH_BYTES], set_hash[MR_HASH_BYTES];
    uint8_t clients[WORLD_DEVICES][MR_CLIENT_ID_BYTES];
    unsigned count;
};
struct world_ledger {
    struct world_set sets[WORLD_SETS], claim;
    unsigned count;
};

struct world_event;
struct world_helper {
    struct world *world;
    struct mr_helper *core;
    struct mr_helper_last last; /* as on its disk */
    uint8_t *journal;           /* likewise: the snapshot, then records */
    size_t snapshot_bytes, journal_bytes;
    uint64_t asked; /* saves and appends */
    bool slow_disk; /* syncs take until world_sync */
    unsigned life;  /* events of an earlier one mean nothing */
    unsigned saves, forgets;
    unsigned expansions;
    struct world_ledger ledger;
    uint8_t model_hash[MR_HASH_BYTES]; /* of its reveal */
};

struct world_options {
    uint8_t ring_bits, rotation_log2;
    uint32_t dimension;
    unsigned hubs;
    uint32_t cohort_min, quorum;
    uint32_t deadline_ms;
    uint32_t cohort_max;   /* 0: WORLD_DEVICES */
    uint32_t admitted_max; /* 0: the set is not drawn */
    uint32_t draw_ms;
    bool quorum_announced;
    bool noised;                        /* every hub adds noise */
    const struct mr_lead_ops *lead_ops; /* NULL: the world's own */
    const struct mr_helper_ops *helper_ops;
};

struct world {
    struct world_options options;
    const struct mr_kernels *kernels;
    uint64_t now_ms, due_ms;
    uint64_t random;
    uint8_t private_keys[WORLD_HUBS][32];
    struct mr_announced_hub hubs[WORLD_HUBS];
    uint8_t *model;
    size_t model_bytes;
    uint8_t model_hash[MR_HASH_BYTES];
    const uint8_t *also_known; /* a model that helpers have, which is not current; NULL: none */
    struct mr_announcement announcement;
    struct mr_round_terms terms;

    struct mr_lead *lead;
    unsigned life; /* of the lead */
    uint8_t *log;  /* its commit log's newest generation */
    size_t log_bytes;
    struct mr_lead_end end;                  /* the round's record */
    struct world_ledger ledger;              /* the lead's */
    struct world_helper helpers[WORLD_HUBS]; /* by position; 0 unused */
    struct world_device devices[WORLD_DEVICES];

    struct world_event *first, **last;
    uint32_t taken_back; /* bit per device: its certificate was revoked … */
    unsigned list_at;    /* … and the hubs at these positions (a bit each) have heard of it */
    unsigned turns;      /* events so far */
    unsigned kill_at;    /* after so many, 0: never … */
    unsigned victim;     /* … this hub is killed */
    unsigned again;      /* … and once more after so many more; 0: no */
    tamper_fn tamper;
    unsigned unreachable;   /* so many questions fail below HTTP */
    bool hold[WORLD_STEPS]; /* questions of that step are kept back … */
    struct passage held;    /* … and the last one to hub 1 is here */
    unsigned asked[WORLD_STEPS];

    struct world_upload uploads[64];
    unsigned upload_count;
    uint64_t upload_ids; /* given ever */
    uint64_t collected[64];
    unsigned collected_count;
    bool collection_out, frozen;
    struct mr_vector_sum sum;
    uint8_t *packed;
    unsigned revokes, commits, returns_committed, returns_refused;
    struct mr_next_model_answer revealed; /* by the lead */
    unsigned reveals, stores;
    uint32_t published_count;
};

struct world *world_open(const struct world_options *options);
void world_close(struct world *world);

/* Three hubs, 100 values, six devices until the quorum. */
extern const struct world_options world_plain;
/* The same, and the hubs draw eight of up to sixteen devices a second after the opening. */
extern const struct world_options world_drawing;
/* A row of a list of tests: `function` gets a world with these options as its state. */
#define WORLD_TEST(function, options)                                                              \
    cmocka_unit_test_prestate_setup_teardown(function, world_setup, world_teardown,                \
                                             (void *)(options))
int world_setup(void **state);
int world_teardown(void **state);
/* The round was given up for this kind of reason, with this word in it, and no model was stored. */
void world_expect_void(struct world *world, enum mr_void_kind kind, const char *word);

/* Delivers everything that is on its way. */
void world_run(struct world *world);
/* Lets time pass, the lead's timer going off as it asked, until `ms` later. */
void world_advance(struct world *world, uint64_t ms);

/* The process is gone with all that it had not made durable; a new one takes up what the disk says.
 * Events on their way to it are lost; the other hubs' questions are asked again. */
void world_kill_lead(struct world *world);
void world_kill_helper(struct world *world, unsigned helper);
/* What a slow disk was asked for is durable. */
void world_sync(struct world *world, unsigned helper);

/* Opens the round and delivers; the lead is open then if nobody objects. */
enum mr_refusal_code world_begin(struct world *world, struct mr_refusal *refusal);

/* --- devices --------------------------------------------------------------------------------- */
/* Whether that hub's list names the certificate. */
bool world_revoked(const struct world *world, unsigned hub, const struct mr_serial *serial);
/* Draws the seeds of an attempt (always the same for the same device, attempt and helper). */
void world_seed(uint8_t seed[MR_SEED_BYTES], unsigned device, uint32_t attempt, unsigned helper);
/* That seed as it goes to the helper, sealed always to the same bytes; before the helper has signed
 * the round there is no key, and nothing is sealed. */
void world_seed_request(struct world *world, unsigned device, uint32_t attempt, unsigned helper,
                        struct mr_seed_request *request);
/* Takes the receipt that came for it. */
void world_take_receipt(struct world *world, unsigned device, uint32_t attempt, unsigned helper,
                        const struct reply *reply, struct mr_receipt *receipt);
/* Sends the seeds of an attempt to all helpers and fills the request with their receipts. */
void world_receipts(struct world *world, unsigned device, uint32_t attempt,
                    struct mr_upload_request *request);
/* Asks the lead for an upload; the reply must stay until it is done. */
void world_admit(struct world *world, unsigned device, const struct mr_upload_request *request,
                 struct reply *reply);
/* The two above, expected to succeed. */
void world_join(struct world *world, unsigned device, uint32_t attempt);
/* The device's whole share arrives at the plane. */
void world_stage(struct world *world, unsigned device);
/* join and stage for devices 0..count-1. */
void world_fill(struct world *world, unsigned count);

struct mr_upload_status world_status(struct world *world, unsigned device, uint64_t upload_id);
enum mr_lead_state world_state(struct world *world, struct mr_lead_report *report);
enum mr_helper_state world_helper_state(struct world *world, unsigned helper);

/* --- questions put to a helper by hand ------------------------------------------------------- */
void world_ask(struct world *world, unsigned helper, enum mr_peer_step step, const uint8_t *body,
               size_t length, struct reply *reply);
/* … who need not be one of the world's. */
void world_ask_core(struct world *world, struct mr_helper *core, enum mr_peer_step step,
                    const uint8_t *body, size_t length, struct reply *reply);
/* … to helper 1, which answers with that code (MR_REFUSAL_NONE: it does not refuse). */
void world_expect(struct world *world, enum mr_peer_step step, const uint8_t *body, size_t length,
                  enum mr_refusal_code expected);
/* … to which that hub proposes the announcement, signed as below. */
void world_expect_proposal(struct world *world, const struct mr_announcement *announcement,
                           uint16_t from, enum mr_refusal_code expected);
/* A proposal as the lead would put it, signed with its key; the length. */
size_t world_proposal(const struct world *world, const struct mr_announcement *announcement,
                      uint8_t out[MR_PROPOSAL_MAX]);
/* The lead's order to give the world's round up. */
void world_void(const struct world *world, const char *reason, struct mr_peer_void *message);
/* A freeze body for these devices (attempts as joined), with a commitment of the lead's key. */
size_t world_freeze_body(struct world *world, uint8_t *out, const unsigned *devices, unsigned count,
                         uint8_t commitment_fill);

/* The plain sum of the devices in bits `members`, checked against a packed ring sum. */
void world_check_sum(struct world *world, uint32_t members, const uint8_t *packed);

#endif
