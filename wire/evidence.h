/* evidence.h - a hub's transcript of a task: what it signed, was told and answered, as a chain of
 * signed records. Byte layouts: docs/wire-format.md, "Transcripts". Sans-IO.
 *
 * A record's head is the hash of all that it says and of the head before, and its signature is the
 * hub's over that head: so whoever knows one head knows that nothing before it was changed. */
#ifndef MR_WIRE_EVIDENCE_H
#define MR_WIRE_EVIDENCE_H

#include "wire/exchange.h"
#include "wire/keys.h"
#include "wire/task.h"

enum mr_evidence_kind {
    MR_EVIDENCE_ANNOUNCED = 1, /* this hub signed these terms: canonical announcement */
    MR_EVIDENCE_SIGNED, /* signatures of them: u8 count ‖ (be16 hub ‖ seal key ‖ signature)… */
    MR_EVIDENCE_ADMITTED,  /* who was admitted before the freeze: hash ‖ be32 count ‖ root */
    MR_EVIDENCE_SET,       /* who is counted: hash ‖ set bytes */
    MR_EVIDENCE_COMMITTED, /* one hub's commitment: hash ‖ commitment bytes */
    MR_EVIDENCE_OPENED,    /* one hub's opening: hash ‖ be16 hub ‖ nonce ‖ result hash */
    MR_EVIDENCE_MODEL, /* the end: hash ‖ set hash ‖ model hash ‖ u8 count ‖ signatures */
    /* The end: hash ‖ u8 opened ‖ u8 ordered ‖ where ordered the lead's signature of that ‖ reason,
     * to the record's end. */
    MR_EVIDENCE_VOID,
    MR_EVIDENCE_LISTED, /* who the set is drawn from: hash ‖ the list as its lead signed it */
    MR_EVIDENCE_DRAWN,  /* hash ‖ every hub's value of the draw, in list order */
    /* What the release cost each device of its set: hash ‖ set hash ‖ be64 rho ‖ be64 records of
     * the ledger, this one included ‖ the ledger's head ‖ hash of this hub's seed of noise. */
    MR_EVIDENCE_DEBITED,
    /* Of the hub and not of a round, whose number is that of the record before: the hub was older
     * than itself, and its operator recovered: be64 epoch ‖ be64 sequence ‖ be64 round (the
     * furthest that was shown of its own promises; 0: nothing was) ‖ why, to the record's end. */
    MR_EVIDENCE_RECOVERED,
    /* Likewise: another hub's word on where its transcript stands (standing.h). */
    MR_EVIDENCE_HEARD,
};
#define MR_EVIDENCE_KINDS           14
#define MR_EVIDENCE_RECOVERED_BYTES 24 /* of its body, without the text */
#define MR_EVIDENCE_DEBITED_BYTES   (MR_HASH_BYTES + 8 + 8 + 2 * MR_HASH_BYTES) /* but its hash */

const char *mr_evidence_kind_name(enum mr_evidence_kind kind); /* "announced" …; "?" */

/* Whose transcript. */
struct mr_evidence_owner {
    uint16_t hub;
    uint8_t public_key[MR_PUBLIC_KEY_BYTES];
    char task[MR_TASK_NAME_MAX + 1];
};

/* The first entry of each file. */
struct mr_evidence_header {
    struct mr_evidence_owner owner;
    uint32_t number;               /* of the file, from 1 */
    uint64_t sequence;             /* of its first record */
    uint8_t before[MR_HASH_BYTES]; /* the head that it goes on from */
};
#define MR_EVIDENCE_HEADER_MAX                                                                     \
    (4 + 2 + 2 + MR_PUBLIC_KEY_BYTES + 1 + MR_TASK_NAME_MAX + 4 + 8 + MR_HASH_BYTES +              \
     MR_SIGNATURE_BYTES)

struct mr_evidence_record {
    uint64_t sequence; /* from 1 */
    enum mr_evidence_kind kind;
    uint64_t round, unix_ms;
    uint8_t before[MR_HASH_BYTES]; /* the head of the record before */
    const uint8_t *body;           /* borrowed */
    size_t body_bytes;
    uint8_t head[MR_HASH_BYTES]; /* of this one */
    uint8_t signature[MR_SIGNATURE_BYTES];
};
/* Of a record but its body. */
#define MR_EVIDENCE_RECORD_BYTES (8 + 1 + 8 + 8 + MR_HASH_BYTES + MR_SIGNATURE_BYTES)

/* The head before the first record. 0, or -1 when OpenSSL fails. */
int mr_evidence_begin(uint8_t head[MR_HASH_BYTES], const struct mr_evidence_owner *owner);

/* Encodes and signs; returns the length, 0 when OpenSSL fails. _encode fills the record's head and
 * signature; `out` has room for MR_EVIDENCE_RECORD_BYTES and the body. */
size_t mr_evidence_header_encode(uint8_t out[MR_EVIDENCE_HEADER_MAX],
                                 const struct mr_evidence_header *header,
                                 const struct mr_signing_pair *pair);
size_t mr_evidence_record_encode(uint8_t *out, struct mr_evidence_record *record,
                                 const struct mr_signing_pair *pair);

/* Takes exactly what the encoder writes; the record's head is computed, its body points into the
 * bytes. -1 with a text: it is none. Says nothing of signatures. */
int mr_evidence_header_decode(struct mr_evidence_header *header, const uint8_t *bytes,
                              size_t length, struct mr_error *error);
int mr_evidence_record_decode(struct mr_evidence_record *record, const uint8_t *bytes,
                              size_t length, struct mr_error *error);

/* Whether the hub with that key has signed it. 0 or -1. */
int mr_evidence_header_verify(const uint8_t *bytes, size_t length,
                              const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);
int mr_evidence_record_verify(const struct mr_evidence_record *record,
                              const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* What was admitted, as a tree of hashes (RFC 6962, section 2.1), so that one leaf can be shown
 * without the others. A leaf: client 16 ‖ be32(attempt) ‖ 32 bytes of what was admitted: at a
 * helper the hash of its seed, at the lead zeros. `leaves` are leaf hashes, rising by client and
 * attempt; they are overwritten. 0 or -1. */
int mr_evidence_leaf(uint8_t leaf[MR_HASH_BYTES], const struct mr_included *included,
                     const uint8_t *seed);
int mr_evidence_root(uint8_t root[MR_HASH_BYTES], uint8_t (*leaves)[MR_HASH_BYTES], size_t count);

#endif
