/* lead_older.c - a lead that does nothing any more, because the hub stops or is older than itself;
 * and how it recovers. */
#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/standings.h"

void mr_lead_driver_halt(struct mr_lead_driver *run)
{
    run->stopping = true;
    if (run->desk) {
        mr_evidence_desk_halt(run->desk);
    }
    if (run->keeper) {
        mr_keeper_halt(run->keeper);
    }
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        if (run->links[i]) {
            mr_peer_link_halt(run->links[i]);
        }
    }
}

bool mr_lead_driver_older(const struct mr_lead_driver *run, struct mr_refusal *refusal)
{
    return mr_older(&run->context) && mr_older_refuse(&run->context, refusal) != MR_REFUSAL_NONE;
}

/* What the round waits for is answered by nobody any more: not in this process. */
static void find_older(struct mr_lead_driver *run, const struct mr_older *older)
{
    struct mr_refusal refusal;
    mr_older_found(&run->context, run->jobs, older);
    mr_lead_driver_halt(run);
    mr_older_refuse(&run->context, &refusal);
    mr_lead_dismiss(run->core, refusal.code, refusal.text);
}

static int wipe(void *driver, struct mr_error *error)
{
    struct mr_lead_driver *run = driver;
    return mr_commit_log_wipe(run->log, error);
}

/* The round that was left is void, as its record says. */
static void on_recovered(void *driver, const struct mr_recovered *recovered)
{
    struct mr_lead_driver *run = driver;
    struct mr_round_summary stored;
    struct mr_error error;
    const uint64_t round = run->left.announcement.round;
    (void)recovered;
    if (run->has_left && mr_round_record_read(run->context.store, round, &stored, &error) == 0) {
        *mr_round_history_current(&run->history, round) = stored;
    }
    run->has_left = false;
}

static void answer(void *context, void *token, int result, const struct mr_recovered *recovered,
                   bool halted, const struct mr_error *error)
{
    struct mr_lead_driver *run = context;
    run->recovering = false;
    if (result != 0) {
        mr_round_fatal(&run->context, "cannot recover", error);
    } else {
        run->listener.recovered(run->listener.context, token, recovered, halted);
    }
}

static void begin(struct mr_lead_driver *run, void *token)
{
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const struct mr_recovery_config config = {.context = &run->context,
                                              .desk = run->desk,
                                              .jobs = run->jobs,
                                              .leads = true,
                                              .terms = run->has_left ? &run->left : terms,
                                              .halted = run->stopping,
                                              .wipe = wipe,
                                              .recovered = on_recovered,
                                              .driver = run};
    run->learning.hubs = 0;
    mr_recovery(&config, answer, run, token);
}

/* --- what the helpers remember ---------------------------------------------------------------- */

static void ask_helpers(struct mr_lead_driver *run)
{
    for (unsigned i = 1; i < run->context.hubs_count; i++) {
        const struct mr_peer_question question = {.step = MR_PEER_STAND,
                                                  .answer_bytes_max = MR_LEAD_REFUSAL_BYTES_MAX,
                                                  .timeout_ms = run->rules.peer_timeout_ms,
                                                  .word = ""};
        run->learning.hubs |= 1u << i;
        mr_peer_link_ask(run->links[i], &question);
    }
}

/* Without its word numbers could come twice that it has signed; nor is any round signed without it.
 */
static void give_up_learning(struct mr_lead_driver *run, const struct mr_peer_answer *from)
{
    struct mr_refusal refusal;
    run->learning.hubs = 0;
    run->recovering = false;
    mr_refuse(&refusal, MR_REFUSAL_BUSY,
              "hub %u does not say up to which round it remembers this lead, so that no number "
              "comes twice: recover once more when it answers (%.160s)",
              run->context.hubs[from->peer].index,
              from->text && from->text[0] ? from->text : "it is busy");
    run->listener.refused(run->listener.context, run->learning.token, &refusal);
}

/* A hub that refuses, as one that is older itself, remembers nothing that counts. */
static void learn(struct mr_lead_driver *run, const struct mr_peer_answer *answer)
{
    const bool expected = (run->learning.hubs >> answer->peer & 1) != 0;
    if (!expected || answer->step != MR_PEER_STAND) {
        return; /* late */
    }
    if (answer->status == 0 || answer->status == 503 || answer->status == 429) {
        give_up_learning(run, answer);
        return;
    }
    if (answer->word) {
        mr_standings_learn(run->desk, &run->context, run->context.hubs[answer->peer].index,
                           answer->word);
    }
    run->learning.hubs &= ~(1u << answer->peer);
    if (run->learning.hubs == 0) {
        begin(run, run->learning.token);
    }
}

bool mr_lead_driver_hear(struct mr_lead_driver *run, const struct mr_peer_answer *answer)
{
    struct mr_older older;
    const uint16_t from = run->context.hubs[answer->peer].index;
    if (mr_older(&run->context)) {
        learn(run, answer);
        return false;
    }
    if (answer->word && mr_standings_take(run->desk, &run->context, from, answer->word, &older)) {
        find_older(run, &older);
        return false;
    }
    return true;
}

enum mr_refusal_code mr_lead_driver_recover(struct mr_lead_driver *run, bool accepted, void *token,
                                            struct mr_refusal *refusal)
{
    if (run->recovering || !run->jobs) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the task is being recovered, or the hub stops");
    }
    if (mr_recovery_check(&run->context, accepted, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    run->recovering = true;
    run->learning.token = token;
    if (run->stopping) { /* a helper has just shown it what it had forgotten */
        begin(run, token);
    } else {
        ask_helpers(run);
    }
    return MR_REFUSAL_NONE;
}
