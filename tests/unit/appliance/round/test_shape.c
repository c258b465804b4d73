/* The shape of a set: whom it leaves out, and whether those came early. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/round/helper/shape.h"

static uint8_t ids[8][MR_CLIENT_ID_BYTES];
static struct mr_seeds seeds;

/* Eight devices in the order of their numbers, whose ids do not rise. */
static int setup(void **state)
{
    (void)state;
    mr_seeds_init(&seeds, 8, 1);
    for (unsigned i = 0; i < 8; i++) {
        struct mr_included included = {.attempt = 0};
        const struct mr_seed seed = {.bytes = {1}};
        ids[i][0] = (uint8_t)(i * 37);
        memcpy(included.client_id, ids[i], MR_CLIENT_ID_BYTES);
        assert_int_equal(mr_seeds_admit(&seeds, &included, &seed), MR_SEED_ADMITTED);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_seeds_wipe(&seeds);
    return 0;
}

/* The devices in bits `set` of those in bits `eligible`. */
static struct mr_shape shape_of(unsigned set, unsigned eligible)
{
    uint8_t in[8][MR_CLIENT_ID_BYTES], could[8][MR_CLIENT_ID_BYTES];
    struct mr_shape shape;
    uint32_t count = 0, could_count = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (set >> i & 1) {
            memcpy(in[count++], ids[i], MR_CLIENT_ID_BYTES);
        }
        if (eligible >> i & 1) {
            memcpy(could[could_count++], ids[i], MR_CLIENT_ID_BYTES);
        }
    }
    const struct mr_shape_question question = {
        .seeds = &seeds,
        .included = in[0],
        .count = count,
        .stride = sizeof in[0],
        .eligible = eligible == 0xff ? NULL : (const uint8_t(*)[MR_CLIENT_ID_BYTES])could,
        .eligible_count = could_count};
    assert_int_equal(mr_shape_of(&shape, &question), 0);
    assert_int_equal(shape.included, count);
    return shape;
}

static void expect(unsigned set, unsigned eligible, uint32_t could, uint32_t passed_over,
                   uint32_t percent)
{
    const struct mr_shape shape = shape_of(set, eligible);
    assert_int_equal(shape.eligible, could);
    assert_int_equal(shape.passed_over, passed_over);
    assert_int_equal(mr_shape_passed_over_percent(&shape), percent);
}

static void test_shapes(void **state)
{
    (void)state;
    expect(0xff, 0xff, 8, 0, 0);
    expect(0x0f, 0xff, 8, 0, 0);  /* the late ones are left out */
    expect(0xf0, 0xff, 8, 4, 66); /* the early ones: four before the first two of the set */
    expect(0x80, 0xff, 8, 7, 87);
    expect(0x81, 0xff, 8, 0, 0); /* an accomplice that came first hides nobody but itself */
    expect(0xfe, 0xff, 8, 1, 20);
    expect(0xaa, 0xff, 8, 2, 50);
    expect(0xf0, 0xf0, 4, 0, 0); /* of those that were drawn nobody is left out */
    expect(0x90, 0xf0, 4, 0, 0);
    expect(0xc0, 0xf0, 4, 2, 66);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shapes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
