/* played_rounds.h - rounds of three hubs as their transcripts have them, honest unless a test makes
 * a hub lie. */
#ifndef MR_TEST_PRIVACY_PLAYED_ROUNDS_H
#define MR_TEST_PRIVACY_PLAYED_ROUNDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "appliance/privacy/audit.h"
#include "appliance/privacy/transcript_file.h"
#include "wire/draw.h"

#define HUBS        3
#define DEVICES_MAX 24
#define COHORT_MIN  4
#define VOID_REASON "test: given up"
#define FILES_OF    8 /* of one hub, at most */

/* What one hub has of a round; a lie changes it. */
struct view {
    struct mr_round_terms terms;
    struct mr_included set[DEVICES_MAX];
    uint32_t set_count, admitted;
    uint8_t set_hash[MR_HASH_BYTES];
    struct mr_commitment commitments[HUBS];
    struct mr_opening_seal seals[HUBS];
    unsigned commitments_known, openings_known;
    uint8_t model_hash[MR_HASH_BYTES];
    struct mr_hub_signature signatures[HUBS];
    uint8_t model_signatures[HUBS][MR_SIGNATURE_BYTES];
    uint8_t void_signature[MR_SIGNATURE_BYTES];
    uint8_t list[1024]; /* to draw from, where there is one */
    size_t list_bytes;
    uint8_t values[HUBS][MR_DRAW_VALUE_BYTES];
    bool has_values;
    struct mr_facts_debit debit;
    bool pays; /* in a round with noise */
    bool skips_set, has_model, has_void, void_ordered, silent;
};

struct round {
    struct view views[HUBS];
};

struct played {
    char *dir;
    struct mr_signing_pair keys[HUBS];
    struct mr_disk_file *disks[HUBS];
    struct mr_transcript_file *transcripts[HUBS];
    uint64_t file_bytes;
    uint64_t unix_ms; /* of the records that come */
    bool noised;      /* rounds that are made from now on have noise, and devices pay */
    /* After `played_read`: */
    struct mr_audit_file files[HUBS * FILES_OF];
    char names[HUBS * FILES_OF][160];
    unsigned files_count;
};

void played_open(struct played *played, uint64_t file_bytes);
void played_close(struct played *played);

/* An honest round over `count` devices from number `first` on, from the model `parent`. */
void round_make(const struct played *played, struct round *round, uint64_t number,
                const uint8_t parent[MR_HASH_BYTES], unsigned first, unsigned count);
/* The view's hash, set hash, commitments and signatures follow from its terms, set and seals. */
void view_sign(const struct played *played, struct view *view);
/* What each hub knows goes into its transcript. */
void round_record(struct played *played, const struct round *round);

/* Closes the transcripts and reads their files. */
void played_read(struct played *played);
/* The index of a hub's file, by number from 1. */
unsigned played_file(const struct played *played, unsigned hub, unsigned number);
void played_audit(const struct played *played, struct mr_audit_result *result);

#endif
