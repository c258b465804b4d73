/* deltas_internal.h - the inside of deltas.h: deltas_kept.c has what is kept, deltas.c above it
 * what is made. */
#ifndef MR_MODEL_DELTAS_INTERNAL_H
#define MR_MODEL_DELTAS_INTERNAL_H

#include "appliance/model/delta_build.h"
#include "appliance/model/deltas.h"

/* Pairs that are remembered, those included of which there is none. */
#define MR_DELTAS_KEPT_MAX 64

struct mr_delta_waiting {
    mr_delta_answer_fn fn;
    void *context, *token;
};

struct mr_delta_kept {
    struct mr_deltas *deltas; /* NULL: closed, or no longer kept; the last return frees it */
    struct mr_delta_wish wish;
    struct mr_model *base, *target; /* while it is made */
    struct mr_made_model *made;     /* likewise, in place of the target: it is made ahead */
    struct mr_delta_kept *parts[MR_DELTA_STEPS_MAX]; /* likewise: lent, of wish.parts */
    bool making;
    bool ahead; /* whether the store has the target by now was not asked yet */
    struct mr_delta_out out;
    char tag[2 * MR_HASH_BYTES + 1];
    struct mr_error error;
    int result;
    unsigned lent;
    uint64_t used;
    struct mr_delta_waiting *waiting;
    size_t waiting_count, waiting_room;
};

struct mr_deltas {
    struct mr_deltas_config config;
    struct mr_delta_kept *kept[MR_DELTAS_KEPT_MAX];
    unsigned kept_count;
    uint64_t asked;
    size_t bytes;
    bool halted;
    struct mr_deltas_report report;
};

/* What is lent of it stays good until it is given back. */
void mr_deltas_forget(struct mr_deltas *deltas, unsigned at);
/* Forgets the oldest that are not being made until so many bytes and a place are free. */
void mr_deltas_make_room(struct mr_deltas *deltas, size_t bytes);
/* Lends what the wish may be joined from: kept deltas of one step each, from its base to its
 * target. Where one is missing, nothing. */
void mr_deltas_lend_parts(struct mr_deltas *deltas, struct mr_delta_kept *wisher);
void mr_deltas_return_parts(struct mr_delta_kept *wisher);
/* NULL: nothing is known of that pair. */
struct mr_delta_kept *mr_deltas_find(struct mr_deltas *deltas, const uint8_t *base,
                                     const uint8_t *target);

#endif
