/* mark.h - the mark that a task's models get: what a round announces of it, what a helper signs,
 * what is told of it. Loop's thread only. */
#ifndef MR_ROUND_DRIVE_MARK_H
#define MR_ROUND_DRIVE_MARK_H

#include <stdbool.h>

#include "appliance/model/watermark.h"
#include "appliance/round/drive/round_context.h"
#include "wire/refusal.h"

/* As the task's configuration says. After the round's kind is set: an evaluation marks nothing. */
void mr_mark_announce(struct mr_announcement *announcement, const struct mr_round_context *context);

/* Whether the announced mark is this hub's own, to the last part's hash: false with the refusal
 * filled. */
bool mr_mark_terms_hold(const struct mr_announcement *announcement,
                        const struct mr_round_context *context, struct mr_refusal *refusal);

/* A line of the log, in a round that marks. */
void mr_mark_log(const struct mr_round_context *context, const struct mr_round_terms *terms,
                 const struct mr_watermark_kept *kept);

#endif
