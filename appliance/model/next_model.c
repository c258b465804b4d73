#include "appliance/model/next_model.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/next_step.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/keys.h"
#include "wire/safetensors.h"
#include "wire/tensor_parts.h"

static size_t round_up_64(uint64_t bytes)
{
    return (size_t)((bytes + 63) & ~(uint64_t)63);
}

float mr_next_model_factor(const struct mr_announcement *announcement, uint32_t weight)
{
    return (float)((double)mr_optimiser_mean_rate(&announcement->optimiser) *
                   (double)announcement->weight_max /
                   ((double)announcement->scale * (double)weight));
}

static void centre(float *update, const struct mr_vector_sum *sum, float factor,
                   const struct mr_layout *layout, const struct mr_kernels *kernels)
{
    switch (layout->ring_bits) {
    case 8:
        kernels->centre_w8(update, sum->lanes, factor, layout->lanes);
        break;
    case 10:
    case 12:
        kernels->centre_narrow(update, sum->lanes, factor, layout->lanes, layout->ring_bits);
        break;
    case 16:
        kernels->centre_w16(update, sum->lanes, factor, layout->lanes);
        break;
    case 24:
        kernels->centre_w24(update, sum->lanes, factor, layout->lanes);
        break;
    default:
        MR_ASSERT(layout->ring_bits == 32);
        kernels->centre_w32(update, sum->lanes, factor, layout->lanes);
    }
}

/* update[lanes] = the centred, un-scaled sum, rotated as it is. Returns how far it reaches: the
 * rotation back changes no norm. */
static struct mr_sum_reach unscale(float *update, const struct mr_vector_sum *sum,
                                   const struct mr_next_model_question *question)
{
    const struct mr_announcement *announcement = &question->terms->announcement;
    const struct mr_layout *layout = &question->terms->layout;
    const struct mr_kernels *kernels = question->kernels;
    const float factor =
        mr_next_model_factor(announcement, mr_opened_sum_weight(sum, question->terms));
    centre(update, sum, factor, layout, kernels);
    const double step = sqrt(kernels->sum_squares(update, layout->lanes));
    return (struct mr_sum_reach){.norm = step / (double)factor, .step = step};
}

static int rotate_back(float *update, const struct mr_next_model_question *question,
                       struct mr_error *error)
{
    const struct mr_layout *layout = &question->terms->layout;
    uint8_t *signs;
    if (mr_next_step_signs(&signs, question, error) != 0) {
        return -1;
    }
    if (signs) {
        question->kernels->hadamard(update, layout->lanes, layout->rotation_block);
        question->kernels->flip_signs(update, signs, layout->lanes);
    }
    free(signs);
    return 0;
}

/* The model names its state, or none. Nothing changes where it says so already. */
static int name_state(struct mr_next_model_answer *answer, struct mr_error *error)
{
    char hex[2 * MR_HASH_BYTES + 1], before[2 * MR_HASH_BYTES + 1];
    size_t length;
    mr_hex_encode(hex, answer->state_hash, MR_HASH_BYTES);
    if (!answer->state && mr_safetensors_text(answer->model, answer->model_bytes, MR_STATE_MEMBER,
                                              before, sizeof before) == 1) {
        return 0;
    }
    uint8_t *named = mr_safetensors_rename(answer->model, answer->model_bytes, MR_STATE_MEMBER,
                                           answer->state ? hex : NULL, &length, error);
    if (!named) {
        return MR_NEXT_MODEL_FAILED;
    }
    free(answer->model);
    answer->model = named;
    answer->model_bytes = length;
    return 0;
}

/* The parent's file with `step` added to the values that rounds train. */
static int add_step(struct mr_next_model_answer *answer,
                    const struct mr_next_model_question *question,
                    const struct mr_safetensors *parent, const float *step, struct mr_error *error)
{
    bool finite = false;
    answer->model = malloc(question->parent_bytes);
    if (!answer->model) {
        return mr_error_set(error, "out of memory for the next model");
    }
    answer->model_bytes = question->parent_bytes;
    memcpy(answer->model, question->parent, question->parent_bytes);
    if (mr_tensor_parts_add(parent, answer->model + parent->data_offset, step, question->kernels,
                            &finite) != 0) {
        return mr_error_set(error, "out of memory for the next model's values");
    }
    if (!finite) {
        mr_error_set(error, "range: the next model would not be finite");
        return MR_NEXT_MODEL_UNSOUND;
    }
    return 0;
}

static int step_from(struct mr_next_model_answer *answer,
                     const struct mr_next_model_question *question,
                     const struct mr_safetensors *parent, float *update, struct mr_error *error)
{
    if (parent->trained != question->terms->layout.dimension) {
        return mr_error_set(error, "parent model: %zu values, the round has %u", parent->trained,
                            question->terms->layout.dimension);
    }
    int result = mr_next_step(answer, question, update, parent->trained, error);
    if (result == 0) {
        result = add_step(answer, question, parent, update, error);
    }
    const struct mr_announcement *announcement = &question->terms->announcement;
    if (result == 0 && announcement->watermark.strength > 0) {
        result =
            mr_watermark_keep_announced(&answer->mark, parent, answer->model + parent->data_offset,
                                        announcement, question->mark_parts, error);
    }
    return result;
}

static int make_model(struct mr_next_model_answer *answer,
                      const struct mr_next_model_question *question, float *update,
                      struct mr_error *error)
{
    struct mr_safetensors parent;
    if (mr_safetensors_parse(&parent, question->parent, question->parent_bytes, error) != 0) {
        return mr_error_prefix(error, "parent model");
    }
    int result = step_from(answer, question, &parent, update, error);
    mr_safetensors_fini(&parent);
    if (result == 0) {
        result = name_state(answer, error);
    }
    if (result == 0) {
        SHA256(answer->model, answer->model_bytes, answer->model_hash);
    }
    return result;
}

/* An evaluation: its metrics, and the model that it is about. */
static int stay(struct mr_next_model_answer *answer, const struct mr_next_model_question *question,
                const struct mr_vector_sum *sum, struct mr_error *error)
{
    answer->model = malloc(question->parent_bytes);
    if (!answer->model) {
        return mr_error_set(error, "out of memory for the model");
    }
    memcpy(answer->model, question->parent, question->parent_bytes);
    answer->model_bytes = question->parent_bytes;
    memcpy(answer->model_hash, question->terms->announcement.model_hash, MR_HASH_BYTES);
    mr_sum_pack(answer->sum, &question->terms->layout, sum, question->kernels);
    mr_round_metrics_read(&answer->metrics, sum, question->terms, &question->memory);
    return 0;
}

static int make_into(struct mr_next_model_answer *answer,
                     const struct mr_next_model_question *question, struct mr_vector_sum *sum,
                     float *update, struct mr_error *error)
{
    const struct mr_layout *layout = &question->terms->layout;
    if (mr_opened_sum_add(sum, question->terms, question->results, question->included_count,
                          question->kernels, error) != 0) {
        return MR_NEXT_MODEL_UNSOUND;
    }
    if (!mr_announcement_trains(&question->terms->announcement)) {
        return stay(answer, question, sum, error);
    }
    struct mr_sum_reach reach = unscale(update, sum, question);
    if (mr_optimiser_has_state(&question->terms->announcement.optimiser)) {
        reach.step = 0; /* known once the optimiser has made it */
    }
    if (mr_opened_sum_check_reach(&reach, question->terms, question->included_count, error) != 0) {
        return MR_NEXT_MODEL_UNSOUND;
    }
    mr_sum_pack(answer->sum, layout, sum, question->kernels);
    mr_round_metrics_read(&answer->metrics, sum, question->terms, &question->memory);
    mr_round_metrics_judge(&answer->metrics, sum, question->terms,
                           reach.norm * reach.norm / layout->lanes);
    answer->metrics.step = reach.step;
    if (rotate_back(update, question, error) != 0) {
        return MR_NEXT_MODEL_FAILED;
    }
    return make_model(answer, question, update, error);
}

int mr_next_model(struct mr_next_model_answer *answer,
                  const struct mr_next_model_question *question, struct mr_error *error)
{
    const struct mr_layout *layout = &question->terms->layout;
    *answer = (struct mr_next_model_answer){.model_bytes = 0};
    struct mr_vector_sum sum = {
        .lanes = aligned_alloc(64, round_up_64(mr_layout_accumulator_bytes(layout)))};
    float *update = aligned_alloc(64, round_up_64((uint64_t)layout->lanes * sizeof *update));
    answer->sum = aligned_alloc(64, round_up_64(layout->share_bytes));
    int result = MR_NEXT_MODEL_FAILED;
    if (sum.lanes && update && answer->sum) {
        result = make_into(answer, question, &sum, update, error);
    } else {
        mr_error_set(error, "out of memory for the sum of %u lanes", layout->lanes);
    }
    free(sum.lanes);
    free(update);
    if (result != 0) {
        mr_next_model_answer_fini(answer);
    }
    return result;
}

void mr_next_model_answer_fini(struct mr_next_model_answer *answer)
{
    free(answer->sum);
    free(answer->model);
    free(answer->state);
    *answer = (struct mr_next_model_answer){.model_bytes = 0};
}
