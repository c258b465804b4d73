#include "appliance/model/requantise.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define HEADER_BYTES 64
#define VERSION      1
#define LEVEL_MAX    32767 /* that an int16 holds: Δ is never so small that one would be above */
/* 1.5 · 2^23: what is added to it and is below 2^22 is rounded to a whole number, to nearest even.
 */
#define ROUNDER 12582912.0f

static const char magic[4] = {'M', 'R', 'R', 'Q'};

/* Levels so far from zero stand for so many root mean squares: with 8 bits a step that is rounded
 * as a device's delta is (0.9 %), with 4 bits the least error of a Gaussian in 15 levels (10 %). */
static double levels_of(uint8_t bits)
{
    return bits == 8 ? 127 / 4.0 : 7 / 2.5;
}

/* --- the state -------------------------------------------------------------------------------- */

static size_t state_bytes(size_t count, size_t lanes)
{
    return HEADER_BYTES + count * sizeof(float) + lanes * sizeof(int16_t);
}

size_t mr_requantised_bytes(const struct mr_requantiser *requantiser)
{
    return state_bytes(requantiser->count, requantiser->lanes);
}

static float *residual_of(uint8_t *state)
{
    MR_ASSERT(((uintptr_t)state & 3) == 0);
    return (float *)(void *)(state + HEADER_BYTES);
}

static int16_t *levels_at(uint8_t *state, size_t count)
{
    return (int16_t *)(void *)(residual_of(state) + count);
}

bool mr_requantised_fits(const uint8_t *state, size_t bytes, size_t count)
{
    if (bytes < HEADER_BYTES || memcmp(state, magic, sizeof magic) != 0 || state[4] != VERSION ||
        mr_be32_get(state + 8) != count || bytes != state_bytes(count, mr_be32_get(state + 12))) {
        return false;
    }
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        float value;
        memcpy(&value, state + HEADER_BYTES + i * sizeof value, sizeof value);
        good = isfinite(value);
    }
    return good;
}

void mr_requantised_begin(uint8_t *state, const struct mr_requantiser *requantiser,
                          const uint8_t *before, size_t before_bytes)
{
    const size_t count = requantiser->count;
    memset(state, 0, mr_requantised_bytes(requantiser));
    memcpy(state, magic, sizeof magic);
    state[4] = VERSION;
    state[5] = requantiser->bits;
    mr_be32_put(state + 8, requantiser->count);
    mr_be32_put(state + 12, requantiser->lanes);
    if (before && mr_requantised_fits(before, before_bytes, count)) {
        memcpy(state + HEADER_BYTES, before + HEADER_BYTES, count * sizeof(float));
    }
}

void mr_requantised_read(struct mr_requantised *taken, const uint8_t *state)
{
    const uint32_t bits = mr_be32_get(state + 16);
    taken->lanes = mr_be32_get(state + 12);
    memcpy(&taken->delta, &bits, sizeof taken->delta);
    taken->levels = state + HEADER_BYTES + mr_be32_get(state + 8) * sizeof(float);
}

/* --- a step ----------------------------------------------------------------------------------- */

/* 0: nothing can be told apart from nothing. */
static float delta_of(const float *lanes, const struct mr_requantiser *requantiser)
{
    const size_t count = requantiser->lanes;
    const double norm = sqrt(requantiser->kernels->sum_squares(lanes, count));
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fabsf(lanes[i]) > largest ? fabsf(lanes[i]) : largest;
    }
    const float usual = (float)(norm / (sqrt((double)count) * levels_of(requantiser->bits)));
    const float least = largest / LEVEL_MAX;
    const float delta = usual > least ? usual : least;
    return isnormal(delta) ? delta : 0;
}

static void round_lanes(int16_t *levels, float *lanes, float delta, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float nearest = (lanes[i] / delta + ROUNDER) - ROUNDER;
        levels[i] = (int16_t)nearest;
        lanes[i] =
            (float)levels[i] * delta; /* as whoever has the levels makes it: no zero below 0 */
    }
}

static void rotate(float *lanes, const struct mr_requantiser *requantiser, bool back)
{
    const struct mr_kernels *kernels = requantiser->kernels;
    if (!requantiser->signs) {
        return;
    }
    if (!back) {
        kernels->flip_signs(lanes, requantiser->signs, requantiser->lanes);
    }
    kernels->hadamard(lanes, requantiser->lanes, requantiser->block);
    if (back) {
        kernels->flip_signs(lanes, requantiser->signs, requantiser->lanes);
    }
}

void mr_requantise(uint8_t *state, float *step, const struct mr_requantiser *requantiser)
{
    const size_t count = requantiser->count, lanes = requantiser->lanes;
    float *residual = residual_of(state);
    uint32_t bits;
    requantiser->kernels->axpy(step, 1.0f, residual, count);
    memcpy(residual, step, count * sizeof *step);
    memset(step + count, 0, (lanes - count) * sizeof *step);
    rotate(step, requantiser, false);
    const float delta = delta_of(step, requantiser);
    memcpy(&bits, &delta, sizeof bits);
    mr_be32_put(state + 16, bits);
    if (delta > 0) {
        round_lanes(levels_at(state, count), step, delta, lanes);
        rotate(step, requantiser, true);
    } else {
        memset(step, 0, lanes * sizeof *step);
    }
    requantiser->kernels->axpy(residual, -1.0f, step, count);
}
