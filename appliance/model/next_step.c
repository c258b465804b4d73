#include "appliance/model/next_step.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/requantise.h"
#include "wire/keys.h"

int mr_next_step_signs(uint8_t **signs, const struct mr_next_model_question *question,
                       struct mr_error *error)
{
    const struct mr_announcement *announcement = &question->terms->announcement;
    const size_t bytes = question->terms->layout.lanes / 8;
    struct mr_mask_stream stream;
    *signs = NULL;
    if (announcement->rotation_log2 == 0) {
        return 0;
    }
    *signs = malloc(bytes);
    if (!*signs ||
        mr_rotation_derive(&stream, announcement->rotation_seed, announcement->round) != 0) {
        free(*signs);
        *signs = NULL;
        return mr_error_set(error, "out of memory for the rotation");
    }
    question->kernels->mask_expand(*signs, &stream, 0, bytes);
    return 0;
}

static void requantiser_of(struct mr_requantiser *requantiser,
                           const struct mr_next_model_question *question)
{
    const struct mr_layout *layout = &question->terms->layout;
    *requantiser = (struct mr_requantiser){
        .kernels = question->kernels,
        .bits = question->terms->announcement.optimiser.requantise,
        .count = layout->dimension,
        .lanes = layout->lanes,
        .block = layout->rotation_block,
    };
}

/* The optimiser's own part of a state comes first, and what rounding left out behind it. Returns
 * the bytes of the first. */
static size_t own_bytes(const uint8_t *state, size_t bytes, size_t count)
{
    const unsigned kind = mr_optimiser_state_kind(state, bytes);
    const size_t own = mr_optimiser_state_bytes(kind, count);
    return own < bytes ? own : bytes;
}

/* The state that the step begins with: the parent's, or that of a task that begins. */
static int take_state(struct mr_next_model_answer *answer,
                      const struct mr_next_model_question *question, size_t count,
                      struct mr_error *error)
{
    const struct mr_optimiser *optimiser = &question->terms->announcement.optimiser;
    const size_t own = mr_optimiser_state_bytes(optimiser->kind, count);
    const uint8_t *before = question->state;
    const size_t before_own = before ? own_bytes(before, question->state_bytes, count) : 0;
    struct mr_requantiser requantiser;
    requantiser_of(&requantiser, question);
    answer->state_bytes = own + (requantiser.bits ? mr_requantised_bytes(&requantiser) : 0);
    if (answer->state_bytes == 0) {
        return 0;
    }
    answer->state = malloc(answer->state_bytes);
    if (!answer->state) {
        return mr_error_set(error, "out of memory for the optimiser's state");
    }
    if (own > 0 && before && mr_optimiser_state_fits(before, before_own, optimiser->kind, count)) {
        memcpy(answer->state, before, own);
    } else if (own > 0) {
        mr_optimiser_state_begin(answer->state, optimiser, count);
    }
    if (requantiser.bits) {
        mr_requantised_begin(answer->state + own, &requantiser, before ? before + before_own : NULL,
                             before ? question->state_bytes - before_own : 0);
    }
    return 0;
}

/* The step becomes one of few levels. The bound on it was on what the optimiser made. */
static int requantise(struct mr_next_model_answer *answer,
                      const struct mr_next_model_question *question, float *update, size_t own,
                      struct mr_error *error)
{
    struct mr_requantiser requantiser;
    uint8_t *signs;
    requantiser_of(&requantiser, question);
    if (requantiser.bits == 0) {
        return 0;
    }
    if (mr_next_step_signs(&signs, question, error) != 0) {
        return MR_NEXT_MODEL_FAILED;
    }
    requantiser.signs = signs;
    mr_requantise(answer->state + own, update, &requantiser);
    free(signs);
    return 0;
}

static bool state_is_finite(const struct mr_next_model_answer *answer, unsigned kind, size_t own,
                            size_t count)
{
    const size_t rest = answer->state_bytes - own;
    return (own == 0 || mr_optimiser_state_fits(answer->state, own, kind, count)) &&
           (rest == 0 || mr_requantised_fits(answer->state + own, rest, count));
}

int mr_next_step(struct mr_next_model_answer *answer, const struct mr_next_model_question *question,
                 float *update, size_t count, struct mr_error *error)
{
    const struct mr_optimiser *optimiser = &question->terms->announcement.optimiser;
    if (take_state(answer, question, count, error) != 0) {
        return MR_NEXT_MODEL_FAILED;
    }
    if (!answer->state) {
        return 0;
    }
    mr_optimiser_step(optimiser, answer->state, update, count);
    const struct mr_sum_reach reach = {.step = sqrt(question->kernels->sum_squares(update, count))};
    answer->metrics.step = reach.step;
    if (mr_opened_sum_check_reach(&reach, question->terms, question->included_count, error) != 0) {
        return MR_NEXT_MODEL_UNSOUND;
    }
    const size_t own = mr_optimiser_state_bytes(optimiser->kind, count);
    if (requantise(answer, question, update, own, error) != 0) {
        return MR_NEXT_MODEL_FAILED;
    }
    if (!state_is_finite(answer, optimiser->kind, own, count)) {
        mr_error_set(error, "range: the optimiser's state would not be finite");
        return MR_NEXT_MODEL_UNSOUND;
    }
    SHA256(answer->state, answer->state_bytes, answer->state_hash);
    return 0;
}
