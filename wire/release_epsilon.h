/* release_epsilon.h - what a round cost each device of its set, as a release says it: the same bits
 * on every machine, since all hubs sign them. epsilon.h has tighter curves, for reading. */
#ifndef MR_WIRE_RELEASE_EPSILON_H
#define MR_WIRE_RELEASE_EPSILON_H

#include "wire/announcement.h"

/* rho + 2 sqrt(rho ln(1/delta)), which holds for every mechanism of that rho (Bun and Steinke 2016,
 * proposition 1.3), rounded up to a float. 0 without noise. */
float mr_release_epsilon(const struct mr_announcement *announcement);

#endif
