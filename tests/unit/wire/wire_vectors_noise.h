/* wire_vectors_noise.h - what the oracle asks of noise, answered by the C code. */
#ifndef MR_TEST_WIRE_VECTORS_NOISE_H
#define MR_TEST_WIRE_VECTORS_NOISE_H

#include <jansson.h>

#include "wire/announcement.h"

/* The terms of noise of an announcement; null without noise. */
json_t *wire_vectors_privacy(const struct mr_announcement *a);
/* Each hub's seed, its hash and the keys of its samples, in hex. */
json_t *wire_vectors_noise(const struct mr_round_terms *terms,
                           uint8_t (*signing)[MR_PUBLIC_KEY_BYTES], const uint8_t *set_hash);

#endif
