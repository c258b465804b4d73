/* register.c - where more devices may be ready than a round takes: who is ready is listed, and
 * after the draw only those that are drawn may upload. */
#include <string.h>

#include "appliance/round/lead/lead_internal.h"

/* A device that asks again so often is told in time, and not more work than it needs to be. */
#define AGAIN_LEAST_MS 250u
#define AGAIN_MOST_MS  5000u

static enum mr_refusal_code come_back(const struct mr_lead *lead, uint64_t now_ms,
                                      struct mr_refusal *refusal)
{
    const uint64_t left = lead->draw.due_ms > now_ms ? lead->draw.due_ms - now_ms : 0;
    mr_refuse(refusal, MR_REFUSAL_BUSY,
              "this device is ready: the hubs draw the set of those that are, and it is told then");
    refusal->retry_after_ms = left < AGAIN_LEAST_MS  ? AGAIN_LEAST_MS
                              : left > AGAIN_MOST_MS ? AGAIN_MOST_MS
                                                     : (uint32_t)left;
    return refusal->code;
}

enum mr_refusal_code mr_lead_register(struct mr_lead *lead, const struct mr_applicant *applicant,
                                      uint64_t now_ms, struct mr_refusal *refusal)
{
    struct mr_device *device = mr_registry_client(&lead->registry, applicant->client_id);
    if (!device) {
        device = mr_registry_add(&lead->registry, applicant->client_id);
        if (!device) {
            return mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory for another device");
        }
    }
    device->attempt = applicant->request->attempt;
    mr_lead_set_timer(lead); /* it may be the last that the list has room for */
    return come_back(lead, now_ms, refusal);
}

enum mr_refusal_code mr_lead_check_drawn(const struct mr_lead *lead, const uint8_t *client_id,
                                         struct mr_refusal *refusal)
{
    const struct lead_draw *draw = &lead->draw;
    if (!mr_announcement_draws(lead_announcement(lead))) {
        return MR_REFUSAL_NONE;
    }
    const struct mr_draw_list list = {.clients =
                                          (const uint8_t(*)[MR_CLIENT_ID_BYTES])draw->said.clients,
                                      .count = draw->said.count};
    const int64_t place = mr_draw_list_find(&list, client_id);
    if (place < 0) {
        return mr_refuse(refusal, MR_REFUSAL_CLOSED,
                         "the round's set is drawn from devices that were ready before this one; "
                         "the next round is open to it");
    }
    if (!draw->drawn[place]) {
        return mr_refuse(refusal, MR_REFUSAL_CLOSED,
                         "the hubs drew %u of %u devices that are ready, and not this one; the "
                         "next round is open to it",
                         draw->drawn_count, draw->said.count);
    }
    return MR_REFUSAL_NONE;
}
