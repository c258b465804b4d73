/* noise_json.h - a round's terms of noise as JSON: in an operator's answer and in the record. rho
 * and budget are integers, in 2^-40; epsilon is what one release costs. */
#ifndef MR_ROUND_DRIVE_NOISE_JSON_H
#define MR_ROUND_DRIVE_NOISE_JSON_H

#include <jansson.h>

#include "wire/announcement.h"

/* NULL without noise. */
json_t *mr_round_noise_json(enum mr_noise_kind kind, const struct mr_privacy_terms *privacy);
/* Of such an object or NULL; returns the kind. */
enum mr_noise_kind mr_round_noise_from_json(struct mr_privacy_terms *privacy, const json_t *object);

#endif
