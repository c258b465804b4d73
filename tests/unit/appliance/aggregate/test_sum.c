/* test_sum.c - what is split comes together again: every ring, several hubs, up to the ring's last
 * device. */
#include "tests/unit/wire/shares.h"

#include "appliance/aggregate/shard.h"
#include "appliance/aggregate/sum.h"

struct vectors {
    struct mr_layout layout;
    unsigned clients, helpers;
    int8_t *q;        /* clients * lanes */
    int64_t *total;   /* lanes */
    uint8_t **shares; /* aligned */
};

static void split(struct vectors *v, const struct mr_kernels *kernels, int8_t fixed)
{
    uint64_t seed = 77;
    size_t lanes = v->layout.lanes;
    v->q = malloc(v->clients * lanes);
    v->total = calloc(lanes, sizeof *v->total);
    v->shares = calloc(v->clients, sizeof *v->shares);
    assert_true(v->q && v->total && v->shares);
    for (unsigned c = 0; c < v->clients; c++) {
        uint32_t trailer[MR_TRAILER_LANES] = {1, c + 1};
        int8_t *q = v->q + c * lanes;
        for (size_t i = 0; i < lanes; i++) {
            q[i] = fixed != 0 ? fixed : (int8_t)((int)(test_random(&seed) % 255) - 127);
            v->total[i] += q[i];
        }
        v->shares[c] = aligned(v->layout.share_bytes);
        mr_share_lift(v->shares[c], &v->layout, q, trailer, kernels);
        for (unsigned h = 0; h < v->helpers; h++) {
            struct mr_mask_stream mask;
            mask_of(&mask, c, h);
            mr_share_mask(v->shares[c], &v->layout, &mask, kernels);
        }
    }
}

/* The lead's and the helpers' sums, packed, where they can be in the place of their lanes; one of
 * them unpacked over whatever is there, and the others folded onto it. */
static void join(struct vectors *v, const struct mr_kernels *kernels, struct mr_vector_sum *sum)
{
    uint8_t *results[8];
    for (unsigned hub = 0; hub <= v->helpers; hub++) {
        results[hub] = aligned(v->layout.share_bytes);
        struct mr_vector_sum own = {.lanes = mr_layout_packed(&v->layout) ? sum->lanes
                                                                          : (void *)results[hub]};
        mr_sum_zero(&own, &v->layout);
        for (unsigned c = 0; c < v->clients; c++) {
            if (hub == 0) {
                const uint8_t *one = v->shares[c];
                mr_sum_fold(&own, &v->layout, &one, 1, kernels);
            } else {
                struct mr_mask_stream mask;
                mask_of(&mask, c, hub - 1);
                mr_sum_mask(&own, &v->layout, &mask, kernels);
            }
        }
        mr_sum_pack(results[hub], &v->layout, &own, kernels);
    }
    sum->trailer[MR_TRAILER_COUNT] = 1000;
    mr_sum_unpack(sum, &v->layout, results[0], kernels);
    mr_sum_fold(sum, &v->layout, (const uint8_t *const *)results + 1, v->helpers, kernels);
    for (unsigned hub = 0; hub <= v->helpers; hub++) {
        free(results[hub]);
    }
}

/* What is above a lane's own bits means nothing. */
static int64_t centred(const struct vectors *v, const struct mr_vector_sum *sum, size_t lane)
{
    const unsigned bits = v->layout.ring_bits;
    const uint32_t value = bits == 8    ? ((const uint8_t *)sum->lanes)[lane]
                           : bits <= 16 ? ((const uint16_t *)sum->lanes)[lane]
                                        : ((const uint32_t *)sum->lanes)[lane];
    return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

/* The total as the ring has it: random lanes go round a narrow one. */
static int64_t wrapped(int64_t total, unsigned bits)
{
    return (int32_t)((uint32_t)total << (32 - bits)) >> (32 - bits);
}

static void check(uint8_t ring_bits, unsigned clients, unsigned helpers, int8_t fixed,
                  enum mr_cpu_level level)
{
    const struct mr_kernels *kernels = mr_kernels_at(level);
    if (!kernels) {
        return;
    }
    struct vectors v = {.clients = clients, .helpers = helpers};
    assert_int_equal(mr_layout_init(&v.layout, ring_bits, 200, 0, 1408), 0);
    struct mr_vector_sum sum = {.lanes = aligned(mr_layout_accumulator_bytes(&v.layout))};
    split(&v, kernels, fixed);
    join(&v, kernels, &sum);
    for (size_t i = 0; i < v.layout.lanes; i++) {
        assert_true(centred(&v, &sum, i) == wrapped(v.total[i], ring_bits));
    }
    assert_int_equal(sum.trailer[MR_TRAILER_COUNT], clients);
    assert_int_equal(sum.trailer[MR_TRAILER_WEIGHT], clients * (clients + 1) / 2);
    for (unsigned lane = MR_TRAILER_SATURATED; lane < MR_TRAILER_LANES; lane++) {
        assert_int_equal(sum.trailer[lane], 0);
    }
    for (unsigned c = 0; c < clients; c++) {
        free(v.shares[c]);
    }
    free(v.shares);
    free(v.q);
    free(v.total);
    free(sum.lanes);
}

static void test_sums(void **state)
{
    (void)state;
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        for (unsigned i = 0; i < MR_RING_WIDTHS; i++) {
            check(mr_ring_widths[i], 1, 1, 0, levels[l]);
            check(mr_ring_widths[i], 5, 2, 0, levels[l]);
            check(mr_ring_widths[i], 9, 4, 0, levels[l]);
        }
    }
}

/* Every ring at its last device, every lane at the edge. */
static void test_ring_is_full(void **state)
{
    (void)state;
    static const struct {
        uint8_t ring_bits;
        unsigned clients;
        int8_t levels;
    } full[] = {{16, 258, 127}, {12, 16, 127}, {12, 120, 17},
                {10, 127, 4},   {8, 127, 1},   {8, 8, 15}};
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        check(full[i].ring_bits, full[i].clients, 1, full[i].levels, MR_CPU_SCALAR);
        check(full[i].ring_bits, full[i].clients, 1, (int8_t)-full[i].levels, MR_CPU_SCALAR);
    }
}

/* A shard's memory is planned from the share's bytes, before the ring is known. */
static void test_shard_holds_every_ring(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MR_RING_WIDTHS; i++) {
        for (uint64_t dimension = 1; dimension < 2000000; dimension = dimension * 3 + 1) {
            struct mr_layout layout;
            assert_int_equal(mr_layout_init(&layout, mr_ring_widths[i], dimension, 0, 1408), 0);
            assert_true(mr_shard_bytes(layout.share_bytes) >= mr_layout_accumulator_bytes(&layout));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_ring_is_full),
        cmocka_unit_test(test_shard_holds_every_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
