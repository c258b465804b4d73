#include "appliance/round/drive/mark.h"

#include <inttypes.h>
#include <string.h>

void mr_mark_announce(struct mr_announcement *announcement, const struct mr_round_context *context)
{
    memset(&announcement->watermark, 0, sizeof announcement->watermark);
    if (context->watermark && mr_announcement_trains(announcement)) {
        announcement->watermark = *context->watermark;
    }
}

bool mr_mark_terms_hold(const struct mr_announcement *announcement,
                        const struct mr_round_context *context, struct mr_refusal *refusal)
{
    const struct mr_watermark_terms *asked = &announcement->watermark;
    struct mr_announcement own = {.kind = announcement->kind};
    mr_mark_announce(&own, context);
    if (asked->strength != own.watermark.strength) {
        mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                  "the round marks its model with strength %u; here it is %u (0: not at all): "
                  "tasks.watermark has to be the same on every hub",
                  asked->strength, own.watermark.strength);
        return false;
    }
    const unsigned parts = asked->strength > 0 ? announcement->hub_count : 0;
    for (unsigned i = 0; i < parts; i++) {
        if (memcmp(asked->part_hashes[i], own.watermark.part_hashes[i],
                   sizeof asked->part_hashes[i]) != 0) {
            mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                      "the announced part of the watermark's key of hub %u is not the one whose "
                      "hash its operator gave here: tasks.watermark.part_hashes has to be the same "
                      "on every hub",
                      announcement->hubs[i].index);
            return false;
        }
    }
    return true;
}

void mr_mark_log(const struct mr_round_context *context, const struct mr_round_terms *terms,
                 const struct mr_watermark_kept *kept)
{
    const struct mr_announcement *round = &terms->announcement;
    const bool leads = round->hubs[0].index == context->hub_index;
    const double strength = round->watermark.strength;
    if (strength < MR_WATERMARK_STRENGTH_MIN) {
        return;
    }
    const bool weak = !(kept->moved > 0) && kept->sigma < MR_WATERMARK_FADED * strength;
    mr_log_event(context->log, weak ? MR_LOG_WARN : MR_LOG_INFO,
                 leads ? "round.marked" : "helper.marked",
                 "task=%s round=%" PRIu64 " strength=%.0f before=%.2f moved_of_rms=%.4f%s",
                 context->task, round->round, strength, kept->sigma, kept->moved,
                 weak ? " why=the values that rounds train cannot hold so strong a mark: the model "
                        "stays as it is"
                      : "");
}
