#include "edge-client/session/end.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/progress.h"
#include "edge-client/session/proof.h"

void mr_end_owe(struct mre_client *client, const struct mr_announcement *round)
{
    if (client->owed.round && client->owed.known) {
        client->older = client->owed;
    }
    memset(&client->owed, 0, sizeof client->owed);
    client->owed.round = round->round;
    client->owed.evaluates = !mr_announcement_trains(round);
    memcpy(client->owed.model_hash, round->model_hash, MR_HASH_BYTES);
}

void mr_end_seen(struct mre_client *client, const struct mr_announcement *newer)
{
    struct mr_round_end *end = &client->owed.end;
    if (!client->owed.round || client->owed.known || newer->round <= client->owed.round ||
        client->owed.evaluates) { /* the model stays, however an evaluation ends */
        return;
    }
    if (memcmp(newer->model_hash, client->owed.model_hash, MR_HASH_BYTES) == 0) {
        client->owed.known = true;
        end->state = MR_ROUND_VOID;
        snprintf(end->reason, sizeof end->reason,
                 "round %" PRIu64 " starts from the same model as this one did", newer->round);
    } /* else it is the work of this round, of one in between, or of the hubs' operators */
}

/* A known end as the caller gets it, once. */
static enum mre_result tell(struct mr_end_owed *owed, struct mre_outcome *outcome)
{
    const struct mr_round_end *end = &owed->end;
    outcome->round = owed->round;
    owed->round = 0;
    if (end->state == MR_ROUND_VOID) {
        return mr_outcome_set(outcome, MRE_VOID,
                              "the hubs gave the round up after this device was counted, and "
                              "released nothing of it: %s",
                              end->reason);
    }
    snprintf(outcome->model, sizeof outcome->model, "%s", end->model);
    snprintf(outcome->warning, sizeof outcome->warning, "%s", end->warning);
    if (owed->evaluates) {
        outcome->kind = MRE_EVALUATION;
        return mr_outcome_set(outcome, MRE_PUBLISHED,
                              "the round told the metrics of the model, which stays");
    }
    return mr_outcome_set(outcome, MRE_PUBLISHED, "the round made a model%s%s",
                          end->model[0] ? ", " : "", end->model);
}

/* Waits at the lead, again where it answers early, until the time is up. */
static enum mre_result ask(struct mre_client *client, unsigned wait_ms, struct mre_outcome *outcome)
{
    const uint64_t until_us = client->env.now_us(client->env.context) + (uint64_t)wait_ms * 1000;
    unsigned left_ms = wait_ms;
    for (;;) {
        enum mre_result result =
            mr_control_end(client, 0, client->owed.round, left_ms, &client->owed.end, outcome);
        const uint64_t now_us = client->env.now_us(client->env.context);
        client->owed.known = !result && client->owed.end.state != MR_ROUND_UNDER_WAY;
        if (result || client->owed.known || now_us >= until_us || mr_client_cancelled(client)) {
            return result;
        }
        mr_client_pause(client, MR_CONTROL_AGAIN_MS); /* a lead may answer early */
        left_ms = (unsigned)((until_us - now_us) / 1000);
    }
}

/* outcome->result is set. */
static void hear(struct mre_client *client, unsigned wait_ms, struct mre_outcome *outcome)
{
    if (client->older.round) {
        tell(&client->older, outcome);
        return;
    }
    if (!client->owed.round) {
        mr_outcome_set(outcome, MRE_NO_ROUND, "there is no round whose end is to be told");
        return;
    }
    outcome->round = client->owed.round;
    mr_progress_phase(client, MRE_PHASE_ENDING, 0);
    const enum mre_result result = client->owed.known ? MRE_OK : ask(client, wait_ms, outcome);
    if (result && result != MRE_UNREACHABLE && result != MRE_CERTIFICATE_REFUSED) {
        outcome->result = MRE_REFUSED; /* whatever the code would mean to an upload */
    } else if (!result && client->owed.known) {
        const uint64_t round = client->owed.round;
        if (tell(&client->owed, outcome) == MRE_PUBLISHED) {
            mr_proof_check(client, round, outcome);
        }
    } else if (!result) {
        mr_outcome_set(outcome, MRE_OK, "round %" PRIu64 " is not over yet", outcome->round);
    }
}

enum mre_result mre_client_end(struct mre_client *client, unsigned wait_ms,
                               struct mre_outcome *outcome)
{
    if (mr_client_begin(client, outcome)) {
        return outcome->result;
    }
    hear(client, wait_ms, outcome);
    return mr_client_settle(client, outcome);
}
