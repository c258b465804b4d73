/* test_plane_memory.c - where rounds' sums lie: a map that is laid out by hand, without workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/upload/plane_internal.h"

#define SHARE 1000000

struct map {
    struct mr_upload_plane plane;
    struct mr_plane_round rounds[4];
    unsigned count;
    uint64_t cell; /* what the largest round takes */
};

static void make(struct map *map, unsigned cells)
{
    *map = (struct map){
        .plane = {.config = {.workers = 1, .slots_per_worker = 8, .share_bytes_max = SHARE}}};
    map->cell = mr_upload_plane_round_bytes(&map->plane.config, SHARE, UINT32_MAX);
    map->plane.config.accumulator_bytes = cells * map->cell;
}

/* Bytes from `from` to `to`, in hundredths of a cell, are somebody's. */
static void take(struct map *map, unsigned from, unsigned to)
{
    struct mr_plane_round *round = &map->rounds[map->count];
    round->accumulators_at = from * map->cell / 100;
    round->accumulators_bytes = to * map->cell / 100 - round->accumulators_at;
    map->plane.rounds[map->count++] = round;
}

static void expect(const struct map *map, unsigned bytes, unsigned at)
{
    struct mr_error error;
    uint64_t found = 0;
    assert_int_equal(
        mr_plane_accumulators_find(&map->plane, bytes * map->cell / 100, &found, &error), 0);
    assert_int_equal(found, at * map->cell / 100);
}

static void expect_none(const struct map *map, unsigned bytes)
{
    struct mr_error error;
    uint64_t found;
    assert_int_equal(
        mr_plane_accumulators_find(&map->plane, bytes * map->cell / 100, &found, &error), -1);
    assert_non_null(strstr(error.text, "free in one piece"));
}

/* The smallest gap that is large enough, wherever it is. */
static void test_smallest_gap(void **state)
{
    (void)state;
    struct map map;
    make(&map, 3);
    expect(&map, 100, 0);
    take(&map, 0, 60);
    expect(&map, 40, 60);
    take(&map, 100, 170);
    expect(&map, 30, 170);
    expect(&map, 40, 60);
    expect(&map, 41, 200);
}

/* From the end of the first round to the third there is room, across the end of a cell: a round
 * there would leave neither cell whole when the others have ended. */
static void test_no_round_across_cells(void **state)
{
    (void)state;
    struct map map;
    make(&map, 3);
    take(&map, 0, 60);
    take(&map, 130, 190);
    expect(&map, 50, 200);
    take(&map, 200, 300);
    expect(&map, 40, 60);
    expect_none(&map, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_gap),
        cmocka_unit_test(test_no_round_across_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
