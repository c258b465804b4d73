/* transcript_file.h - a hub's transcript of one task on its disk: records are added, and what is
 * there is never written again. A file that has grown full is closed and the chain goes on in the
 * next; none is ever removed here. One thread at a time. */
#ifndef MR_PRIVACY_TRANSCRIPT_FILE_H
#define MR_PRIVACY_TRANSCRIPT_FILE_H

#include "appliance/privacy/facts.h"
#include "appliance/storage/disk.h"
#include "wire/standing.h"

/* A file that is larger is followed by the next. */
#define MR_TRANSCRIPT_FILE_BYTES (16u << 20)

struct mr_transcript_file;

struct mr_transcript_config {
    const struct mr_disk *disk; /* the transcript's own folder */
    unsigned newest;            /* highest number of a file there; 0: none */
    uint16_t hub;
    const char *task;
    const uint8_t *private_key; /* Ed25519 seed; copied, wiped at the end */
    uint64_t file_bytes;        /* 0: MR_TRANSCRIPT_FILE_BYTES */
};

/* Reads the newest file and checks that it is this hub's chain. A torn end is passed over: nothing
 * in it was ever spoken of. 0, or -1 with an error that says what to do. */
int mr_transcript_file_open(struct mr_transcript_file **file,
                            const struct mr_transcript_config *config, struct mr_error *error);
void mr_transcript_file_close(struct mr_transcript_file *file); /* NULL allowed */

/* Signs the batch's records and makes them durable with one sync. What the newest round has on
 * record with the same content is not recorded twice, so that a hub that restarts may say all
 * again. 0, or -1: nothing of it may be spoken of, and the hub stops. */
int mr_transcript_file_add(struct mr_transcript_file *file, const struct mr_facts_batch *batch,
                           uint64_t unix_ms, struct mr_error *error);

/* Where the chain stands. sequence 0: nothing is recorded yet. */
struct mr_transcript_head {
    uint64_t sequence, round;
    uint8_t head[MR_HASH_BYTES];
};
void mr_transcript_file_head(const struct mr_transcript_file *file,
                             struct mr_transcript_head *head);
/* Whether such a record of the round is there, and it is the newest round. */
bool mr_transcript_file_has(const struct mr_transcript_file *file, uint64_t round,
                            enum mr_evidence_kind kind);
/* The terms of that round as this hub signed them (canonical bytes, borrowed until the next _add),
 * if it is the newest round. NULL: they are not on record. */
const uint8_t *mr_transcript_file_terms(const struct mr_transcript_file *file, uint64_t round,
                                        size_t *length);
/* Whether this hub has opened its result of that round, or was about to; likewise. */
bool mr_transcript_file_opened(const struct mr_transcript_file *file, uint64_t round);
/* Whether the round's end is on record, and it is the newest round. */
bool mr_transcript_file_ended(const struct mr_transcript_file *file, uint64_t round);

/* What is kept of the newest records, to tell a head that this chain has from one that it has not.
 */
#define MR_TRANSCRIPT_PAST 64
struct mr_transcript_past {
    uint64_t newest; /* sequence; 0: there is no record */
    unsigned count;  /* of heads that are known, the newest first of all */
    uint8_t heads[MR_TRANSCRIPT_PAST][MR_HASH_BYTES]; /* by sequence, modulo the size */
};
const struct mr_transcript_past *mr_transcript_file_past(const struct mr_transcript_file *file);
/* Whether the chain has that head at that place: 1, 0, or -1 where it is not known any more. */
int mr_transcript_past_has(const struct mr_transcript_past *past, uint64_t sequence,
                           const uint8_t head[MR_HASH_BYTES]);

/* The furthest that another hub has said of its own transcript, as this one has it on record. NULL:
 * nothing. */
const struct mr_standing *mr_transcript_file_heard(const struct mr_transcript_file *file,
                                                   uint16_t hub);

#endif
