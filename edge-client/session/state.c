/* state.c - what a device remembers, for people: shown, and put right where it is damaged. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "edge-client/files/files.h"
#include "edge-client/session/client.h"
#include "edge-client/session/outcome.h"

_Static_assert(MRE_COUNTED_MAX == MR_LEDGER_COUNTED_MAX, "all entries have room");

static void fill(struct mre_state *state, const struct mr_ledger *ledger)
{
    memset(state, 0, sizeof *state);
    state->finished = ledger->finished;
    state->round = ledger->round;
    state->attempts = ledger->attempts;
    state->models_lost = ledger->unknown;
    state->counted_count = ledger->counted_count;
    for (unsigned i = 0; i < ledger->counted_count; i++) {
        const struct mr_counted *entry = &ledger->counted[i];
        mr_hex_encode(state->counted[i].model, entry->parent, MR_HASH_BYTES);
        state->counted[i].round = entry->round;
    }
}

enum mre_result mre_state_read(const struct mre_options *options, struct mre_state *state,
                               struct mre_outcome *outcome)
{
    struct mr_ledger ledger;
    struct mr_error error;
    memset(outcome, 0, sizeof *outcome);
    if (mr_ledger_open(&ledger, options->data_dir, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    fill(state, &ledger);
    return mr_outcome_set(outcome, MRE_OK, "%s is whole", ledger.path);
}

enum mre_result mre_state_reset(const struct mre_options *options, const uint64_t *finished,
                                struct mre_state *state, struct mre_outcome *outcome)
{
    struct mr_ledger ledger;
    struct mr_error error;
    int lock;
    memset(outcome, 0, sizeof *outcome);
    if (finished && *finished > MR_ROUND_MAX) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "no round has a number of 2^53 or more");
    }
    const enum mre_result result = mr_client_lock_folder(options->data_dir, &lock, outcome);
    if (result) {
        return result;
    }
    const bool whole = mr_ledger_open(&ledger, options->data_dir, &error) == 0;
    const int bad = mr_ledger_reset(&ledger, options->data_dir, finished, &error);
    mr_lock_release(lock);
    if (bad) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    fill(state, &ledger);
    if (!whole) {
        return mr_outcome_set(
            outcome, MRE_OK,
            "mended; the damaged file is kept as %s.damaged. Attempts of a round that is open now "
            "are forgotten: its hubs may refuse this device in it. It takes part from the next "
            "model on that differs from the one it sees first",
            ledger.path);
    }
    return mr_outcome_set(outcome, MRE_OK,
                          finished
                              ? "the last finished round is set; attempts of rounds after the next "
                                "are forgotten, the rest is as it was"
                              : "the state is whole: nothing was changed");
}
