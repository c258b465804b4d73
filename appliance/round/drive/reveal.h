/* reveal.h - the next model: made of what all hubs opened, then stored with the round's record. One
 * rule for lead and helper, which have to come to the same bytes. */
#ifndef MR_ROUND_DRIVE_REVEAL_H
#define MR_ROUND_DRIVE_REVEAL_H

#include "appliance/round/drive/record.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/round/drive/round_history.h"

struct mr_reveal {
    const struct mr_round_context *context;
    const struct mr_round_terms *terms;
    const uint8_t *const *results; /* one per hub in list order, the core's */
    uint32_t included_count;
    const struct mr_watermark_parts *mark_parts;
    struct mr_norm_memory memory; /* of the opened round before */
    struct mr_model *parent;      /* borrowed; NULL: the store has it no more */
    struct mr_made_model *made;   /* with one holder; NULL: out of memory */
};

/* Loop's thread: fills the last three; without a parent with an error, and then _make fails. The
 * parent is owed mr_reveal_return_parent, the model mr_made_model_drop. */
void mr_reveal_prepare(struct mr_reveal *reveal, const struct mr_round_history *history,
                       struct mr_error *error);
void mr_reveal_return_parent(struct mr_reveal *reveal);

/* Job thread: the next model into made->answer. 0, or as mr_next_model. */
int mr_reveal_make(const struct mr_reveal *reveal, struct mr_error *error);

/* Job thread: where the round trains the model, which is the current one from now on, and the state
 * that goes with it; then the sum, and last the record, with which the round has ended, also for a
 * hub that restarts. Fills the record's model_known. 0 or -1. */
int mr_reveal_store(struct mr_store *store, const struct mr_next_model_answer *answer,
                    struct mr_record *record, struct mr_error *error);

#endif
