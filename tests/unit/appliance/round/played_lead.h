/* played_lead.h - a real helper in a room, asked by a lead that is played from the questions of the
 * world's round, which has ended well before. */
#ifndef MR_TEST_ROUND_PLAYED_LEAD_H
#define MR_TEST_ROUND_PLAYED_LEAD_H

#include "context.h"

struct played {
    struct room *room;
    struct mr_helper_driver *run;      /* NULL: not open */
    struct passage asked[WORLD_STEPS]; /* by the world's lead */
};

extern const struct mr_helper_listener played_listener;

struct played *played_open(void);
struct played *played_open_noised(void);
void played_close(struct played *played);
/* A test's own one. */
int played_setup(void **state);
int played_teardown(void **state);

/* The helper opens, and ends as a hub ends it. */
void played_start(struct played *played);
void played_end(struct played *played);
enum mr_helper_state played_state(struct played *played);
/* Whether the model that the round began with is the current one; the context is a room. */
bool played_is_back(void *context);

/* A question with the given body; the reply must stay until it is done. */
void played_put(struct played *played, enum mr_peer_step step, const void *body, size_t length,
                struct reply *reply);
/* … and waits for the reply, which is owed reply_fini. */
void played_ask(struct played *played, enum mr_peer_step step, const void *body, size_t length,
                struct reply *reply);
/* The world's own body of that step. */
void played_ask_same(struct played *played, enum mr_peer_step step, struct reply *reply);
/* Fails the test if the reply is another. */
void played_expect(const struct reply *reply, enum mr_refusal_code code);

/* Proposes, and sends the seeds of every device. */
void played_admit(struct played *played);
/* Goes on to where both have opened: the body of the reveal (malloc'd). */
uint8_t *played_openings(struct played *played, size_t *length);
/* All of it, from the start. */
uint8_t *played_until_reveal(struct played *played, size_t *length);

#endif
