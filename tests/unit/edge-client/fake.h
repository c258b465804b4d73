/* fake.h - a federation inside the test: hubs with real keys, real receipts and real masks, behind
 * a env (edge-client/session/device_env.h) with a virtual clock. Knobs make it misbehave. */
#ifndef MRE_TEST_FAKE_H
#define MRE_TEST_FAKE_H

#include "edge-client/session/client.h"
#include "edge-client/trainer/sgd.h"
#include "tests/unit/edge-client/receiver.h"
#include "appliance/aggregate/sum.h"
#include "wire/audit.h"
#include "wire/safetensors.h"
#include "wire/share.h"

#define FAKE_ATTEMPTS 16
#define FAKE_ROUNDS   80
#define FAKE_ALL_HUBS 0xffu

struct fake {
    struct mr_cancel cancel; /* of its clients; wakes nobody, since nobody waits */
    char dir[64];            /* data_dir, certificates, CSV; removed by fake_fini */
    uint64_t now_us;
    struct mr_sgd_random random;

    unsigned hub_count;
    uint8_t private_keys[MR_HUBS_MAX][32];
    struct mr_hpke_pair seals[MR_HUBS_MAX]; /* the helpers', for every round */
    struct mr_announcement announcement;
    struct mr_round_terms terms;
    uint8_t envelope[MR_ANNOUNCEMENT_SIGNED_MAX];
    size_t envelope_bytes;
    uint8_t *model;
    size_t model_bytes;

    /* --- knobs --- */
    enum mre_number_type number_type; /* of the client's options */

    unsigned loss;            /* percent of datagrams, each way */
    unsigned busy;            /* so many grants are refused first, with busy_code */
    unsigned busy_currents;   /* so many questions for the announcement, likewise */
    unsigned busy_seeds;      /* so many seeds */
    unsigned busy_puts;       /* so many whole shares */
    unsigned busy_statuses;   /* so many questions for an upload's status */
    const char *busy_code;    /* "busy" */
    const char *accept;       /* of the client's options; NULL */
    uint32_t busy_ms;         /* retry_after_ms of these refusals */
    unsigned break_grants;    /* so many grants are lost on the way back */
    unsigned break_seeds;     /* so many receipts are lost on the way back */
    unsigned break_models;    /* so many downloads are cut off */
    unsigned break_puts;      /* so many shares arrive, and the answer is lost */
    unsigned forget_uploads;  /* so many times the lead restarts before an upload is committed */
    bool tells_committed;     /* with an ACK, a moment after the last chunk */
    unsigned refuse_connects; /* so many connections fail */
    unsigned given_up;        /* connections that nobody was to use any more */
    unsigned idle_ms;         /* hubs close a connection that rests longer; 0: never */
    bool refuse_certificate;
    bool corrupt_model;
    bool bad_receipts;
    bool other_masks;         /* receipts are well made, for another count mask */
    const char *udp_host;     /* of the grants; NULL: 127.0.0.1, where the connections go */
    const char *refuse_grant; /* code, or NULL */
    enum mr_upload_reason refuse_upload; /* not NONE: ACKs and status say refused */
    bool hold_staged;                    /* never commits */
    struct mr_round_end end;             /* how the round ends */
    unsigned end_polls;                  /* so many questions for it find it under way */
    unsigned break_ends;                 /* so many of its answers are lost */
    const char *refuse_end;              /* code, or NULL */
    /* Bit per hub: it signs of every earlier round that it did not open it … */
    unsigned unopened;
    unsigned forge_hub; /* … this one, if not 0, … */
    void (*forge)(struct fake *fake, uint64_t round,
                  uint8_t signature[MR_SIGNATURE_BYTES]); /* … so */
    /* Changes the proof of that hub, which is honest; true: it gives none. NULL: they stay honest.
     */
    bool (*forge_proof)(struct fake *fake, unsigned hub, struct mr_audit_proof *proof);
    bool tells_time_left;   /* with the announcement */
    uint64_t time_left_ms;  /* … what it says; 0: the truth */
    int64_t clock_ahead_ms; /* of the device, before the lead's */
    const char *refuse_why; /* refuse_certificate: in other words than its own */

    /* --- what happened --- */
    unsigned proofs;     /* questions for a proof, to any hub */
    unsigned ends;       /* questions for the round's end, to the lead */
    unsigned statements; /* … to any hub, of a round before the one that is announced */
    uint8_t hashes[FAKE_ROUNDS][MR_HASH_BYTES]; /* of the announcements, by round */
    unsigned connects, seeds_posted, grants, puts, models_sent, attempts, statuses;
    unsigned models_whole_ms, puts_whole_ms; /* that the newest of these might take in all */
    unsigned others_extended;                /* other questions that might take two timeouts */
    unsigned impatient;                      /* questions before a hub's retry_after_ms was over */
    uint64_t quiet_until_us[MR_HUBS_MAX];    /* each hub's */
    uint32_t last_attempt;
    unsigned udp_opened;      /* sockets */
    bool receipt_lost;        /* the newest */
    unsigned last_connection; /* of the newest grant */
    uint8_t seeds[FAKE_ATTEMPTS][MR_HUBS_MAX][MR_SEED_BYTES];
    struct mr_seed_request sealed[FAKE_ATTEMPTS][MR_HUBS_MAX];
    uint32_t count_lane; /* what the share's has to be, by the newest grant's receipts */
    uint8_t first_share[FAKE_ATTEMPTS][64]; /* start of each attempt's share as it arrived */
    bool receiving;
    struct receiver receiver;
    enum mr_upload_state state;
    unsigned acks_due;
    uint8_t *committed; /* the share that was committed */
    uint32_t committed_attempt;
    uint64_t unix_start_ms;
    /* All that left its clients, in order: of each question the hub, method, path, type and body,
     * of each datagram its bytes. TLS is not here, nor what answers said. */
    uint8_t *sent;
    size_t sent_bytes, sent_room;
};

/* Makes the folder, keys, a model of layers 8-4-3 and an announcement of round 1. */
void fake_init(struct fake *fake, unsigned hub_count, uint8_t ring_bits);
void fake_fini(struct fake *fake);
/* The hubs' wall clock. */
uint64_t fake_hubs_ms(const struct fake *fake);
/* Signs the announcement again after a change. */
void fake_announce(struct fake *fake);
/* Other tensors, whose values are made up; then fake_announce. */
void fake_model(struct fake *fake, const struct mr_tensor *tensors, unsigned count);
/* A text of the model file's "__metadata__" (NULL: none); then fake_announce. */
void fake_set_text(struct fake *fake, const char *member, const char *text);
/* Divides a model that was all trained until now (wire/tensor_parts.h; NULL: no such tensors), of
 * which so many values are trained then, and announces it. */
void fake_divide(struct fake *fake, const char *frozen, const char *personal, uint32_t trained);
void fake_world(struct fake *fake, struct mr_device_env *env);
/* Opens a client of this federation. */
struct mre_client *fake_client(struct fake *fake, enum mre_transport transport,
                               const char *dump_dir);
/* The committed share plus all masks, as packed share bytes (malloc'd). */
uint8_t *fake_open_sum(struct fake *fake);

#endif
