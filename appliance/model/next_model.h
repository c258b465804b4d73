/* next_model.h - from the hubs' opened results to the next model. Pure compute, deterministic:
 * every hub that is given the same openings and the same parent gets the same bytes. */
#ifndef MR_MODEL_REVEAL_H
#define MR_MODEL_REVEAL_H

#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "base/error.h"
#include "appliance/aggregate/opened_sum.h"
#include "appliance/model/watermark.h"

struct mr_next_model_question {
    const struct mr_round_terms *terms;
    const uint8_t *const
        *results; /* one per hub in list order: share_bytes each, 64-byte aligned */
    uint32_t included_count;
    const uint8_t *parent; /* the model the round started from, a whole safetensors file */
    size_t parent_bytes;
    const uint8_t *state; /* the optimiser's, that the parent names; NULL: none */
    size_t state_bytes;
    struct mr_norm_memory memory; /* of the opened round before; zeros: none */
    const struct mr_kernels *kernels;
    /* Where the round marks its model: every hub's part of the mark's key; else not looked at. */
    const struct mr_watermark_parts *mark_parts;
};

struct mr_next_model_answer {
    uint8_t *sum;   /* the ring sum, packed as share bytes; 64-byte aligned, malloc'd */
    uint8_t *model; /* the next model's file: the parent's header, but for the state's name, new
                       values; malloc'd */
    size_t model_bytes;
    uint8_t model_hash[MR_HASH_BYTES];
    uint8_t *state; /* the optimiser's next one, which the model names; malloc'd. NULL: none */
    size_t state_bytes;
    uint8_t state_hash[MR_HASH_BYTES];
    struct mr_round_metrics metrics;
    struct mr_watermark_kept mark; /* where the round marks its model; zeros else */
};

/* The member of a model's "__metadata__" that names the optimiser's state which goes with it: so
 * whoever signs the model's hash has signed the state. */
#define MR_STATE_MEMBER "millrace.optimiser_state"

/* next = parent + step, with step what the announced optimiser makes of the mean update, ω_max /
 * (scale * W) * inverse rotation of the centred sum (wire/optimiser.h), and where the announcement
 * says so of few levels (requantise.h); step_max and the metrics are of the step before that. Where
 * the terms say so, that model is marked (watermark.h). A state of another kind or size is not gone
 * on from: the optimiser begins anew. Of an evaluation round the next model is the parent, and
 * there is no state. UNSOUND: a sum whose count lane is not included_count ("count lane"), whose
 * weight lane is out of range
 * ("weight lane"), that holds a lane no such set of int8 vectors can reach ("range"), whose norm is
 * beyond what clip_norm allows ("norm"), that takes a larger step than step_max ("step"), or a
 * model that is no longer finite. On success mr_next_model_answer_fini is owed. */
enum mr_next_model_result {
    MR_NEXT_MODEL_FAILED = -1, /* here: no memory, a parent that is none */
    MR_NEXT_MODEL_MADE = 0,
    MR_NEXT_MODEL_UNSOUND = 1, /* the openings are to blame */
};
int mr_next_model(struct mr_next_model_answer *answer,
                  const struct mr_next_model_question *question, struct mr_error *error);
/* A lane of the opened sum times this is its part of the update, rotated. weight:
 * mr_opened_sum_weight's. */
float mr_next_model_factor(const struct mr_announcement *announcement, uint32_t weight);
void mr_next_model_answer_fini(struct mr_next_model_answer *answer);

#endif
