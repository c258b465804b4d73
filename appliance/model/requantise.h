/* requantise.h - the step from one model to the next, rounded to few levels, so that what devices
 * fetch is small; what rounding leaves out waits for the next step (error feedback).
 *
 *   t = step + residual;  y = t rotated as the round was;  Δ from y's root mean square
 *   n = y / Δ to the nearest whole number;  q = n·Δ rotated back;  residual = t − q;  step = q
 *
 * No y is cut off, so that every lane is off by Δ/2 at most, and the residual stays below a part of
 * the largest step that follows from the bits alone, whatever the steps are. The levels stand in
 * the state for whoever makes a delta. The same bytes at every kernel level. Pure.
 * docs/wire-format.md, "Re-quantised steps"; docs/decisions/0071-requantised.md.
 *
 * State = "MRRQ" ‖ version u8 = 1 ‖ bits u8 ‖ zero u16 ‖ D be32 ‖ L be32 ‖ Δ, its bits be32 ‖ zeros
 * up to 64 bytes ‖ residual, D floats ‖ levels, L int16; little-endian both. */
#ifndef MR_MODEL_REQUANTISE_H
#define MR_MODEL_REQUANTISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct mr_requantiser {
    const struct mr_kernels *kernels;
    uint8_t bits;          /* 8 or 4 */
    uint32_t count, lanes; /* D values in L lanes */
    uint32_t block;        /* of the rotation; 1: none */
    const uint8_t *signs;  /* of the rotation, a bit a lane; NULL: none */
};

size_t mr_requantised_bytes(const struct mr_requantiser *requantiser);
/* Whether the bytes are the state of `count` values, all finite. */
bool mr_requantised_fits(const uint8_t *state, size_t bytes, size_t count);
/* Writes the state that a step begins with: `before`'s residual where that fits, else none.
 * `state`: of the size above, aligned to 4 bytes; `before` may be NULL. */
void mr_requantised_begin(uint8_t *state, const struct mr_requantiser *requantiser,
                          const uint8_t *before, size_t before_bytes);
/* `step`, D values in room for L, becomes the step that is taken; the state the next one. */
void mr_requantise(uint8_t *state, float *step, const struct mr_requantiser *requantiser);

/* What the state says of the step that was taken: lane i is levels[i] times delta, rotated. */
struct mr_requantised {
    float delta;
    uint32_t lanes;
    const uint8_t *levels; /* int16, at any alignment; leads into the state */
};
void mr_requantised_read(struct mr_requantised *taken, const uint8_t *state);

#endif
