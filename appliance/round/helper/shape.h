/* shape.h - how a set lies in what this helper admitted: how many it leaves out, and how many of
 * those had come before most of its own. A lead that shapes the set leaves out devices that were
 * early; one that only closes at its quorum leaves out those that were late. Pure. */
#ifndef MR_ROUND_HELPER_SHAPE_H
#define MR_ROUND_HELPER_SHAPE_H

#include "appliance/round/helper/seeds.h"

struct mr_shape {
    uint32_t eligible; /* devices that could be in it */
    uint32_t included; /* that are */
    /* Of the set in the order in which its devices' first seeds came here, the first half (the
     * larger one); and the eligible devices that came before its last and are not in the set. */
    uint32_t early, passed_over;
};

struct mr_shape_question {
    const struct mr_seeds *seeds;
    const uint8_t *included; /* client ids of the set, admitted, none twice */
    uint32_t count;          /* of them, each `stride` bytes behind the one before */
    size_t stride;
    const uint8_t (*eligible)[MR_CLIENT_ID_BYTES]; /* the set among them; NULL: all admitted */
    uint32_t eligible_count;
};

/* 0, or -1 without memory. */
int mr_shape_of(struct mr_shape *shape, const struct mr_shape_question *question);

/* Of the devices that came before the middle of the set, so many percent are left out. */
uint32_t mr_shape_passed_over_percent(const struct mr_shape *shape);

#endif
