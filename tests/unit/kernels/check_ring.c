/* check_ring.c - add, fold, pack, unpack, lift and centre of the ring. */
#include "tests/unit/kernels/check.h"

static void add_w16(struct check *c)
{
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    const struct check_pair src = check_place(c, CHECK_U16, c->lanes);
    c->ref->add_w16(acc.want, src.want, c->lanes);
    c->level->add_w16(acc.got, src.got, c->lanes);
    check_finish(c, 0, 0);
}

static void add_w24(struct check *c)
{
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    const struct check_pair src = check_place(c, CHECK_U24, c->lanes);
    c->ref->add_w24(acc.want, src.want, c->lanes);
    c->level->add_w24(acc.got, src.got, c->lanes);
    check_finish(c, 0, 0);
}

static void add_w32(struct check *c)
{
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    const struct check_pair src = check_place(c, CHECK_U32, c->lanes);
    c->ref->add_w32(acc.want, src.want, c->lanes);
    c->level->add_w32(acc.got, src.got, c->lanes);
    check_finish(c, 0, 0);
}

/* The sources of a fold; now and then one of them twice, which the contract allows. */
static unsigned place_sources(struct check *c, enum check_type type, size_t count,
                              const void *want[MR_FOLD_MAX], const void *got[MR_FOLD_MAX])
{
    const unsigned sources = 1 + (unsigned)(check_random(c) % MR_FOLD_MAX);
    for (unsigned s = 0; s < sources; s++) {
        if (s > 0 && check_random(c) % 8 == 0) {
            want[s] = want[s - 1];
            got[s] = got[s - 1];
        } else {
            const struct check_pair src = check_place(c, type, count);
            want[s] = src.want;
            got[s] = src.got;
        }
    }
    return sources;
}

static void fold_w16(struct check *c)
{
    const void *want[MR_FOLD_MAX], *got[MR_FOLD_MAX];
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    const unsigned sources = place_sources(c, CHECK_U16, c->lanes, want, got);
    c->ref->fold_w16(acc.want, (const uint16_t *const *)want, sources, c->lanes);
    c->level->fold_w16(acc.got, (const uint16_t *const *)got, sources, c->lanes);
    check_finish(c, 0, 0);
}

static void fold_w24(struct check *c)
{
    const void *want[MR_FOLD_MAX], *got[MR_FOLD_MAX];
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    const unsigned sources = place_sources(c, CHECK_U24, c->lanes, want, got);
    c->ref->fold_w24(acc.want, (const uint8_t *const *)want, sources, c->lanes);
    c->level->fold_w24(acc.got, (const uint8_t *const *)got, sources, c->lanes);
    check_finish(c, 0, 0);
}

static void fold_w32(struct check *c)
{
    const void *want[MR_FOLD_MAX], *got[MR_FOLD_MAX];
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    const unsigned sources = place_sources(c, CHECK_U32, c->lanes, want, got);
    c->ref->fold_w32(acc.want, (const uint32_t *const *)want, sources, c->lanes);
    c->level->fold_w32(acc.got, (const uint32_t *const *)got, sources, c->lanes);
    check_finish(c, 0, 0);
}

static void pack_w24(struct check *c)
{
    const struct check_pair packed = check_place(c, CHECK_U24, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    c->ref->pack_w24(packed.want, acc.want, c->lanes);
    c->level->pack_w24(packed.got, acc.got, c->lanes);
    check_finish(c, 0, 0);
}

static void unpack_w24(struct check *c)
{
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    const struct check_pair packed = check_place(c, CHECK_U24, c->lanes);
    c->ref->unpack_w24(acc.want, packed.want, c->lanes);
    c->level->unpack_w24(acc.got, packed.got, c->lanes);
    check_finish(c, 0, 0);
}

static void lift_w16(struct check *c)
{
    const struct check_pair out = check_place(c, CHECK_U16, c->lanes);
    const struct check_pair q = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->lift_w16(out.want, q.want, c->lanes);
    c->level->lift_w16(out.got, q.got, c->lanes);
    check_finish(c, 0, 0);
}

static void lift_w24(struct check *c)
{
    const struct check_pair out = check_place(c, CHECK_U24, c->lanes);
    const struct check_pair q = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->lift_w24(out.want, q.want, c->lanes);
    c->level->lift_w24(out.got, q.got, c->lanes);
    check_finish(c, 0, 0);
}

static void lift_w32(struct check *c)
{
    const struct check_pair out = check_place(c, CHECK_U32, c->lanes);
    const struct check_pair q = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->lift_w32(out.want, q.want, c->lanes);
    c->level->lift_w32(out.got, q.got, c->lanes);
    check_finish(c, 0, 0);
}

static float factor_of(struct check *c)
{
    return (float)(int32_t)check_random(c) * 0x1p-40f;
}

static void centre_w16(struct check *c)
{
    const float factor = factor_of(c);
    const struct check_pair out = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    c->ref->centre_w16(out.want, acc.want, factor, c->lanes);
    c->level->centre_w16(out.got, acc.got, factor, c->lanes);
    check_finish(c, 0, 0);
}

static void centre_w24(struct check *c)
{
    const float factor = factor_of(c);
    const struct check_pair out = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    c->ref->centre_w24(out.want, acc.want, factor, c->lanes);
    c->level->centre_w24(out.got, acc.got, factor, c->lanes);
    check_finish(c, 0, 0);
}

static void centre_w32(struct check *c)
{
    const float factor = factor_of(c);
    const struct check_pair out = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    c->ref->centre_w32(out.want, acc.want, factor, c->lanes);
    c->level->centre_w32(out.got, acc.got, factor, c->lanes);
    check_finish(c, 0, 0);
}

static void fold_w8(struct check *c)
{
    const void *want[MR_FOLD_MAX], *got[MR_FOLD_MAX];
    const struct check_pair acc = check_place(c, CHECK_BYTES, c->lanes);
    const unsigned sources = place_sources(c, CHECK_BYTES, c->lanes, want, got);
    c->ref->fold_w8(acc.want, (const uint8_t *const *)want, sources, c->lanes);
    c->level->fold_w8(acc.got, (const uint8_t *const *)got, sources, c->lanes);
    check_finish(c, 0, 0);
}

static void fold_narrow(struct check *c)
{
    const void *want[MR_FOLD_MAX], *got[MR_FOLD_MAX];
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    const unsigned sources = place_sources(c, CHECK_BYTES, c->lanes / 4 * (bits / 2), want, got);
    c->ref->fold_narrow(acc.want, (const uint8_t *const *)want, sources, c->lanes, bits);
    c->level->fold_narrow(acc.got, (const uint8_t *const *)got, sources, c->lanes, bits);
    check_low_bits(&acc, c->lanes, bits);
    check_finish(c, 0, 0);
}

static void pack_narrow(struct check *c)
{
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair packed = check_place(c, CHECK_BYTES, c->lanes / 4 * (bits / 2));
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    c->ref->pack_narrow(packed.want, acc.want, c->lanes, bits);
    c->level->pack_narrow(packed.got, acc.got, c->lanes, bits);
    check_finish(c, 0, 0);
}

static void lift_narrow(struct check *c)
{
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair out = check_place(c, CHECK_BYTES, c->lanes / 4 * (bits / 2));
    const struct check_pair q = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->lift_narrow(out.want, q.want, c->lanes, bits);
    c->level->lift_narrow(out.got, q.got, c->lanes, bits);
    check_finish(c, 0, 0);
}

static void centre_w8(struct check *c)
{
    const float factor = factor_of(c);
    const struct check_pair out = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->centre_w8(out.want, acc.want, factor, c->lanes);
    c->level->centre_w8(out.got, acc.got, factor, c->lanes);
    check_finish(c, 0, 0);
}

static void centre_narrow(struct check *c)
{
    const float factor = factor_of(c);
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair out = check_place(c, CHECK_F32, c->lanes);
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    c->ref->centre_narrow(out.want, acc.want, factor, c->lanes, bits);
    c->level->centre_narrow(out.got, acc.got, factor, c->lanes, bits);
    check_finish(c, 0, 0);
}

int main(void)
{
    static const struct check_kernel kernels[] = {
        {"add_w16", add_w16, 0},         {"add_w24", add_w24, 0},
        {"add_w32", add_w32, 0},         {"fold_w16", fold_w16, 0},
        {"fold_w24", fold_w24, 0},       {"fold_w32", fold_w32, 0},
        {"pack_w24", pack_w24, 0},       {"unpack_w24", unpack_w24, 0},
        {"lift_w16", lift_w16, 0},       {"lift_w24", lift_w24, 0},
        {"lift_w32", lift_w32, 0},       {"centre_w16", centre_w16, 0},
        {"centre_w24", centre_w24, 0},   {"centre_w32", centre_w32, 0},
        {"fold_w8", fold_w8, 0},         {"fold_narrow", fold_narrow, 4},
        {"pack_narrow", pack_narrow, 4}, {"lift_narrow", lift_narrow, 4},
        {"centre_w8", centre_w8, 0},     {"centre_narrow", centre_narrow, 4},
    };
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
