/* parties_drawing.c - devices of a round whose set is drawn. */
#include "parties_drawing.h"

struct mr_upload_request drawing_requests[WORLD_DEVICES];

/* The device is ready: it is listed, and told to come back. */
void drawing_make_ready(struct world *world, unsigned device)
{
    struct reply reply = {.done = false};
    world_receipts(world, device, 0, &drawing_requests[device]);
    world_admit(world, device, &drawing_requests[device], &reply);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_BUSY);
}

struct world *drawing_begin(void **state, unsigned count)
{
    struct world *world = *state;
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    for (unsigned i = 0; i < count; i++) {
        drawing_make_ready(world, i);
    }
    return world;
}

enum mr_refusal_code drawing_ask_again(struct world *world, unsigned device, struct reply *reply)
{
    *reply = (struct reply){.done = false};
    world_admit(world, device, &drawing_requests[device], reply);
    world_run(world);
    assert_true(reply->done);
    return reply->code;
}

/* Who is let in now, a bit for each; the others hear that the round is closed to them. */
uint32_t drawing_let_in(struct world *world, unsigned count)
{
    uint32_t members = 0;
    for (unsigned i = 0; i < count; i++) {
        struct reply reply;
        const enum mr_refusal_code code = drawing_ask_again(world, i, &reply);
        if (code == MR_REFUSAL_NONE) {
            members |= 1u << i;
            world->devices[i].attempt = 0;
            world->devices[i].upload_id = reply.grant.upload_id;
            world_find_upload(world, reply.grant.upload_id)->device = i;
        } else {
            assert_int_equal(code, MR_REFUSAL_CLOSED);
            assert_non_null(strstr(reply.text, "the next round is open to it"));
        }
        reply_fini(&reply);
    }
    return members;
}

void drawing_stage(struct world *world, uint32_t members)
{
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        if (members >> i & 1) {
            world_stage(world, i);
        }
    }
}

void drawing_expect_published(struct world *world, unsigned included)
{
    struct mr_lead_report report;
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    assert_int_equal(report.included, included);
    assert_int_equal(world->published_count, included);
}
