#include "appliance/model/made_model.h"

#include <stdlib.h>

#include "base/assert.h"

struct mr_made_model *mr_made_model_new(const struct mr_round_terms *terms)
{
    struct mr_made_model *made = calloc(1, sizeof *made);
    if (made) {
        made->holders = 1;
        made->terms = *terms;
    }
    return made;
}

void mr_made_model_hold(struct mr_made_model *made)
{
    made->holders++;
}

void mr_made_model_drop(struct mr_made_model *made)
{
    if (!made) {
        return;
    }
    MR_ASSERT(made->holders > 0);
    if (--made->holders == 0) {
        mr_next_model_answer_fini(&made->answer);
        free(made);
    }
}
