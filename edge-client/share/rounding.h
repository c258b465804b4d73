/* rounding.h - what rounding to the round's levels cost a device's vector, and whether that is too
 * much. Pure; thresholds and their reasons: docs/decisions/0023-quantiser.md. */
#ifndef MR_SHARE_ROUNDING_H
#define MR_SHARE_ROUNDING_H

#include "base/error.h"
#include "wire/announcement.h"

/* Of one attempt. */
struct mr_rounding {
    uint32_t clipped;  /* lanes beyond the levels */
    double saturated;  /* their share */
    double resolution; /* mean |q|, steps */
    double error;   /* ‖q − y‖ / ‖y‖ with y = scale * vector; 0 for a vector of zeros */
    double norm;    /* of the weighted and clipped vector */
    uint64_t norm2; /* of q, squared: in a round with noise at most what its terms go by */
};

/* Whether a vector that was rounded like this may go into the sum: 0, or -1. `report` gets what,
 * why and the remedy where there is something to say, else an empty text. */
int mr_rounding_judge(const struct mr_rounding *rounding, const struct mr_round_terms *terms,
                      struct mr_error *report);

#endif
