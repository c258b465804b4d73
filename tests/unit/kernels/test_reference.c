/* test_reference.c - what each kernel means, in values worked out by hand and by properties. Run at
 * every level: check_*.c would not see an error that scalar shares with the others. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/gauss_cells.h"
#include "kernels/kernels.h"

#define N 200 /* lanes: whole vectors and a rest at every width */

/* The level comes as the test's state. */
static const struct mr_kernels *kernels_of(void **state)
{
    return *state;
}

static void test_ring_wraps(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    uint16_t a16[N], s16[N];
    uint32_t a32[N], s32[N];
    for (unsigned i = 0; i < N; i++) {
        a16[i] = (uint16_t)(0xff00 + i);
        s16[i] = 0x0150;
        a32[i] = 0xffffff00u + i;
        s32[i] = 0x00000150u;
    }
    k->add_w16(a16, s16, N);
    k->add_w32(a32, s32, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(a16[i], (0x50 + i) & 0xffff);
        assert_int_equal(a32[i], 0x50 + i);
    }
}

static void test_fold_is_repeated_add(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static uint16_t s16[MR_FOLD_MAX][N];
    static uint32_t s32[MR_FOLD_MAX][N];
    static uint8_t s24[MR_FOLD_MAX][3 * N];
    const uint16_t *p16[MR_FOLD_MAX];
    const uint32_t *p32[MR_FOLD_MAX];
    const uint8_t *p24[MR_FOLD_MAX];
    for (unsigned s = 0; s < MR_FOLD_MAX; s++) {
        for (unsigned i = 0; i < N; i++) {
            /* One-hot by source: the sum tells which sources are in it, and how often. */
            s16[s][i] = (uint16_t)(1u << (2 * s));
            s32[s][i] = 1u << (4 * s);
            memcpy(&s24[s][3 * i], &(uint32_t){1u << (3 * s)}, 3);
        }
        p16[s] = s16[s];
        p32[s] = s32[s];
        p24[s] = s24[s];
    }
    for (unsigned sources = 1; sources <= MR_FOLD_MAX; sources++) {
        uint16_t a16[N] = {0};
        uint32_t a32[N] = {0}, a24[N] = {0};
        k->fold_w16(a16, p16, sources, N);
        k->fold_w32(a32, p32, sources, N);
        k->fold_w24(a24, p24, sources, N);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(a16[i], 0x5555u & ((1u << (2 * sources)) - 1));
            assert_int_equal(a32[i], 0x11111111u & (uint32_t)((UINT64_C(1) << (4 * sources)) - 1));
            assert_int_equal(a24[i], 0x249249u & ((1u << (3 * sources)) - 1));
        }
    }
}

static void test_packed(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    uint32_t acc[N], back[N];
    uint8_t packed[3 * N];
    for (unsigned i = 0; i < N; i++) {
        acc[i] = 0xab000000u | (0x030201u + i * 0x010203u);
    }
    k->pack_w24(packed, acc, N);
    for (unsigned i = 0; i < N; i++) {
        const uint32_t low = acc[i] & 0xffffff;
        assert_int_equal(packed[3 * i], low & 0xff);
        assert_int_equal(packed[3 * i + 1], low >> 8 & 0xff);
        assert_int_equal(packed[3 * i + 2], low >> 16);
    }
    k->unpack_w24(back, packed, N);
    k->add_w24(acc, packed, N);
    for (unsigned i = 0; i < N; i++) {
        const uint32_t low = (0x030201u + i * 0x010203u) & 0xffffff;
        assert_int_equal(back[i], low);
        assert_int_equal(acc[i] & 0xffffff, 2 * low & 0xffffff);
    }
}

/* The order of the bits, worked out by hand: lane i is the bits i·w and up, the lowest first. */
static void test_narrow_bits(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static const uint16_t lanes[4] = {0xf123, 0x0456, 0x0089, 0xabff};
    static const uint8_t packed12[6] = {0x23, 0x61, 0x45, 0x89, 0xf0, 0xbf};
    static const uint8_t packed10[5] = {0x23, 0x59, 0x91, 0xc8, 0xff};
    static const int8_t q[4] = {1, -1, -128, 127};
    static const uint8_t lifted12[6] = {0x01, 0xf0, 0xff, 0x80, 0xff, 0x07};
    static const uint8_t lifted10[5] = {0x01, 0xfc, 0x0f, 0xf8, 0x1f};
    uint8_t packed[12 / 2 * N / 4], once[6];
    uint16_t acc[N];
    for (unsigned bits = 10; bits <= 12; bits += 2) {
        const uint8_t *const want = bits == 12 ? packed12 : packed10;
        k->pack_narrow(once, lanes, 4, bits);
        assert_memory_equal(once, want, bits / 2);
        k->lift_narrow(once, q, 4, bits);
        assert_memory_equal(once, bits == 12 ? lifted12 : lifted10, bits / 2);
        /* Two of them, one twice, over whole vectors and a rest. */
        for (unsigned i = 0; i < N / 4; i++) {
            memcpy(packed + i * bits / 2, want, bits / 2);
        }
        for (unsigned i = 0; i < N; i++) {
            acc[i] = (uint16_t)(0xffff << bits | i);
        }
        k->fold_narrow(acc, (const uint8_t *const[2]){packed, packed}, 2, N, bits);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal((acc[i] ^ (2 * lanes[i % 4] + i)) & ((1u << bits) - 1), 0);
        }
    }
}

static void test_narrow_masks_cancel(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static const uint8_t key[16] = {7}, counter[16] = {9};
    enum { LANES = 1204 }; /* two spans of the stream and a rest */
    struct mr_mask_stream mask;
    static uint8_t stream[2 * LANES], packed[2 * LANES], w8[LANES];
    static uint16_t acc[LANES];
    mr_mask_stream_init(&mask, key, counter);
    k->mask_expand(stream, &mask, 160, sizeof stream);
    for (unsigned bits = 10; bits <= 12; bits += 2) {
        memset(packed, 0, sizeof packed);
        memset(acc, 0, sizeof acc);
        k->mask_sub_narrow(packed, &mask, 160, LANES, bits);
        k->fold_narrow(acc, (const uint8_t *const[1]){packed}, 1, LANES, bits);
        for (unsigned i = 0; i < LANES; i++) {
            unsigned lane = 0;
            for (unsigned b = 0; b < bits; b++) {
                const unsigned at = i * bits + b;
                lane |= (stream[at / 8] >> at % 8 & 1u) << b;
            }
            assert_int_equal((acc[i] + lane) & ((1u << bits) - 1), 0);
        }
        k->mask_add_narrow(acc, &mask, 160, LANES, bits);
        for (unsigned i = 0; i < LANES; i++) {
            assert_int_equal(acc[i] & ((1u << bits) - 1), 0);
        }
    }
    memset(w8, 3, sizeof w8);
    k->mask_sub_w8(w8, &mask, 160, LANES);
    for (unsigned i = 0; i < LANES; i++) {
        assert_int_equal(w8[i], (uint8_t)(3 - stream[i]));
    }
    k->mask_add_w8(w8, &mask, 160, LANES);
    for (unsigned i = 0; i < LANES; i++) {
        assert_int_equal(w8[i], 3);
    }
}

static void test_narrow_centre(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    const uint8_t w8[4] = {0x7f, 0x80, 0xff, 3};
    const uint16_t w10[4] = {0xfdff, 0x0200, 0xffff, 0x0403};
    const uint16_t w12[4] = {0xf7ff, 0x0800, 0xffff, 0x5003};
    const float want[3][4] = {
        {63.5f, -64, -0.5f, 1.5f}, {255.5f, -256, -0.5f, 1.5f}, {1023.5f, -1024, -0.5f, 1.5f}};
    float out[3][4];
    uint8_t folded[N];
    memset(folded, 0xfe, sizeof folded);
    k->fold_w8(folded, (const uint8_t *const[1]){(uint8_t[N]){[N - 1] = 5}}, 1, N);
    assert_int_equal(folded[N - 1], 3);
    assert_int_equal(folded[0], 0xfe);
    k->centre_w8(out[0], w8, 0.5f, 4);
    k->centre_narrow(out[1], w10, 0.5f, 4, 10);
    k->centre_narrow(out[2], w12, 0.5f, 4, 12);
    for (unsigned i = 0; i < 12; i++) {
        assert_true(out[i / 4][i % 4] == want[i / 4][i % 4]);
    }
}

static void test_lift_then_centre(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    int8_t q[N];
    uint16_t w16[N];
    uint32_t w32[N], acc[N];
    uint8_t w24[3 * N];
    float out[3][N];
    for (unsigned i = 0; i < N; i++) {
        q[i] = (int8_t)((int)i - 100);
    }
    k->lift_w16(w16, q, N);
    k->lift_w24(w24, q, N);
    k->lift_w32(w32, q, N);
    assert_int_equal(w16[99], 0xffff);
    assert_int_equal(w32[98], 0xfffffffeu);
    k->unpack_w24(acc, w24, N);
    assert_int_equal(acc[97], 0xfffffd);
    k->centre_w16(out[0], w16, 0.5f, N);
    k->centre_w24(out[1], acc, 0.5f, N);
    k->centre_w32(out[2], w32, 0.5f, N);
    for (unsigned i = 0; i < N; i++) {
        for (unsigned w = 0; w < 3; w++) {
            assert_true(out[w][i] == ((float)i - 100.0f) * 0.5f);
        }
    }
}

static void test_centre_edges(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    uint16_t w16[N];
    uint32_t w24[N], w32[N];
    float out[N];
    for (unsigned i = 0; i < N; i++) {
        w16[i] = (uint16_t)(0x7fff + (i & 1));
        w24[i] = 0x5a000000u + 0x7fffffu + (i & 1);
        w32[i] = 0x7fffffffu + (i & 1);
    }
    k->centre_w16(out, w16, 1.0f, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(out[i] == (i & 1 ? -32768.0f : 32767.0f));
    }
    k->centre_w24(out, w24, 1.0f, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(out[i] == (i & 1 ? -8388608.0f : 8388607.0f));
    }
    k->centre_w32(out, w32, 1.0f, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(out[i] == (i & 1 ? -2147483648.0f : 2147483648.0f)); /* to nearest even */
    }
}

/* What the helper adds is what the client took away, at every width and from the middle too. */
static void test_masks_cancel(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static const uint8_t key[16] = {7}, counter[16] = {9};
    struct mr_mask_stream mask;
    uint8_t stream[4 * N], packed[3 * N] = {0};
    uint16_t w16[N] = {0};
    uint32_t w32[N] = {0}, w24[N];
    mr_mask_stream_init(&mask, key, counter);
    k->mask_expand(stream, &mask, 160, sizeof stream);

    k->mask_sub_w16(w16, &mask, 160, N);
    k->mask_sub_w24(packed, &mask, 160, N);
    k->mask_sub_w32(w32, &mask, 160, N);
    k->unpack_w24(w24, packed, N);
    for (unsigned i = 0; i < N; i++) {
        uint16_t s16;
        uint32_t s24 = 0, s32;
        memcpy(&s16, stream + 2 * i, 2);
        memcpy(&s24, stream + 3 * i, 3);
        memcpy(&s32, stream + 4 * i, 4);
        assert_int_equal(w16[i], (uint16_t)-s16);
        assert_int_equal(w24[i], -s24 & 0xffffff);
        assert_int_equal(w32[i], -s32);
    }
    k->mask_add_w16(w16, &mask, 160, N);
    k->mask_add_w24(w24, &mask, 160, N);
    /* In two pieces: 40 lanes of four bytes end on a block. */
    k->mask_add_w32(w32, &mask, 160, 40);
    k->mask_add_w32(w32 + 40, &mask, 160 + 4 * 40, N - 40);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(w16[i], 0);
        assert_int_equal(w24[i] & 0xffffff, 0);
        assert_int_equal(w32[i], 0);
    }
}

/* Draw i names column i, whose share it hits or misses by one; its u is at what its place allows,
 * or one below. Cells from 500 on are never sure. */
static void test_gauss_draw(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    uint32_t columns[MR_GAUSS_CELLS];
    uint64_t random[2 * N], undecided[(N + 63) / 64];
    int32_t out[N];
    for (uint32_t i = 0; i < MR_GAUSS_CELLS; i++) {
        columns[i] = MR_GAUSS_COLUMN(1000 + i, MR_GAUSS_CELLS - 1 - i);
    }
    for (uint64_t i = 0; i < N; i++) {
        const uint64_t missed = i % 2, negative = i / 2 % 2, below = i / 4 % 2, within = i % 16;
        const uint64_t cell = missed ? MR_GAUSS_CELLS - 1 - i : i;
        const uint64_t allowed = MR_GAUSS_FLOOR - 999 * (2 * cell + 1) * ((within + 3) / 4);
        random[2 * i] = i | (999 + i + missed) << 9 | negative << 32 | (within | 1u << 30) << 33;
        random[2 * i + 1] = (allowed - below) << 32 | (below ? UINT32_MAX : 0);
    }
    const struct mr_gauss_cells cells = {
        .columns = columns, .block_log2 = 4, .within_shift = 2, .slope = 999, .sure = 500};
    k->gauss_draw(out, undecided, &cells, random, N);
    for (int32_t i = 0; i < N; i++) {
        const int32_t cell = i % 2 ? MR_GAUSS_CELLS - 1 - i : i, x = 16 * cell + i % 16;
        assert_int_equal(out[i], i / 2 % 2 ? -x : x);
        assert_int_equal(undecided[i / 64] >> (i % 64) & 1, cell >= 500 || i / 4 % 2 == 0);
    }
    assert_int_equal(undecided[N / 64] >> (N % 64), 0);
}

/* The second of two zeros is left undecided; where zero has a cell of its own there is but one. */
static void test_gauss_zeros(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    uint32_t columns[MR_GAUSS_CELLS] = {0};
    uint64_t random[2 * N] = {0}, undecided[(N + 63) / 64];
    int32_t out[N];
    for (uint64_t i = 0; i < N; i++) {
        random[2 * i] = (i % 3 == 0) * (UINT64_C(1) << 32) | i % 2 << 33;
    }
    for (unsigned wide = 0; wide < 2; wide++) {
        const struct mr_gauss_cells cells = {
            .columns = columns, .block_log2 = wide, .slope = 1, .sure = MR_GAUSS_CELLS};
        k->gauss_draw(out, undecided, &cells, random, N);
        for (int32_t i = 0; i < N; i++) {
            const int32_t x = wide && i % 2;
            assert_int_equal(out[i], i % 3 == 0 ? -x : x);
            assert_int_equal(undecided[i / 64] >> (i % 64) & 1, wide && x == 0 && i % 3 == 0);
        }
    }
}

static void test_sum_squares(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    float x[N];
    for (unsigned i = 0; i < N; i++) {
        x[i] = (float)i;
    }
    assert_true(k->sum_squares(x, N) == (N - 1.0) * N * (2 * N - 1.0) / 6);
    assert_true(k->sum_squares(x, 0) == 0.0);
    x[77] = 3e38f; /* its square is beyond float, not beyond double */
    assert_true(isfinite(k->sum_squares(x, N)));
    x[77] = NAN;
    assert_true(isnan(k->sum_squares(x, N)));
    x[77] = -INFINITY;
    assert_true(isinf(k->sum_squares(x, N)));
    /* The stated order: x[1] and x[9] meet before they meet x[0]; in rising order 1 + 2^-53 twice
     * would stay 1. */
    const float order[16] = {[0] = 1.0f, [1] = 0x1p-27f, [9] = 0x1p-27f, [3] = 0x1.6a09e6p-27f};
    const double pair = 2 * 0x1p-54, third = (double)order[3] * order[3];
    assert_true(k->sum_squares(order, 16) == 1.0 + (pair + third));
}

static void test_scale_axpy_flip(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    float x[N], y[N];
    uint8_t bits[(N + 7) / 8];
    for (unsigned i = 0; i < N; i++) {
        x[i] = (float)i - 50.0f;
        y[i] = 1.0f;
    }
    k->scale(x, 0.25f, N);
    k->axpy(y, -2.0f, x, N);
    memset(bits, 0x0d, sizeof bits);
    k->flip_signs(x, bits, N);
    for (unsigned i = 0; i < N; i++) {
        const float scaled = ((float)i - 50.0f) * 0.25f;
        const int flipped = 0x0d >> (i % 8) & 1;
        assert_true(y[i] == 1.0f - 2.0f * scaled);
        assert_true(x[i] == (flipped ? -scaled : scaled));
    }
    /* A fused multiply-add would keep what the product's rounding drops. */
    for (unsigned i = 0; i < N; i++) {
        x[i] = 1.0f + 0x1p-12f;
        y[i] = -(1.0f + 0x1p-11f);
    }
    k->axpy(y, 1.0f + 0x1p-12f, x, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(y[i] == 0.0f);
    }
}

static void test_hadamard(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static float x[3 * 1024];
    for (size_t block = 1; block <= 1024; block *= 2) {
        const float unit = (float)(1.0 / sqrt((double)block));
        const size_t hot = block * 5 / 7;
        /* The transform of an impulse is the row of the Hadamard matrix, (-1)^popcount(i & hot). */
        memset(x, 0, sizeof x);
        /* Of three blocks, interleaved, the second. */
        x[3 * hot + 1] = 1.0f;
        k->hadamard(x, 3 * block, block);
        for (size_t i = 0; i < block; i++) {
            assert_true(x[3 * i] == 0.0f);
            assert_true(x[3 * i + 1] == (__builtin_popcountll(i & hot) & 1 ? -unit : unit));
            assert_true(x[3 * i + 2] == 0.0f);
        }
    }
    for (size_t i = 0; i < 1024; i++) {
        x[i] = (float)(i * 37 % 101) - 50.0f;
    }
    k->hadamard(x, 1024, 1024);
    k->hadamard(x, 1024, 1024);
    for (size_t i = 0; i < 1024; i++) {
        assert_true(fabsf(x[i] - ((float)(i * 37 % 101) - 50.0f)) < 1e-4f);
    }
}

static void test_round(void **state)
{
    const struct mr_kernels *k = kernels_of(state);
    static const struct {
        float y;
        uint16_t rnd;
        int q, saturated;
    } cases[] = {
        {0.0f, 0, 0, 0},          {0.5f, 0, 1, 0},
        {0.5f, 0x7fff, 1, 0},     {0.5f, 0x8000, 0, 0},
        {-0.5f, 0x7fff, 0, 0},    {-0.5f, 0x8000, -1, 0},
        {3.25f, 0x3fff, 4, 0},    {3.25f, 0x4000, 3, 0},
        {-3.25f, 0xbfff, -3, 0},  {-3.25f, 0xc000, -4, 0},
        {5.0f, 0, 5, 0},          {-5.0f, 0, -5, 0},
        {126.5f, 0, 127, 0},      {127.0f, 0, 127, 0},
        {127.5f, 0xffff, 127, 0}, {127.5f, 0, 127, 1},
        {128.0f, 0xffff, 127, 1}, {-127.0f, 0, -127, 0},
        {-127.5f, 0, -127, 0},    {-127.5f, 0xffff, -127, 1},
        {-1e30f, 0, -127, 1},     {3e38f, 0, 127, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float x[N];
        uint16_t rnd[N];
        int8_t q[N];
        for (unsigned i = 0; i < N; i++) {
            x[i] = cases[c].y / 2;
            rnd[i] = cases[c].rnd;
        }
        assert_int_equal(k->round_i8(q, x, 2.0f, 127, rnd, N), cases[c].saturated * N);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(q[i], cases[c].q);
        }
    }
    /* Fewer levels. */
    const float few[3] = {7.0f, 7.5f, -9.0f};
    int8_t out[3];
    assert_int_equal(k->round_i8(out, few, 1.0f, 7, (const uint16_t[3]){0}, 3), 2);
    assert_int_equal(out[0], 7);
    assert_int_equal(out[1], 7);
    assert_int_equal(out[2], -7);
    /* Beyond float after scaling: an infinity, which saturates. */
    const float huge[1] = {-3e38f};
    assert_int_equal(k->round_i8(out, huge, 10.0f, 127, (const uint16_t[1]){0}, 1), 1);
    assert_int_equal(out[0], -127);
}

int main(void)
{
    int failed = 0;
    for (uint32_t level = MR_CPU_SCALAR; level <= MR_CPU_NEON; level *= 2) {
        void *k = (void *)mr_kernels_at((enum mr_cpu_level)level);
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(test_ring_wraps, k),
            cmocka_unit_test_prestate(test_fold_is_repeated_add, k),
            cmocka_unit_test_prestate(test_packed, k),
            cmocka_unit_test_prestate(test_narrow_bits, k),
            cmocka_unit_test_prestate(test_narrow_masks_cancel, k),
            cmocka_unit_test_prestate(test_narrow_centre, k),
            cmocka_unit_test_prestate(test_lift_then_centre, k),
            cmocka_unit_test_prestate(test_centre_edges, k),
            cmocka_unit_test_prestate(test_masks_cancel, k),
            cmocka_unit_test_prestate(test_gauss_draw, k),
            cmocka_unit_test_prestate(test_gauss_zeros, k),
            cmocka_unit_test_prestate(test_sum_squares, k),
            cmocka_unit_test_prestate(test_scale_axpy_flip, k),
            cmocka_unit_test_prestate(test_hadamard, k),
            cmocka_unit_test_prestate(test_round, k),
        };
        if (k) {
            failed += cmocka_run_group_tests_name(mr_kernels_at((enum mr_cpu_level)level)->name,
                                                  tests, NULL, NULL);
        }
    }
    return failed;
}
