/* marks.h - marks in the models of simulated tasks: the parts of their keys, and a hub that tells
 * another part than the announced one. */
#ifndef MR_TESTS_SIM_MARKS_H
#define MR_TESTS_SIM_MARKS_H

#include "tests/sim/sim.h"

#define SIM_MARK_STRENGTH 8             /* the least: the smallest models have no room for it */
#define SIM_MARK_KEY      "mark-%s.key" /* in the hub's folder, by the task's name */
#define SIM_MARK_TAG      "PART"        /* every part begins so, which makes it easy to find */
#define SIM_MARK_TAG_HEX  "50415254"

/* Some tasks have marks, and in some of those a hub lies. */
void sim_marks_draw(struct sim *sim, struct sim_task *task);
/* As part_hashes in hub.yaml. */
void sim_marks_hashes(const struct sim_task *task, char *text, size_t room);
/* The hub's own part, as its operator made it. */
void sim_marks_put_key(struct sim_node *node, const struct sim_task *task);

/* What a hub sends to another one, before it leaves: a lead's question with the openings, a
 * helper's opening. Where it lies of its part here, that part becomes another one. */
void sim_marks_lie(struct sim_node *from, struct sim_node *to, const char *path, uint8_t *body,
                   size_t length);

/* An answer with a planted defect, if there is one: a part that is told with the commitment; a part
 * that the hub writes down. */
void sim_marks_plant(struct sim_node *hub, const char *path, uint8_t *body, size_t length);

/* Finds the next part of any hub of any task in the bytes, from *at on; *at is behind it then. */
struct sim_mark_part {
    const struct sim_task *task;
    unsigned place;
};
bool sim_marks_find(const struct sim *sim, const uint8_t *bytes, size_t length, size_t *at,
                    struct sim_mark_part *found);

#endif
