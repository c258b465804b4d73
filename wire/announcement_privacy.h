/* announcement_privacy.h - the rules of an announcement's noise, and the numbers that follow from
 * it. Pure; every machine has the same. */
#ifndef MR_WIRE_ANNOUNCEMENT_PRIVACY_H
#define MR_WIRE_ANNOUNCEMENT_PRIVACY_H

#include "wire/announcement.h"
#include "wire/noise.h"

/* The announced variance of a group of lanes; 0: it has no noise. */
uint64_t mr_announcement_sigma2(const struct mr_announcement *announcement,
                                enum mr_noise_group group);
/* The squared distance that one device makes in it; 0 where it has no noise. */
uint64_t mr_announcement_sensitivity2(const struct mr_announcement *announcement, uint32_t lanes,
                                      enum mr_noise_group group);
/* How many lanes it has; `lanes` are the main ones. */
uint32_t mr_announcement_noise_lanes(const struct mr_announcement *announcement, uint32_t lanes,
                                     enum mr_noise_group group);
/* What the release costs a device: of all groups together. MR_RHO_MAX: more than there is. */
mr_rho mr_announcement_rho(const struct mr_announcement *announcement, uint32_t lanes);
/* Whose noise is in a sum at most: every hub's, or every device's of the largest set. */
uint32_t mr_announcement_adders(const struct mr_announcement *announcement);
/* How far all of the noise together moves a lane of the group at most. */
uint64_t mr_announcement_tail(const struct mr_announcement *announcement,
                              enum mr_noise_group group);
/* … and the norm of all main lanes. */
double mr_announcement_noise_norm(const struct mr_announcement *announcement, uint32_t lanes);

/* What a device may lose over all rounds of the pool: its budget as epsilon, at the announced
 * delta. INFINITY without noise. */
double mr_announcement_epsilon(const struct mr_announcement *announcement);

/* Every rule of privacy_terms.h; the error names the field. `lanes` are those of the layout. 0 or
 * -1. */
int mr_announcement_privacy_check(const struct mr_announcement *announcement, uint32_t lanes,
                                  struct mr_error *error);

#endif
