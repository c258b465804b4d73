/* lead_evidence.c - the desk that a lead's questions pass on their way to the other hubs. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/standings.h"
#include "base/assert.h"
#include "wire/opening.h"

/* Before the first proposal since the start: where the hub stands, and where it has heard that this
 * one does. The proposal waits. */
static void ask_to_stand(struct mr_lead_driver *run, const struct mr_evidence_held *held)
{
    free(run->proposals[held->peer].body);
    run->proposals[held->peer].body = malloc(held->length);
    MR_ASSERT(run->proposals[held->peer].body);
    memcpy(run->proposals[held->peer].body, held->body, held->length);
    run->proposals[held->peer].length = held->length;
    run->proposals[held->peer].round = held->round;
}

void mr_lead_driver_propose(struct mr_lead_driver *run, unsigned peer)
{
    const struct mr_evidence_held held = {.peer = peer,
                                          .step = MR_PEER_PROPOSE,
                                          .round = run->proposals[peer].round,
                                          .body = run->proposals[peer].body,
                                          .length = run->proposals[peer].length};
    if (mr_lead_asks(run->core, held.round, MR_PEER_PROPOSE)) {
        mr_evidence_pass(run->desk, &held);
    }
}

static void let_question_go(void *context, const struct mr_evidence_held *held)
{
    struct mr_lead_driver *run = context;
    char word[MR_STANDINGS_TEXT];
    const bool stands =
        held->step != MR_PEER_PROPOSE || run->stood[held->peer] || !run->context.age;
    mr_standings_say(run->desk, &run->context, run->context.hubs[held->peer].index, word);
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const enum mr_peer_step step = (enum mr_peer_step)held->step;
    const size_t most = step == MR_PEER_OPEN ? mr_opening_bytes(terms) : 0;
    const struct mr_peer_question question = {
        .round = held->round,
        .step = stands ? step : MR_PEER_STAND,
        .body = stands ? held->body : NULL,
        .length = stands ? held->length : 0,
        .word = word,
        .answer_bytes_max = most + MR_LEAD_REFUSAL_BYTES_MAX,
        .timeout_ms = run->rules.peer_timeout_ms,
    };
    if (!run->stopping && (step == MR_PEER_VOID || mr_lead_asks(run->core, held->round, step))) {
        if (!stands) {
            ask_to_stand(run, held);
        }
        mr_peer_link_ask(run->links[held->peer], &question);
    }
}

static void drop_question(void *context, const struct mr_evidence_held *held)
{
    (void)context;
    (void)held;
}

static void tell_facts(void *context, struct mr_round_facts *facts)
{
    const struct mr_lead_driver *run = context;
    mr_lead_facts(run->core, facts);
    mr_round_debit_tell(&run->debit, run->context.hub_index, facts);
}

int mr_lead_driver_open_desk(struct mr_lead_driver *run, struct mr_error *error)
{
    const struct mr_evidence_desk_config config = {.context = &run->context,
                                                   .jobs = run->jobs,
                                                   .facts = tell_facts,
                                                   .let_go = let_question_go,
                                                   .drop = drop_question,
                                                   .driver = run};
    return mr_evidence_desk_open(&run->desk, &config, error);
}
