#include "wire/optimiser.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define HEADER_BYTES 64
#define VERSION      1

static const char magic[4] = {'M', 'R', 'O', 'S'};
static const char *const names[MR_OPTIMISER_KINDS] = {[MR_OPTIMISER_FEDAVG] = "fedavg",
                                                      [MR_OPTIMISER_FEDAVGM] = "fedavgm",
                                                      [MR_OPTIMISER_FEDADAM] = "fedadam",
                                                      [MR_OPTIMISER_FEDYOGI] = "fedyogi"};

const char *mr_optimiser_name(unsigned kind)
{
    return kind < MR_OPTIMISER_KINDS ? names[kind] : NULL;
}

unsigned mr_optimiser_named(const char *name)
{
    unsigned kind = 0;
    while (kind < MR_OPTIMISER_KINDS && strcmp(names[kind], name) != 0) {
        kind++;
    }
    return kind;
}

/* --- rules ------------------------------------------------------------------------------------ */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool is_plus_zero(float value)
{
    return bits_of(value) == 0;
}

static bool is_positive(float value)
{
    return isnormal(value) && value > 0;
}

static bool adapts(unsigned kind)
{
    return kind == MR_OPTIMISER_FEDADAM || kind == MR_OPTIMISER_FEDYOGI;
}

static int check_adaptive(const struct mr_optimiser *o, struct mr_error *error)
{
    if (!adapts(o->kind)) {
        return is_plus_zero(o->beta2) && is_plus_zero(o->tau)
                   ? 0
                   : mr_error_set(error, "beta2 and tau must be 0: %s has none", names[o->kind]);
    }
    if (!(o->beta2 >= 0.5f && o->beta2 < 1) || !(o->beta1 * o->beta1 < o->beta2)) {
        return mr_error_set(error,
                            "beta2 must be 0.5 or more and below 1, and above beta1 squared");
    }
    return is_positive(o->tau) && is_positive(o->tau * o->tau)
               ? 0
               : mr_error_set(error, "tau must be a number above 0 whose square is no subnormal");
}

void mr_optimiser_make(struct mr_optimiser *optimiser, const char *name, float learning_rate,
                       float beta1, float beta2, float tau)
{
    const unsigned kind = name ? mr_optimiser_named(name) : MR_OPTIMISER_FEDAVG;
    *optimiser = (struct mr_optimiser){
        .kind = (uint8_t)kind,
        .learning_rate = learning_rate,
        .beta1 = kind == MR_OPTIMISER_FEDAVG ? 0 : beta1,
        .beta2 = adapts(kind) ? beta2 : 0,
        .tau = adapts(kind) ? tau : 0,
    };
}

int mr_optimiser_check(const struct mr_optimiser *o, struct mr_error *error)
{
    if (o->kind >= MR_OPTIMISER_KINDS) {
        return mr_error_set(error, "optimiser is %u: not known", o->kind);
    }
    if (o->requantise != 0 && o->requantise != 4 && o->requantise != 8) {
        return mr_error_set(error, "requantise is %u: must be 0, 4 or 8", o->requantise);
    }
    if (!is_positive(o->learning_rate)) {
        return mr_error_set(error,
                            "learning_rate must be a finite number above 0 (1.2e-38 to 3.4e38)");
    }
    if (o->kind == MR_OPTIMISER_FEDAVG ? !is_plus_zero(o->beta1)
                                       : !(o->beta1 >= 0 && o->beta1 < 1) || signbit(o->beta1)) {
        return mr_error_set(error, "beta1 must be 0 or more and below 1, and 0 of fedavg");
    }
    return check_adaptive(o, error);
}

static bool same_bits(float a, float b)
{
    return bits_of(a) == bits_of(b);
}

bool mr_optimiser_same(const struct mr_optimiser *a, const struct mr_optimiser *b)
{
    return a->kind == b->kind && a->requantise == b->requantise &&
           same_bits(a->learning_rate, b->learning_rate) && same_bits(a->beta1, b->beta1) &&
           same_bits(a->beta2, b->beta2) && same_bits(a->tau, b->tau);
}

bool mr_optimiser_has_state(const struct mr_optimiser *optimiser)
{
    return optimiser->kind != MR_OPTIMISER_FEDAVG || optimiser->requantise != 0;
}

float mr_optimiser_mean_rate(const struct mr_optimiser *optimiser)
{
    return optimiser->kind == MR_OPTIMISER_FEDAVG ? optimiser->learning_rate : 1.0f;
}

/* --- state ------------------------------------------------------------------------------------ */

static unsigned vectors_of(unsigned kind)
{
    return kind == MR_OPTIMISER_FEDAVG ? 0 : adapts(kind) ? 2 : 1;
}

size_t mr_optimiser_state_bytes(unsigned kind, size_t count)
{
    const unsigned vectors = vectors_of(kind);
    return vectors ? HEADER_BYTES + vectors * count * sizeof(float) : 0;
}

static void put_header(uint8_t header[HEADER_BYTES], unsigned kind, size_t count)
{
    memset(header, 0, HEADER_BYTES);
    memcpy(header, magic, sizeof magic);
    header[4] = VERSION;
    header[5] = (uint8_t)kind;
    mr_be32_put(header + 8, (uint32_t)count);
}

bool mr_optimiser_state_fits(const uint8_t *state, size_t bytes, unsigned kind, size_t count)
{
    uint8_t header[HEADER_BYTES];
    if (vectors_of(kind) == 0 || bytes != mr_optimiser_state_bytes(kind, count)) {
        return false;
    }
    put_header(header, kind, count);
    bool good = memcmp(state, header, sizeof header) == 0;
    for (size_t at = HEADER_BYTES; good && at < bytes; at += sizeof(float)) {
        float value;
        memcpy(&value, state + at, sizeof value);
        good = isfinite(value);
    }
    return good;
}

unsigned mr_optimiser_state_kind(const uint8_t *state, size_t bytes)
{
    return bytes >= HEADER_BYTES && memcmp(state, magic, sizeof magic) == 0 &&
                   state[5] < MR_OPTIMISER_KINDS
               ? state[5]
               : MR_OPTIMISER_FEDAVG;
}

static float *values_of(uint8_t *state)
{
    MR_ASSERT(((uintptr_t)state & 3) == 0);
    return (float *)(void *)(state + HEADER_BYTES);
}

void mr_optimiser_state_begin(uint8_t *state, const struct mr_optimiser *optimiser, size_t count)
{
    put_header(state, optimiser->kind, count);
    float *values = values_of(state);
    memset(values, 0, count * sizeof *values);
    for (size_t i = 0; adapts(optimiser->kind) && i < count; i++) {
        values[count + i] = optimiser->tau * optimiser->tau;
    }
}

/* --- steps ------------------------------------------------------------------------------------ */

static void step_with_momentum(const struct mr_optimiser *o, float *m, float *update, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        m[i] = o->beta1 * m[i] + update[i];
        update[i] = o->learning_rate * m[i];
    }
}

static float adam_v(float v, float square, float beta2, float rest2)
{
    return beta2 * v + rest2 * square;
}

static float yogi_v(float v, float square, float rest2)
{
    const float by = rest2 * square;
    return v > square ? v - by : v < square ? v + by : v;
}

static void step_adaptive(const struct mr_optimiser *o, float *m, float *v, float *update,
                          size_t count)
{
    const float rest1 = 1.0f - o->beta1, rest2 = 1.0f - o->beta2;
    const bool yogi = o->kind == MR_OPTIMISER_FEDYOGI;
    for (size_t i = 0; i < count; i++) {
        const float square = update[i] * update[i];
        m[i] = o->beta1 * m[i] + rest1 * update[i];
        v[i] = yogi ? yogi_v(v[i], square, rest2) : adam_v(v[i], square, o->beta2, rest2);
        update[i] = o->learning_rate * m[i] / (sqrtf(v[i]) + o->tau);
    }
}

void mr_optimiser_step(const struct mr_optimiser *optimiser, uint8_t *state, float *update,
                       size_t count)
{
    if (optimiser->kind == MR_OPTIMISER_FEDAVG) {
        return;
    }
    float *m = values_of(state);
    if (optimiser->kind == MR_OPTIMISER_FEDAVGM) {
        step_with_momentum(optimiser, m, update, count);
    } else {
        step_adaptive(optimiser, m, m + count, update, count);
    }
}

/* --- how far a step goes -----------------------------------------------------------------------
 */

/* Both kinds keep v_t ≥ β₂·v_{t−1} and v_t ≥ (1−β₂)·u², so that √v ≥ β₂^(i/2)·√(1−β₂)·|u_{t−i}|,
 * and |m| ≤ (1−β₁)·Σ β₁^i·|u_{t−i}| ≤ √v · (1−β₁) / (√(1−β₂)·(1 − β₁/√β₂)). Besides, |m| is a mean
 * of |u|, and the divisor at least τ. */
static double adaptive_reach(const struct mr_optimiser *o, double norm, size_t count, bool usual)
{
    const double beta1 = (double)o->beta1, beta2 = (double)o->beta2;
    const double most = (1 - beta1) / (sqrt(1 - beta2) * (1 - beta1 / sqrt(beta2)));
    const double by_count = (usual ? 1 : most) * sqrt((double)count);
    const double by_norm = norm / (double)o->tau;
    return by_count < by_norm ? by_count : by_norm;
}

double mr_optimiser_reach(const struct mr_optimiser *optimiser, double norm, size_t count,
                          bool usual)
{
    const double rate = (double)optimiser->learning_rate;
    return optimiser->kind == MR_OPTIMISER_FEDAVG ? rate * norm
           : optimiser->kind == MR_OPTIMISER_FEDAVGM
               ? rate * norm / (1 - (double)optimiser->beta1)
               : rate * adaptive_reach(optimiser, norm, count, usual);
}
