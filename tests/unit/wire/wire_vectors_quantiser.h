/* wire_vectors_quantiser.h - the oracle's questions about the quantiser, answered by the C code. */
#ifndef MR_TEST_WIRE_VECTORS_QUANTISER_H
#define MR_TEST_WIRE_VECTORS_QUANTISER_H

#include <jansson.h>

#include "kernels/kernels.h"
#include "wire/announcement.h"

/* The rule's numbers for `question` (tests/oracle/agree.py, random_quantiser). */
json_t *wire_vectors_quantiser(const json_t *question);

/* x[lanes of the terms], rotated as a device does. */
void wire_vectors_rotate(float *x, const struct mr_round_terms *terms,
                         const struct mr_kernels *kernels);

#endif
