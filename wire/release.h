/* release.h - a version of a task's model as devices are told of it: the manifest that every hub
 * signs, each hub's word that it is the newest, and what a device makes of them. Format:
 * docs/wire-format.md, "Releases". Why each hub signs by itself: docs/decisions/0049-releases.md.
 *
 * Pure: the time is an argument. */
#ifndef MR_WIRE_RELEASE_H
#define MR_WIRE_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"
#include "wire/exchange.h"
#include "wire/task.h"

#define MR_RELEASE_FORMAT_F32   1  /* the model's file: safetensors, F32 */
#define MR_RELEASE_BLOCK_LOG2   20 /* of the blocks that are hashed one by one: 1 MiB */
#define MR_RELEASE_BLOCKS_MAX   8192
#define MR_RELEASE_BYTES_MAX    (160 + MR_TASK_NAME_MAX + 32 * MR_RELEASE_BLOCKS_MAX)
#define MR_RELEASE_WORD_BYTES   144
#define MR_RELEASE_SIGNED_MAX   (4 + MR_RELEASE_BYTES_MAX + 1 + MR_HUBS_MAX * MR_RELEASE_WORD_BYTES)
#define MR_RELEASE_FRACTION_ALL 10000 /* of devices, in hundredths of a per cent */
/* A word that holds for longer is not taken. */
#define MR_RELEASE_WORD_VALID_MAX_S (7 * 86400u)
/* A device's clock and a hub's may be so far apart. */
#define MR_RELEASE_SKEW_S 300u

/* Versions rise by round and, for those that no round made, by step. */
struct mr_release_version {
    uint64_t round;
    uint32_t step;
};
int mr_release_version_compare(const struct mr_release_version *a,
                               const struct mr_release_version *b);

struct mr_release {
    char task[MR_TASK_NAME_MAX + 1];
    struct mr_release_version version;
    uint8_t target_hash[MR_HASH_BYTES];       /* SHA-256 of the model's file … */
    uint64_t target_bytes;                    /* … which has so many bytes */
    uint8_t base_hash[MR_HASH_BYTES];         /* the model that it was made from; zeros: none */
    uint8_t announcement_hash[MR_HASH_BYTES]; /* of the round that made it; zeros: none did */
    uint32_t included;                        /* devices in the round's set */
    float epsilon;                            /* spent by the round; 0: not told */
    uint64_t not_before_s, expires_s;         /* Unix times; not_before 0: at once */
    uint32_t client_min; /* the oldest client: major << 16 | minor << 8 | patch */
    uint8_t format, block_log2;
    uint32_t block_count;
    const uint8_t *blocks; /* SHA-256 of each block of the file; the caller's bytes */
};

/* How many blocks a file of that size has. */
uint32_t mr_release_block_count(uint64_t bytes, uint8_t block_log2);

/* malloc'd; NULL: out of memory. The release must be one that _decode takes. */
uint8_t *mr_release_encode(const struct mr_release *release, size_t *length);
/* The pointers lead into the bytes. 0 or -1 with an error. */
int mr_release_decode(struct mr_release *release, const uint8_t *bytes, size_t length,
                      struct mr_error *error);

/* --- a hub's word ---------------------------------------------------------------------------- */
struct mr_release_word {
    uint16_t hub_index;
    uint8_t signature[MR_SIGNATURE_BYTES]; /* of the manifest, once and for ever */
    uint64_t issued_s;                     /* then, by this hub's clock, it was the newest … */
    uint32_t valid_s;                      /* … and whoever hears of it later asks again */
    uint16_t fraction;                     /* so many devices may have it now */
    uint8_t latest[MR_SIGNATURE_BYTES];    /* of these three */
};

struct mr_signing_pair; /* wire/exchange.h */
/* hash: SHA-256 of the manifest's bytes. 0, or -1 when OpenSSL fails or it does not hold. */
int mr_release_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                    const struct mr_signing_pair *pair);
int mr_release_verify(const struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                      const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);
int mr_release_sign_latest(struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                           const struct mr_signing_pair *pair);
int mr_release_verify_latest(const struct mr_release_word *word, const uint8_t hash[MR_HASH_BYTES],
                             const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* --- how it went on a device ------------------------------------------------------------------ */
enum mr_release_outcome {
    MR_RELEASE_KEPT,      /* installed, and the application is well with it */
    MR_RELEASE_WENT_BACK, /* installed, and the model before was put back */
    MR_RELEASE_FAILED,    /* it was taken, and what came could not be applied */
    MR_RELEASE_OUTCOMES
};
/* "kept", "went-back", "failed", as in the path of a report. */
const char *mr_release_outcome_name(enum mr_release_outcome outcome);
/* False: no such name. */
bool mr_release_outcome_find(enum mr_release_outcome *outcome, const char *name);

/* --- manifest and words together -------------------------------------------------------------- */
struct mr_signed_release {
    struct mr_release release;
    const uint8_t *manifest;
    size_t manifest_bytes;
    uint8_t hash[MR_HASH_BYTES]; /* of the manifest */
    unsigned word_count;
    struct mr_release_word words[MR_HUBS_MAX]; /* by rising index */
};

/* malloc'd; NULL: out of memory. */
uint8_t *mr_signed_release_encode(const uint8_t *manifest, size_t manifest_bytes,
                                  const struct mr_release_word *words, unsigned word_count,
                                  size_t *length);
/* Its form; no signature is looked at. The pointers lead into the bytes. 0 or -1 with an error. */
int mr_signed_release_decode(struct mr_signed_release *signed_release, const uint8_t *bytes,
                             size_t length, struct mr_error *error);

#endif
