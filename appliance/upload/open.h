/* open.h - opening sealed chunks and sealing answers, a burst at a time, under the upload keys of a
 * worker's sessions.
 *
 * An opener has one place for a key for each session, made at start-up: giving a key or opening a
 * burst allocates nothing and takes no lock. Two implementations that agree bit for bit:
 * intel-ipsec-mb (x86-64 with AES-NI, where the build has it) and OpenSSL. Tags are compared in
 * constant time. One thread; to be opened on it, so that the keys lie near its CPU. */
#ifndef MR_UPLOAD_OPEN_H
#define MR_UPLOAD_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/aead.h"
#include "base/error.h"

enum mr_opener_kind {
    MR_OPENER_AUTO = 0, /* the fastest that works here */
    MR_OPENER_OPENSSL,
    MR_OPENER_IPSEC_MB,
};

struct mr_opener;

/* A sealed chunk of at most MR_CHUNK_BYTES_MAX bytes. */
struct mr_open_job {
    uint64_t sequence;
    const uint8_t *datagram; /* header (AAD), cipher, tag */
    uint8_t *plain;          /* bytes[] of room; must not overlap the datagram */
    uint32_t bytes;          /* of cipher */
    uint32_t key;            /* the place of the key; it was given */
    bool past_cache;         /* `plain` is not read soon: it may be written past the caches */
    bool held;               /* out: the tag holds; otherwise what `plain` holds must not be used */
};

/* Maps and touches places for `keys` keys. cpu_levels: the instruction levels that may be used, of
 * enum mr_cpu_level; 0: all that there are (OpenSSL has its own way to be told, OPENSSL_ia32cap).
 * NULL when out of memory, or when that very kind was asked for and is not to be had here. */
struct mr_opener *mr_opener_open(enum mr_opener_kind kind, uint32_t keys, uint32_t cpu_levels,
                                 struct mr_error *error);
void mr_opener_close(struct mr_opener *opener); /* wipes; NULL allowed */

const char *mr_opener_name(const struct mr_opener *opener); /* "ipsec_mb", "openssl" */
const char *mr_opener_why(const struct mr_opener *opener);  /* a sentence */

/* Sets or replaces the key at a place. 0, or -1 when it is refused (the place then has none). */
int mr_opener_key(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key);
/* Wipes it. A place without a key is fine. */
void mr_opener_forget(struct mr_opener *opener, uint32_t place);

/* Opens a burst. Jobs of one burst must not write to the same bytes; they are opened in any order.
 */
void mr_open_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count);

/* A short datagram to seal in place: header (AAD) and plain text lie there, the tag comes behind.
 */
struct mr_seal_job {
    uint64_t sequence; /* never used twice under one key */
    uint8_t *datagram; /* MR_DATAGRAM_OVERHEAD + bytes */
    uint32_t bytes;    /* of text */
    uint32_t key;      /* the place of the key; it was given */
    bool sealed;       /* out: otherwise what the datagram holds must not be sent */
};

/* Seals a burst. A key that opens must not seal: its numbers would be used twice. */
void mr_seal_burst(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count);

#endif
