/* stages.h - where a round's time goes at its lead, from the quorum (or the deadline) to the model
 * that is durable. */
#ifndef MR_ROUND_DRIVE_STAGES_H
#define MR_ROUND_DRIVE_STAGES_H

#include <stdint.h>

#include "appliance/observe/histogram.h"

enum mr_round_stage {
    MR_STAGE_CLOSE,  /* what is staged is folded, workers hand their sums over */
    MR_STAGE_FREEZE, /* merged, noised, packed; the set is durable */
    MR_STAGE_EXPAND, /* the helpers expand their seeds and commit; the lead's ledger has the set */
    MR_STAGE_OPEN,   /* they open */
    MR_STAGE_MODEL,  /* every hub computes the next model */
    MR_STAGE_STORE,  /* it is durable, and so is the round's record */
    MR_ROUND_STAGES,
};
extern const char *const mr_round_stage_names[MR_ROUND_STAGES];

struct mr_round_stages {
    uint32_t
        us[MR_ROUND_STAGES]; /* 0: not over yet, or not seen by this process; else at least 1 */
};

/* The time that the stages of the round under way take. */
struct mr_round_stopwatch {
    struct mr_round_stages stages;
    uint64_t since_us; /* the running stage's begin; 0: none runs */
    enum mr_round_stage running;
};

void mr_round_stopwatch_reset(struct mr_round_stopwatch *watch);
/* That stage begins, and with it the one that ran is over; MR_ROUND_STAGES: the last is. A stage
 * that runs already goes on. */
void mr_round_stopwatch_enter(struct mr_round_stopwatch *watch, enum mr_round_stage stage,
                              uint64_t now_us);

/* As members of a round's JSON: `stages_us`, an object by name; NULL: none is known. */
struct json_t *mr_round_stages_json(const struct mr_round_stages *stages);
void mr_round_stages_from_json(struct mr_round_stages *stages, const struct json_t *object);

#endif
