/* round_history.h - the newest rounds in memory, also of earlier processes. */
#ifndef MR_ROUND_DRIVE_ROUND_HISTORY_H
#define MR_ROUND_DRIVE_ROUND_HISTORY_H

#include "appliance/round/drive/summary.h"

struct mr_round_history {
    struct mr_round_summary *list; /* a ring */
    unsigned count;                /* all ever; the place is modulo the size */
};

/* Takes up what the store has. 0 or -1; _fini is owed either way. */
int mr_round_history_init(struct mr_round_history *history, const struct mr_store *store,
                          struct mr_error *error);
void mr_round_history_fini(struct mr_round_history *history);

/* The entry of that round, made if it is a new one; the newest. */
struct mr_round_summary *mr_round_history_current(struct mr_round_history *history, uint64_t round);
unsigned mr_round_history_list(const struct mr_round_history *history,
                               struct mr_round_summary *list, unsigned list_max);
/* NULL: not one of them. Valid until the next call that changes the history. */
const struct mr_round_summary *mr_round_history_find(const struct mr_round_history *history,
                                                     uint64_t round);
/* The newest round before that one whose sum is opened. NULL: none. Valid likewise. */
const struct mr_round_summary *mr_round_history_opened(const struct mr_round_history *history,
                                                       uint64_t before);
/* The newest of them that trained. NULL: none. Valid likewise. */
const struct mr_round_summary *mr_round_history_trained(const struct mr_round_history *history);
/* Models that rounds have made since the last evaluation, however that ended. */
unsigned mr_round_history_models(const struct mr_round_history *history);
/* What the newest round before that one told of the devices' norms; devices 0: none of them did.
 * Valid likewise. */
const struct mr_norm_memory *mr_round_history_norms(const struct mr_round_history *history,
                                                    uint64_t before);
/* The step to the next model that a set of devices made. */
struct mr_past_step {
    double step;
    uint32_t devices;
};
/* Those of the newest rounds before that one whose sum is opened, the newest first. Returns how
 * many there are, at most `most`. */
unsigned mr_round_history_steps(const struct mr_round_history *history, uint64_t before,
                                struct mr_past_step *steps, unsigned most);
/* Rounds in a row, the newest first, whose set was drawn and that made no model here; rounds that
 * got no further than before a draw do not count either way. */
unsigned mr_round_history_draw_voids(const struct mr_round_history *history);

#endif
