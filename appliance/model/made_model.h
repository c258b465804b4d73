/* made_model.h - a model that a round has just made, while hubs agree on it and it is being made
 * durable. Whoever needs it holds it: the round that stores it, and whoever makes the delta to it
 * meanwhile. Held and dropped on the loop's thread only; what is in it changes no more once it has
 * a second holder, so that any thread may read it. */
#ifndef MR_MODEL_MADE_MODEL_H
#define MR_MODEL_MADE_MODEL_H

#include "appliance/model/next_model.h"

struct mr_made_model {
    unsigned holders;
    struct mr_round_terms terms; /* of the round; its announcement names the model before */
    struct mr_next_model_answer answer;
};

/* With one holder, and an empty answer. NULL: out of memory. */
struct mr_made_model *mr_made_model_new(const struct mr_round_terms *terms);
void mr_made_model_hold(struct mr_made_model *made);
/* The last one frees it. NULL allowed. */
void mr_made_model_drop(struct mr_made_model *made);

#endif
