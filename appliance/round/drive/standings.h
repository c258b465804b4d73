/* standings.h - where this hub's transcript stands, said to the other hubs of a task beside every
 * question and answer, and what they show of it. For lead and helper alike; loop's thread only. */
#ifndef MR_ROUND_DRIVE_STANDINGS_H
#define MR_ROUND_DRIVE_STANDINGS_H

#include "appliance/round/drive/evidence_desk.h"
#include "appliance/task/age.h"

/* Writes this hub's word to that hub, with the furthest of its own that this hub has; "" where
 * there is nothing to say: this hub is older than itself, or nobody knows its age. */
void mr_standings_say(const struct mr_evidence_desk *desk, const struct mr_round_context *context,
                      uint16_t to, char text[MR_STANDINGS_TEXT]);

/* Takes what that hub has said ("": nothing): its own word is recorded before anything else leaves
 * (mr_evidence_hear), and this hub's own is looked at. True where it shows that this hub is older
 * than itself, with *older filled. What is not signed by who it is said to be of is as good as
 * absent. */
bool mr_standings_take(struct mr_evidence_desk *desk, const struct mr_round_context *context,
                       uint16_t from, const char *text, struct mr_older *older);

/* The same at a hub that has found that it is older than itself: the furthest of its own words that
 * anybody shows is kept in context->age->older, so that what it recovers into lies beyond that. */
void mr_standings_learn(struct mr_evidence_desk *desk, const struct mr_round_context *context,
                        uint16_t from, const char *text);

/* The highest round of which another hub has said that it has a record; 0: none has. */
uint64_t mr_standings_round(const struct mr_evidence_desk *desk,
                            const struct mr_round_context *context);

#endif
