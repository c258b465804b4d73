/* rollout_row.h - a release and its roll-out as an operator sees them. */
#ifndef MR_MODEL_ROLLOUT_ROW_H
#define MR_MODEL_ROLLOUT_ROW_H

#include <jansson.h>

#include "appliance/model/rollout.h"

/* What its manifest says; `known` false: it is not there. */
struct mr_rollout_about {
    bool known;
    uint8_t model[MR_HASH_BYTES];
    uint64_t bytes, expires_s;
    uint32_t included;
    double epsilon;
};
void mr_rollout_about_of(struct mr_rollout_about *about, const uint8_t *manifest, size_t length);

/* NULL: out of memory. `about` may be NULL. */
json_t *mr_rollout_row(const struct mr_rollout *rollout, const struct mr_rollout_about *about,
                       bool newest, const struct mr_rollout_policy *policy);

#endif
