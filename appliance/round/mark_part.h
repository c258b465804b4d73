/* mark_part.h - whether this hub can give what a round that marks its model asks of it. */
#ifndef MR_ROUND_MARK_PART_H
#define MR_ROUND_MARK_PART_H

#include <stdbool.h>

#include "wire/announcement.h"

/* A round whose set is frozen is not lost by it: the right file brings it back. */
#define MR_NO_MARK_PART                                                                            \
    "tasks.watermark.key_file does not hold the part of the watermark's key that the round was "   \
    "signed with: put that file back, and start the hub again"

static inline bool mr_mark_part_is_here(const struct mr_announcement *round, unsigned position,
                                        const uint8_t *part)
{
    return round->watermark.strength == 0 ||
           mr_watermark_part_fits(&round->watermark, position, part);
}

#endif
