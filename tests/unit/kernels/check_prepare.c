/* check_prepare.c - the float kernels of a device: norm, scale, signs, transform, rounding. */
#include <math.h>
#include <string.h>

#include "tests/unit/kernels/check.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? UINT64_MAX : bits;
}

/* Now and then a NaN or an infinity, for the kernels that take them. */
static void poison(struct check *c, const struct check_pair *x, size_t n)
{
    if (n > 0 && check_random(c) % 8 == 0) {
        const float bad = check_random(c) & 1 ? INFINITY : NAN;
        const size_t at = check_random(c) % n;
        memcpy((float *)x->want + at, &bad, sizeof bad);
        memcpy((float *)x->got + at, &bad, sizeof bad);
    }
}

static float random_factor(struct check *c)
{
    return (float)(int32_t)check_random(c) * 0x1p-29f;
}

static void sum_squares(struct check *c)
{
    const struct check_pair x = check_place(c, CHECK_F32, c->lanes);
    poison(c, &x, c->lanes);
    const double want = c->ref->sum_squares(x.want, c->lanes);
    const double got = c->level->sum_squares(x.got, c->lanes);
    check_finish(c, bits_of(want), bits_of(got));
}

static void scale(struct check *c)
{
    const float factor = random_factor(c);
    const struct check_pair x = check_place(c, CHECK_F32, c->lanes);
    poison(c, &x, c->lanes);
    c->ref->scale(x.want, factor, c->lanes);
    c->level->scale(x.got, factor, c->lanes);
    check_finish(c, 0, 0);
}

static void axpy(struct check *c)
{
    const float a = random_factor(c);
    const struct check_pair y = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair x = check_place(c, CHECK_F32, c->lanes);
    poison(c, &x, c->lanes);
    c->ref->axpy(y.want, a, x.want, c->lanes);
    c->level->axpy(y.got, a, x.got, c->lanes);
    check_finish(c, 0, 0);
}

static void flip_signs(struct check *c)
{
    const struct check_pair x = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair bits = check_place(c, CHECK_BYTES, (c->lanes + 7) / 8);
    c->ref->flip_signs(x.want, bits.want, c->lanes);
    c->level->flip_signs(x.got, bits.got, c->lanes);
    check_finish(c, 0, 0);
}

static void round_i8(struct check *c)
{
    const float factor = check_random(c) & 1 ? 1.0f : random_factor(c);
    const struct check_pair out = check_place(c, CHECK_BYTES, c->lanes);
    const struct check_pair x = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair rnd = check_place(c, CHECK_U16, c->lanes);
    const uint8_t levels = check_random(c) & 1 ? 127 : (uint8_t)(1 + check_random(c) % 127);
    const size_t want = c->ref->round_i8(out.want, x.want, factor, levels, rnd.want, c->lanes);
    const size_t got = c->level->round_i8(out.got, x.got, factor, levels, rnd.got, c->lanes);
    check_finish(c, want, got);
}

static void transform(struct check *c, size_t n, size_t block)
{
    const struct check_pair x = check_place(c, CHECK_F32, n);
    poison(c, &x, n);
    c->ref->hadamard(x.want, n, block);
    c->level->hadamard(x.got, n, block);
    check_finish(c, 0, 0);
}

/* The length names the block, so that every block size is met with every placement. */
static void hadamard(struct check *c)
{
    const size_t block = (size_t)1 << (c->lanes % 13);
    transform(c, block * (check_random(c) % 38), block);
}

static void hadamard_large(struct check *c)
{
    if (c->lanes % 64 == 1) {
        const size_t block = (size_t)1 << (13 + c->lanes / 64 % 4);
        transform(c, block * (1 + c->lanes / 256 % 3), block);
    }
}

int main(void)
{
    static const struct check_kernel kernels[] = {
        {"sum_squares", sum_squares, 0},
        {"scale", scale, 0},
        {"axpy", axpy, 0},
        {"flip_signs", flip_signs, 0},
        {"round_i8", round_i8, 0},
        {"hadamard", hadamard, 0},
        {"hadamard (large)", hadamard_large, 0},
    };
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
