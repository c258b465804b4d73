/* metrics_json.h - what the opened sum tells of a round, as JSON: in records, manifests and the
 * operator's API alike. */
#ifndef MR_ROUND_DRIVE_METRICS_JSON_H
#define MR_ROUND_DRIVE_METRICS_JSON_H

#include <jansson.h>

#include "appliance/aggregate/opened_sum.h"

/* Owned by the caller. A number that is not known is null. */
json_t *mr_round_metrics_json(const struct mr_round_metrics *metrics);

/* From such an object. A member that is missing is unknown: NaN, or zeros. */
void mr_round_metrics_from_json(struct mr_round_metrics *metrics, const json_t *object);

#endif
