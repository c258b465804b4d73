/* peer_link.h - this hub's connection to another hub: questions in order, from a thread of its own.
 *
 * Called on the loop's thread; answers come back on it, in the order of the questions. A connection
 * is kept between questions and made anew when it is gone. */
#ifndef MR_ROUND_DRIVE_PEER_LINK_H
#define MR_ROUND_DRIVE_PEER_LINK_H

#include "appliance/round/lead/lead.h"
#include "appliance/runtime/loop.h"
#include "transport/h2_client.h"

struct mr_peer_link;

/* Valid during the call only; `context` is _open's. */
typedef void (*mr_peer_answered_fn)(void *context, const struct mr_peer_answer *answer);

struct mr_peer_link_config {
    const char *task;               /* whose rounds the questions are about; kept by the caller */
    struct mr_h2_endpoint endpoint; /* strings kept by the caller */
    unsigned peer;                  /* position in the hub list, told in answers */
};

int mr_peer_link_open(struct mr_peer_link **link, struct mr_loop *loop,
                      const struct mr_peer_link_config *config, mr_peer_answered_fn answered,
                      void *context, struct mr_error *error);
/* The next connection is made with these files; strings kept by the caller. */
void mr_peer_link_set_endpoint(struct mr_peer_link *link, const struct mr_h2_endpoint *endpoint);
/* _halt: no question is put any more, those that wait are answered without being put, and the one
 * under way ends without an answer: two hubs that stop at the same time would else wait for each
 * other, each with nobody left to answer. _stop waits as well, on any thread, until it has; the
 * others are dropped (still answered, if the loop runs). */
void mr_peer_link_halt(struct mr_peer_link *link);
void mr_peer_link_stop(struct mr_peer_link *link);
void mr_peer_link_close(struct mr_peer_link *link); /* stopped, and its answers have come */

/* How far the other hub's clock is ahead of this hub's, in milliseconds (below 0: behind), as its
 * newest answer told, to a second. False: it has told nothing. */
bool mr_peer_link_clock(const struct mr_peer_link *link, int64_t *ahead_ms);

struct mr_peer_question {
    uint64_t round;
    enum mr_peer_step step;
    const uint8_t *body; /* copied */
    size_t length;
    size_t answer_bytes_max; /* a longer answer is not taken */
    unsigned timeout_ms;
    const char *word; /* said beside it; copied */
};
void mr_peer_link_ask(struct mr_peer_link *link, const struct mr_peer_question *question);

#endif
