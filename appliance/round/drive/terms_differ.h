/* terms_differ.h - where the terms that a helper signs are others than it would ask for itself.
 *
 * Such a round is sound, and signed: cohort_min and the size of a share are what a helper insists
 * on. But devices train and clip by terms that this hub's operator did not choose, so it is told.
 */
#ifndef MR_ROUND_DRIVE_TERMS_DIFFER_H
#define MR_ROUND_DRIVE_TERMS_DIFFER_H

#include <stddef.h>
#include <stdint.h>

#include "appliance/config/hub_config.h"
#include "wire/announcement.h"

#define MR_TERMS_DIFFERENCES_MAX 14

struct mr_terms_difference {
    const char *key; /* of tasks.round */
    char asked[24];  /* by the lead */
    char own[24];    /* here */
};

/* Fills `out`; how many. A value that this hub leaves to be computed is met by any. The deadline
 * counts where `left_ms` is not UINT64_MAX: how far it lay ahead when the round was signed; a tenth
 * and two seconds more or less are none. */
unsigned mr_terms_differ(struct mr_terms_difference out[MR_TERMS_DIFFERENCES_MAX],
                         const struct mr_announcement *asked, const struct mr_config_round *own,
                         uint64_t left_ms);

/* "weight_max 500 (here 1000), scale 10 (here 1000)"; "" for none. */
void mr_terms_differences_text(char *text, size_t bytes, const struct mr_terms_difference *list,
                               unsigned count);

#endif
