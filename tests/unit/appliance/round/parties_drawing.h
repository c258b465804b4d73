/* parties_drawing.h - devices of a round whose set is drawn, in the world of parties.h. */
#ifndef MR_TEST_ROUND_PARTIES_DRAWING_H
#define MR_TEST_ROUND_PARTIES_DRAWING_H

#include "parties_internal.h"
#include "wire/draw.h"

/* What each device asks the lead with, from drawing_make_ready on. */
extern struct mr_upload_request drawing_requests[WORLD_DEVICES];

/* The device is ready: it is listed, and told to come back. */
void drawing_make_ready(struct world *world, unsigned device);
/* Begins the round of the world at *state, and makes devices 0..count-1 ready. */
struct world *drawing_begin(void **state, unsigned count);
/* The device asks for its upload once more. */
enum mr_refusal_code drawing_ask_again(struct world *world, unsigned device, struct reply *reply);
/* Devices 0..count-1 ask: who is let in, a bit for each; the others hear that the round is closed
 * to them. */
uint32_t drawing_let_in(struct world *world, unsigned count);
void drawing_stage(struct world *world, uint32_t members);
void drawing_expect_published(struct world *world, unsigned included);

#endif
