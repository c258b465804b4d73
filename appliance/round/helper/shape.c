#include "appliance/round/helper/shape.h"

#include <stdlib.h>
#include <string.h>

enum { NOT_ELIGIBLE = 0, ELIGIBLE, INCLUDED };

static void mark(uint8_t *marks, const struct mr_seeds *seeds, const uint8_t *client, uint8_t as)
{
    const uint32_t place = mr_seeds_place(seeds, client);
    if (place < seeds->count) {
        marks[place] = as;
    }
}

static void count(struct mr_shape *shape, const uint8_t *marks, uint32_t places)
{
    const uint32_t early = (shape->included + 1) / 2;
    for (uint32_t i = 0; i < places; i++) {
        shape->eligible += marks[i] != NOT_ELIGIBLE;
        if (shape->early < early) {
            shape->passed_over += marks[i] == ELIGIBLE;
            shape->early += marks[i] == INCLUDED;
        }
    }
}

int mr_shape_of(struct mr_shape *shape, const struct mr_shape_question *question)
{
    const struct mr_seeds *seeds = question->seeds;
    uint8_t *marks = malloc((size_t)seeds->count + 1);
    *shape = (struct mr_shape){.included = question->count};
    if (!marks) {
        return -1;
    }
    memset(marks, question->eligible ? NOT_ELIGIBLE : ELIGIBLE, seeds->count);
    for (uint32_t i = 0; question->eligible && i < question->eligible_count; i++) {
        mark(marks, seeds, question->eligible[i], ELIGIBLE);
    }
    for (uint32_t i = 0; i < question->count; i++) {
        mark(marks, seeds, question->included + i * question->stride, INCLUDED);
    }
    count(shape, marks, seeds->count);
    free(marks);
    return 0;
}

uint32_t mr_shape_passed_over_percent(const struct mr_shape *shape)
{
    const uint64_t before = (uint64_t)shape->passed_over + shape->early;
    return before ? (uint32_t)((uint64_t)shape->passed_over * 100 / before) : 0;
}
