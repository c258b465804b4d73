#include "edge-client/release/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "edge-client/session/control.h"
#include "edge-client/session/delta_pull.h"
#include "edge-client/session/outcome.h"

#define PATH_BYTES 224
/* For hubs whose release is a moment behind the first one's. */
#define OTHERS_MS           2000u
#define PIECE_BLOCKS        4                   /* asked for at once */
#define PIECE_TRIES         6                   /* of a piece, over all hubs */
#define MR_RELEASE_MODEL_MS (24u * 3600 * 1000) /* as long as it moves */

static uint64_t now_ms(const struct mre_client *client)
{
    return client->env.unix_ms(client->env.context);
}

/* --- what the hubs say ------------------------------------------------------------------------ */

static enum mre_result ask(struct mre_client *client, unsigned position, const char *query,
                           unsigned wait_ms, struct mr_h2_response *response,
                           struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    const struct mr_question question = {
        .method = "GET", .path = path, .answer_max = MR_RELEASE_SIGNED_MAX, .wait_ms = wait_ms};
    snprintf(path, sizeof path, "/v1/tasks/%s/releases/latest%s", client->task, query);
    return mr_control_ask(client, position, &question, response, outcome);
}

/* Takes the response's body over where it is a release. */
static void keep(struct mr_release_answers *answers, unsigned position,
                 struct mr_h2_response *response, struct mre_outcome *outcome)
{
    struct mr_error error;
    answers->next_key[position] = response->has_next_key ? response->next_key : 0;
    struct mr_signed_release *into = &answers->list[answers->count];
    if (response->status != 200) {
        return;
    }
    if (mr_signed_release_decode(into, response->body, response->length, &error) != 0) {
        snprintf(outcome->warning, sizeof outcome->warning, "a hub's release is malformed: %.400s",
                 error.text);
        return;
    }
    answers->bytes[answers->count++] = response->body;
    response->body = NULL;
}

/* What every hub has said so far. */
struct gathering {
    struct mr_release_answers *answers;
    struct mre_client *client;
    const struct mr_release_version *after;
    struct mre_outcome *outcome;
    unsigned first; /* devices begin with different hubs */
    bool told[MRE_HUBS_MAX];
};

/* Until that hub has something newer, or the time is over. */
static enum mre_result hear(struct gathering *gathering, unsigned position, unsigned wait_ms)
{
    char query[96];
    struct mr_h2_response response = {0};
    const struct mr_release_version *after = gathering->after;
    snprintf(query, sizeof query, "?after_round=%" PRIu64 "&after_step=%" PRIu32 "&wait_ms=%u",
             after->round, after->step, wait_ms);
    const enum mre_result result =
        ask(gathering->client, position, query, wait_ms, &response, gathering->outcome);
    if (!result) {
        gathering->told[position] = response.status == 200;
        keep(gathering->answers, position, &response, gathering->outcome);
        mr_h2_response_fini(&response);
    }
    return result;
}

/* Whatever of them is up says first that there is news; the others need a moment longer for it.
 * Connections are made before, when there is time. */
static void wait_for_news(struct gathering *gathering, unsigned wait_ms)
{
    const unsigned count = gathering->client->hub_count;
    unsigned heard = 0;
    for (unsigned i = 0; i < count; i++) {
        (void)mr_control_connect(gathering->client, i, gathering->outcome);
    }
    while (heard < count &&
           hear(gathering, (gathering->first + heard) % count, wait_ms) != MRE_OK) {
        heard++;
    }
    if (heard == count || !gathering->told[(gathering->first + heard) % count]) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!gathering->told[i]) {
            (void)hear(gathering, i, wait_ms < OTHERS_MS ? wait_ms : OTHERS_MS);
        }
    }
}

enum mre_result mr_release_gather(struct mr_release_answers *answers, struct mre_client *client,
                                  const struct mr_release_version *after, unsigned wait_ms,
                                  struct mre_outcome *outcome)
{
    struct gathering gathering = {.answers = answers,
                                  .client = client,
                                  .after = after,
                                  .outcome = outcome,
                                  .first = client->identity.client_id[0] % client->hub_count};
    enum mre_result result = MRE_UNREACHABLE;
    bool answered = false;
    *answers = (struct mr_release_answers){.count = 0};
    if (wait_ms > 0) {
        wait_for_news(&gathering, wait_ms);
    }
    for (unsigned i = 0; i < client->hub_count; i++) {
        struct mr_h2_response response = {0};
        const unsigned position = (gathering.first + i) % client->hub_count;
        const enum mre_result one =
            gathering.told[position] ? MRE_OK : ask(client, position, "", 0, &response, outcome);
        if (one == MRE_OK) {
            answered = true;
            keep(answers, position, &response, outcome);
            mr_h2_response_fini(&response);
        } else {
            result = one;
        }
    }
    return answered ? MRE_OK : result;
}

void mr_release_answers_fini(struct mr_release_answers *answers)
{
    for (unsigned i = 0; i < MRE_HUBS_MAX; i++) {
        free(answers->bytes[i]);
        answers->bytes[i] = NULL;
    }
    answers->count = 0;
}

/* --- by delta --------------------------------------------------------------------------------- */

static enum mre_result by_delta(struct mre_client *client, const struct mr_release *release,
                                const struct mr_slots *slots, struct mr_release_fetched *fetched,
                                struct mre_outcome *outcome)
{
    char base[MR_SLOTS_PATH_BYTES], into[MR_SLOTS_PATH_BYTES];
    const struct mr_slot_model *active = mr_slots_active(slots);
    enum mre_result result = MRE_REFUSED;
    if (!active) {
        return result;
    }
    mr_slots_path(base, slots, slots->active);
    /* What waits to be installed stays until the newer one is whole. */
    fetched->into = mr_slots_next(slots) ? MR_SLOT_PART : slots->next;
    mr_slots_path(into, slots, fetched->into);
    struct mr_delta_pull pull = {.base_file = base,
                                 .release = release,
                                 .target_file = into,
                                 .until_unix_ms = now_ms(client) + MR_RELEASE_MODEL_MS};
    memcpy(pull.base_hash, active->model, MR_HASH_BYTES);
    for (unsigned i = 0; i < client->hub_count && result != MRE_OK && result != MRE_FAILED; i++) {
        const unsigned position = (client->identity.client_id[0] + i) % client->hub_count;
        if (mr_control_connect(client, position, outcome) == MRE_OK) {
            result = mr_delta_pull(client, position, &pull, &fetched->bytes, outcome);
        }
        if (result == MRE_REFUSED && client->refusal == MR_REFUSAL_NONE) {
            snprintf(outcome->warning, sizeof outcome->warning, "hub %u: %.400s",
                     client->pinned[position].index, outcome->text);
        }
    }
    return result;
}

enum mre_result mr_release_fetch(struct mre_client *client, const struct mr_release *release,
                                 struct mr_slots *slots, struct mr_release_fetched *fetched,
                                 struct mre_outcome *outcome)
{
    struct mr_error error;
    *fetched = (struct mr_release_fetched){.bytes = 0};
    const enum mre_result result = by_delta(client, release, slots, fetched, outcome);
    fetched->by_delta = result == MRE_OK;
    if (result == MRE_OK || result == MRE_FAILED) {
        return result;
    }
    fetched->into = MR_SLOT_PART;
    return mr_slots_settle(slots, &error) != 0
               ? mr_outcome_set(outcome, MRE_FAILED, "%s", error.text)
               : mr_release_whole(client, release, slots, &fetched->bytes, outcome);
}
