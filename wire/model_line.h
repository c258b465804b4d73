/* model_line.h - which released sets of a model stand against one another.
 *
 * Of sums over overlapping sets of devices one is taken from the other, and what is left is about
 * few of them, where both sums are of the same function of each device's data on the same model.
 * So sets stand in lines, and of one line a device is in one set at most: updates of a model are
 * one line, metrics of a model (evaluation rounds) another. A round that releases both stands
 * in the first, and looks at the other too, as an evaluation round looks at the first.
 * docs/decisions/0062-metrics-and-evaluation.md. */
#ifndef MR_WIRE_MODEL_LINE_H
#define MR_WIRE_MODEL_LINE_H

#include "wire/announcement.h"

struct mr_model_line {
    uint8_t own[MR_HASH_BYTES];  /* the line that the round's set stands in */
    uint8_t also[MR_HASH_BYTES]; /* and the one whose sets it must not share a device with … */
    bool looks;                  /* … where it looks at that too */
};

/* The lines of a round. 0, or -1 when OpenSSL fails. */
int mr_model_line(struct mr_model_line *line, const struct mr_announcement *announcement);

#endif
