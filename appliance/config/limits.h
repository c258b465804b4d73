/* limits.h - bounds that the table of options and the code behind it share: each stands here alone.
 * Constants only; any room may include it. */
#ifndef MR_CONFIG_LIMITS_H
#define MR_CONFIG_LIMITS_H

#include <stdint.h>

#define MR_TASKS_MAX     64 /* of one hub */
#define MR_ADDRESSES_MAX 64 /* hubs in the address book, over all tasks */
#define MR_WORKERS_MAX   64 /* of the upload plane */

/* A round stays open no longer, whatever the configuration or an operator says; helpers sign
 * nothing longer. Seven days. */
#define MR_ROUND_DEADLINE_MS_MAX UINT32_C(604800000)

/* Of rounds in a row that a helper remembers as drawn without a model, at most (its list of rounds
 * has no more). */
#define MR_DRAW_VOIDS_MAX 200

#endif
