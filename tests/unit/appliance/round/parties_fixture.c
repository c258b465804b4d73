/* parties_fixture.c - what most tests of the cores begin and end with. */
#include "parties.h"

const struct world_options world_plain = {.ring_bits = 16,
                                          .dimension = 100,
                                          .hubs = WORLD_HUBS,
                                          .cohort_min = 4,
                                          .quorum = 6,
                                          .deadline_ms = 10000};

const struct world_options world_drawing = {.ring_bits = 16,
                                            .dimension = 100,
                                            .hubs = WORLD_HUBS,
                                            .cohort_min = 4,
                                            .cohort_max = 8,
                                            .admitted_max = WORLD_DEVICES,
                                            .quorum = 8,
                                            .deadline_ms = 10000,
                                            .draw_ms = 1000};

int world_setup(void **state)
{
    *state = world_open(*state);
    return 0;
}

int world_teardown(void **state)
{
    world_close(*state);
    return 0;
}

void world_expect_void(struct world *world, enum mr_void_kind kind, const char *word)
{
    struct mr_lead_report report;
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    if (!strstr(report.reason, word)) {
        fail_msg("the reason is \"%s\", expected \"%s\" in it", report.reason, word);
    }
    assert_int_equal(report.void_kind, kind);
    assert_int_equal(world->stores, 0);
}
