/* next_step.h - from a round's mean update to the step of the model, and the state that goes with
 * it (below next_model.c only). Pure. */
#ifndef MR_MODEL_NEXT_STEP_H
#define MR_MODEL_NEXT_STEP_H

#include "appliance/model/next_model.h"

/* The signs that the round's rotation turns, a bit a lane, malloc'd; *signs is NULL where there is
 * none. 0 or -1. */
int mr_next_step_signs(uint8_t **signs, const struct mr_next_model_question *question,
                       struct mr_error *error);

/* `update`, `count` values in room for the round's lanes, becomes the step; the answer gets its
 * state and metrics.step. An optimiser with a state makes another length of it, which is checked
 * against step_max. enum mr_next_model_result; on error the answer keeps what it has. */
int mr_next_step(struct mr_next_model_answer *answer, const struct mr_next_model_question *question,
                 float *update, size_t count, struct mr_error *error);

#endif
