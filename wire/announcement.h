/* announcement.h - a round's announcement: canonical bytes, hash, signatures.
 *
 * Byte layout: docs/wire-format.md, "Announcement". One struct has exactly one encoding, and the
 * decoder refuses every byte string that is not the encoding of a valid struct; so the hash names
 * the round's terms. All hubs sign; a device needs every signature. */
#ifndef MR_WIRE_ANNOUNCEMENT_H
#define MR_WIRE_ANNOUNCEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/layout.h"
#include "wire/optimiser.h"
#include "wire/privacy_terms.h"
#include "wire/quantiser.h"
#include "wire/task.h"
#include "wire/watermark_terms.h"

#define MR_ANNOUNCEMENT_VERSION 10

#define MR_HUBS_MAX         5
#define MR_HUB_NAME_MAX     63 /* without NUL; [a-z0-9.-] */
#define MR_TRAINING_MAX     1023
#define MR_HASH_BYTES       32
#define MR_PUBLIC_KEY_BYTES 32
#define MR_SIGNATURE_BYTES  64
#define MR_ROUND_MAX        ((UINT64_C(1) << 53) - 1) /* exact in a double, as JSON has them */
#define MR_HEADROOM_MIN     4 /* a wrap of the ring cannot be small by accident */
#define MR_HEADROOM_MAX     64
#define MR_ANNOUNCEMENT_MAX 2304 /* canonical bytes */
#define MR_SEAL_KEY_BYTES   32   /* X25519 */
#define MR_AUDIT_HOURS_MAX  2160 /* 90 days */
#define MR_METRICS_MAX      8
#define MR_METRIC_NAME_MAX  32 /* without NUL */
#define MR_ANNOUNCEMENT_SIGNED_MAX                                                                 \
    (2 + MR_ANNOUNCEMENT_MAX +                                                                     \
     MR_HUBS_MAX * (MR_SEAL_KEY_BYTES + MR_SIGNATURE_BYTES)) /* signed envelope */

enum mr_noise_kind {
    MR_NOISE_NONE = 0,
    MR_NOISE_HUB = 1,    /* each hub adds noise of the full scale to its result */
    MR_NOISE_DEVICE = 2, /* each device adds its part to its vector */
};

/* What devices of the round send. */
enum mr_round_kind {
    MR_ROUND_TRAINING = 0,           /* an update; metrics of the model after training */
    MR_ROUND_EVALUATED_TRAINING = 1, /* … and metrics of the model before training too */
    MR_ROUND_EVALUATION = 2,         /* metrics of the model alone: there is no next model */
};

/* How a device's seeds travel to their helpers. */
enum mr_seal_kind {
    MR_SEAL_HPKE =
        1, /* RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM */
};

struct mr_announced_hub {
    uint16_t
        index; /* the first entry is the lead; helpers follow, strictly rising; no index twice */
    uint8_t public_key[MR_PUBLIC_KEY_BYTES]; /* Ed25519; no key twice in the list */
    char name[MR_HUB_NAME_MAX + 1];
};

/* A number that devices report by name, and the range that it is in (metric.h). */
struct mr_announced_metric {
    char name[MR_METRIC_NAME_MAX + 1];
    float low, high;
};

struct mr_announcement {
    uint64_t round;            /* 1..MR_ROUND_MAX, rising */
    uint64_t deadline_unix_ms; /* >= 1; uploads complete by then, or are left out */
    uint32_t dimension;        /* D: values that are trained (wire/tensor_parts.h) */
    uint32_t model_values;     /* of the model file, more than D; 0: D, all of them are trained */
    uint8_t ring_bits;         /* one of mr_ring_widths */
    uint8_t rotation_log2;     /* 0 = none, else log2 of the Hadamard block, at most 16 */
    uint8_t noise_kind;        /* enum mr_noise_kind */
    uint8_t kind;              /* enum mr_round_kind */
    uint8_t metric_count;      /* 0..MR_METRICS_MAX; >= 1 in rounds that evaluate */
    uint16_t chunk_bytes;
    uint32_t cohort_min; /* >= 2 */
    uint8_t levels;      /* a lane is -levels..levels; 1..MR_LEVELS_MAX */
    uint8_t headroom;    /* MR_HEADROOM_MIN..MR_HEADROOM_MAX: the ring holds so many largest sums */
    uint8_t seal;        /* enum mr_seal_kind */
    uint32_t cohort_max; /* headroom * (cohort_max * levels + noise's tail) < 2^(ring_bits - 1) */
    uint32_t weight_max; /* ω_max >= 1, cohort_max * weight_max < 2^32 */
    float scale;         /* quantisation steps per unit; finite, normal, > 0 */
    float clip_norm;     /* C; finite, normal, > 0 */
    uint32_t
        quorum; /* 0: none is said; else the round may close at so many, cohort_min..cohort_max */
    /* 0: the set is whoever comes first. Else above cohort_max: so many may be admitted, and the
     * hubs draw cohort_max of those that are ready (wire/draw.h). */
    uint32_t admitted_max;
    float
        step_max; /* L2 norm of the largest step of the model that is taken; finite, normal, > 0 */
    struct mr_optimiser optimiser; /* how hubs step from this model to the next */
    uint16_t audit_hours; /* so long after the deadline each hub keeps what it counted, and commits
                             to its tree (audit.h); 0: nothing of it. At most MR_AUDIT_HOURS_MAX */
    struct mr_privacy_terms privacy;
    uint8_t model_hash[MR_HASH_BYTES];    /* SHA-256 of the model file to start from */
    uint8_t rotation_seed[MR_HASH_BYTES]; /* public; signs of the rotation */
    char task[MR_TASK_NAME_MAX + 1];      /* mr_task_name_valid */
    char training[MR_TRAINING_MAX + 1];   /* JSON for the trainer, printable ASCII; may be empty */
    struct mr_announced_metric metrics[MR_METRICS_MAX];
    uint8_t hub_count; /* 2..MR_HUBS_MAX */
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    struct mr_watermark_terms watermark; /* rounds that train */
};
_Static_assert(MR_WATERMARK_PARTS_MAX == MR_HUBS_MAX, "each hub has a part of a mark's key");

/* A verified announcement: what a hub or device holds for a round. */
struct mr_round_terms {
    struct mr_announcement announcement;
    struct mr_layout layout;
    uint8_t hash[MR_HASH_BYTES]; /* announcement_hash = SHA-256(canonical bytes) */
    /* Of the helpers, by position in the list: what seeds of this round are sealed to. Only a
     * signed envelope brings them (mr_announcement_open); zeros else. */
    uint8_t seal_keys[MR_HUBS_MAX][MR_SEAL_KEY_BYTES];
};

/* A hub's word for an announcement. */
struct mr_hub_signature {
    uint8_t seal_key[MR_SEAL_KEY_BYTES]; /* a helper's, fresh for the round; the lead has none */
    uint8_t bytes[MR_SIGNATURE_BYTES];
};

/* The layout of the round's shares: of an evaluation round one unit of main lanes, which are zero.
 * 0, or -1 where mr_layout_init says so. */
int mr_announcement_layout(struct mr_layout *layout, const struct mr_announcement *announcement);

/* Whether the round makes a next model; and whether it tells of the model that it begins with. */
static inline bool mr_announcement_trains(const struct mr_announcement *announcement)
{
    return announcement->kind != MR_ROUND_EVALUATION;
}
static inline bool mr_announcement_evaluates(const struct mr_announcement *announcement)
{
    return announcement->kind != MR_ROUND_TRAINING;
}

/* Checks every rule stated above, ring bound included; the error names the field. 0 or -1. */
int mr_announcement_check(const struct mr_announcement *announcement, struct mr_error *error);

/* Encodes a valid announcement (MR_ASSERTs validity). Returns the length. */
size_t mr_announcement_encode(uint8_t out[MR_ANNOUNCEMENT_MAX],
                              const struct mr_announcement *announcement);

/* Decodes canonical bytes (exact length) and checks them; fills terms. 0 or -1. */
int mr_round_terms_decode(struct mr_round_terms *terms, const uint8_t *bytes, size_t length,
                          struct mr_error *error);

/* Ed25519 over label "millrace announcement" (len8 ‖ label) ‖ announcement_hash ‖ the helper's seal
 * key; NULL: the signer is the lead, which has none. The two texts differ in length, so no
 * signature is ever both. 0, or -1 when OpenSSL fails. */
struct mr_signing_pair; /* wire/exchange.h */
int mr_announcement_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *seal_key, const struct mr_signing_pair *pair);
int mr_announcement_verify(const uint8_t signature[MR_SIGNATURE_BYTES],
                           const uint8_t hash[MR_HASH_BYTES], const uint8_t *seal_key,
                           const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* Proposal, as the lead puts it to a helper = canonical bytes ‖ the lead's signature. Decodes only:
 * *signature points into the bytes, and is for the caller to verify with a key that it trusts. 0 or
 * -1. */
#define MR_PROPOSAL_MAX (MR_ANNOUNCEMENT_MAX + MR_SIGNATURE_BYTES)
int mr_proposal_decode(struct mr_round_terms *terms, const uint8_t **signature,
                       const uint8_t *bytes, size_t length, struct mr_error *error);

/* Signed envelope = be16(length) ‖ canonical bytes ‖ the lead's signature ‖ for each helper in list
 * order its seal key ‖ its signature. Decodes, then verifies every signature against the keys *in
 * the announcement*; the caller must still compare the hub list with the keys it trusts
 * (mr_announcement_trusts). 0 or -1. */
int mr_announcement_open(struct mr_round_terms *terms, const uint8_t *bytes, size_t length,
                         struct mr_error *error);
size_t mr_announcement_seal(uint8_t out[MR_ANNOUNCEMENT_SIGNED_MAX], const uint8_t *canonical,
                            size_t length, const struct mr_hub_signature *signatures,
                            unsigned hub_count);

/* Whether the set of such a round is drawn, and how many devices may be admitted to it. */
static inline bool mr_announcement_draws(const struct mr_announcement *announcement)
{
    return announcement->admitted_max != 0;
}
static inline uint32_t mr_announcement_admits(const struct mr_announcement *announcement)
{
    return announcement->admitted_max ? announcement->admitted_max : announcement->cohort_max;
}

/* 0 if the announcement's hubs are exactly the pinned ones (index and key, same order), else -1
 * with an error that names the hub that differs. */
int mr_announcement_trusts(const struct mr_announcement *announcement,
                           const struct mr_announced_hub *pinned, unsigned pinned_count,
                           struct mr_error *error);

/* The position in the list of the hub with that index, or -1. */
int mr_announcement_hub(const struct mr_announcement *announcement, uint16_t index);

#endif
