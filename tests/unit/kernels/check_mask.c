/* check_mask.c - mask expansion, addition and subtraction. */
#include <string.h>

#include "tests/unit/kernels/check.h"

/* A random stream whose counter is often so near to a carry out of its low word, or to its end,
 * that the carry falls inside the case; and an offset that adds to it. */
static uint64_t random_stream(struct check *c, struct mr_mask_stream *mask)
{
    uint64_t random[4];
    uint8_t key[16], counter[16];
    for (unsigned i = 0; i < 4; i++) {
        random[i] = check_random(c);
    }
    memcpy(key, random, sizeof key);
    memcpy(counter, random + 2, sizeof counter);
    const uint64_t pick = check_random(c);
    if (pick & 1) {
        memset(counter + (pick & 2 ? 0 : 8), 0xff, pick & 2 ? 15 : 7);
    }
    mr_mask_stream_init(mask, key, counter);
    return pick & 4 ? 16 * (check_random(c) % 64) : pick & 8 ? 16 * (check_random(c) >> 4) : 0;
}

static void mask_expand(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair out = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->mask_expand(out.want, &mask, offset, c->lanes);
    c->level->mask_expand(out.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_add_w16(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    c->ref->mask_add_w16(acc.want, &mask, offset, c->lanes);
    c->level->mask_add_w16(acc.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_add_w24(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    c->ref->mask_add_w24(acc.want, &mask, offset, c->lanes);
    c->level->mask_add_w24(acc.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_add_w32(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair acc = check_place(c, CHECK_U32, c->lanes);
    c->ref->mask_add_w32(acc.want, &mask, offset, c->lanes);
    c->level->mask_add_w32(acc.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_sub_w16(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair vec = check_place(c, CHECK_U16, c->lanes);
    c->ref->mask_sub_w16(vec.want, &mask, offset, c->lanes);
    c->level->mask_sub_w16(vec.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_sub_w24(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair packed = check_place(c, CHECK_U24, c->lanes);
    c->ref->mask_sub_w24(packed.want, &mask, offset, c->lanes);
    c->level->mask_sub_w24(packed.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_sub_w32(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair vec = check_place(c, CHECK_U32, c->lanes);
    c->ref->mask_sub_w32(vec.want, &mask, offset, c->lanes);
    c->level->mask_sub_w32(vec.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_add_w8(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair vec = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->mask_add_w8(vec.want, &mask, offset, c->lanes);
    c->level->mask_add_w8(vec.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_sub_w8(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const struct check_pair vec = check_place(c, CHECK_BYTES, c->lanes);
    c->ref->mask_sub_w8(vec.want, &mask, offset, c->lanes);
    c->level->mask_sub_w8(vec.got, &mask, offset, c->lanes);
    check_finish(c, 0, 0);
}

static void mask_add_narrow(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair acc = check_place(c, CHECK_U16, c->lanes);
    c->ref->mask_add_narrow(acc.want, &mask, offset, c->lanes, bits);
    c->level->mask_add_narrow(acc.got, &mask, offset, c->lanes, bits);
    check_low_bits(&acc, c->lanes, bits);
    check_finish(c, 0, 0);
}

static void mask_sub_narrow(struct check *c)
{
    struct mr_mask_stream mask;
    const uint64_t offset = random_stream(c, &mask);
    const unsigned bits = check_narrow_bits(c);
    const struct check_pair packed = check_place(c, CHECK_BYTES, c->lanes / 4 * (bits / 2));
    c->ref->mask_sub_narrow(packed.want, &mask, offset, c->lanes, bits);
    c->level->mask_sub_narrow(packed.got, &mask, offset, c->lanes, bits);
    check_finish(c, 0, 0);
}

int main(void)
{
    static const struct check_kernel kernels[] = {
        {"mask_expand", mask_expand, 0},         {"mask_add_w16", mask_add_w16, 0},
        {"mask_add_w24", mask_add_w24, 0},       {"mask_add_w32", mask_add_w32, 0},
        {"mask_sub_w16", mask_sub_w16, 0},       {"mask_sub_w24", mask_sub_w24, 0},
        {"mask_sub_w32", mask_sub_w32, 0},       {"mask_add_w8", mask_add_w8, 0},
        {"mask_sub_w8", mask_sub_w8, 0},         {"mask_add_narrow", mask_add_narrow, 4},
        {"mask_sub_narrow", mask_sub_narrow, 4},
    };
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
