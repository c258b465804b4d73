#include "edge-client/session/proof.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "wire/audit.h"

/* For how long a hub that is away or busy is asked again. */
#define PATIENCE_MS 10000

void mr_proof_begin(struct mre_client *client, const struct mr_round_terms *terms, uint32_t attempt)
{
    struct mr_proof_notes *notes = &client->notes;
    const struct mr_announcement *a = &terms->announcement;
    if (a->audit_hours == 0 ||
        (notes->round == a->round &&
         memcmp(notes->announcement_hash, terms->hash, MR_HASH_BYTES) == 0)) {
        notes->attempts[attempt].known = false;
        return;
    }
    *notes = (struct mr_proof_notes){.round = a->round, .first = attempt};
    memcpy(notes->announcement_hash, terms->hash, MR_HASH_BYTES);
}

void mr_proof_note(struct mre_client *client, const struct mr_round_terms *terms, uint32_t attempt,
                   uint8_t (*seed_hashes)[MR_HASH_BYTES], const uint8_t *share)
{
    struct mr_proof_notes *notes = &client->notes;
    const struct mr_announcement *a = &terms->announcement;
    struct mr_proof_note *note = &notes->attempts[attempt];
    const struct mr_key_scope scope = {.task = a->task,
                                       .announcement_hash = terms->hash,
                                       .client_id = client->identity.client_id,
                                       .hub_index = a->hubs[0].index,
                                       .attempt = attempt};
    if (a->audit_hours == 0 || note->known) {
        return;
    }
    note->known =
        mr_share_hash(note->counted[0], share, (size_t)terms->layout.share_bytes, &scope) == 0;
    for (unsigned i = 1; i < a->hub_count; i++) {
        memcpy(note->counted[i], seed_hashes[i - 1], MR_HASH_BYTES);
    }
}

/* One hub's proof, as it came. */
static enum mre_result ask(struct mre_client *client, unsigned position, uint64_t round,
                           struct mr_audit_proof *proof, struct mre_outcome *outcome)
{
    const uint64_t until = mr_client_lead_ms(client) + PATIENCE_MS;
    char path[80 + MR_TASK_NAME_MAX];
    struct mr_h2_response response = {0};
    const struct mr_question question = {
        .method = "GET", .path = path, .answer_max = MR_MESSAGE_MAX};
    enum mre_result result;
    unsigned times = 0;
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/%" PRIu64 "/proof", client->task, round);
    do {
        result = mr_control_reach(client, position, until, outcome);
        if (!result) {
            result = mr_control_ask(client, position, &question, &response, outcome);
        }
    } while (mr_control_again(client, result, until, &times, outcome));
    if (!result) {
        struct mr_error error;
        if (mr_audit_proof_decode(proof, (const char *)response.body, response.length, &error)) {
            result = mr_outcome_set(outcome, MRE_REFUSED, "its answer is no proof: %s", error.text);
        }
        mr_h2_response_fini(&response);
    }
    return result;
}

/* Whether the proof holds for one of the attempts, as mr_audit_proof_check; the error is the
 * newest's. */
static int holds(const struct mre_client *client, unsigned position,
                 const struct mr_audit_proof *proof, struct mr_error *error)
{
    const struct mr_proof_notes *notes = &client->notes;
    struct mr_error why;
    int found = -1;
    bool said = false;
    for (unsigned attempt = MR_ATTEMPTS_MAX; attempt-- > 0;) {
        struct mr_audit_claim claim = {.announcement_hash = notes->announcement_hash,
                                       .hubs = client->pinned,
                                       .hub_count = client->hub_count,
                                       .position = position,
                                       .counted.of.attempt = attempt};
        if (!notes->attempts[attempt].known) {
            continue;
        }
        memcpy(claim.counted.of.client_id, client->identity.client_id, MR_CLIENT_ID_BYTES);
        memcpy(claim.counted.hash, notes->attempts[attempt].counted[position], MR_HASH_BYTES);
        const int one = mr_audit_proof_check(proof, &claim, said ? &why : error);
        if (one == 0) {
            return 0;
        }
        found = said ? found : one;
        said = true;
    }
    return found;
}

/* What one hub says of another's commitment is what all say: else somebody signed two. */
static int agree(const struct mre_client *client, const struct mr_audit_proof *proof,
                 const struct mr_audit_proof *first, unsigned *other)
{
    for (*other = 0; *other < client->hub_count; (*other)++) {
        if (!mr_commitment_same(&proof->commitments[*other], &first->commitments[*other])) {
            return -1;
        }
    }
    return 0;
}

static void warn(struct mre_outcome *outcome, const struct mr_announced_hub *hub, const char *what,
                 const char *why)
{
    struct mr_error text;
    mr_error_set(&text, "hub %u (%s) %s: %s", hub->index, hub->name, what, why);
    snprintf(outcome->warning, sizeof outcome->warning, "%s", text.text);
}

static const char not_known[] = "what counts is of a process before this one: which, could not be "
                                "checked";

static void add_text(struct mre_outcome *outcome, const char *text)
{
    const size_t used = strlen(outcome->text);
    snprintf(outcome->text + used, sizeof outcome->text - used, "; %s", text);
}

/* One hub: false with the warning set. *unknown: its leaf may be of an attempt not known here. */
static bool check_hub(struct mre_client *client, unsigned position, uint64_t round,
                      struct mr_audit_proof *first, bool *unknown, struct mre_outcome *outcome)
{
    const struct mr_announced_hub *hub = &client->pinned[position];
    struct mr_audit_proof proof;
    struct mre_outcome asked = {.result = MRE_OK};
    struct mr_error error = {.text = ""};
    unsigned other = 0;
    if (ask(client, position, round, &proof, &asked)) {
        warn(outcome, hub, "gives no proof that it counted this device", asked.text);
        return false;
    }
    const int held = holds(client, position, &proof, &error);
    if (held == MR_AUDIT_NOT_IN_TREE && client->notes.first > 0) {
        *unknown = true;
    } else if (held != 0) {
        warn(outcome, hub, "does not prove that it counted what this device sent", error.text);
        return false;
    }
    if (position == 0) {
        *first = proof;
    }
    if (agree(client, &proof, first, &other) != 0) {
        warn(outcome, &client->pinned[other],
             "signed two commitments: two hubs have different ones of it on record",
             "keep this line for the hubs' operators");
        return false;
    }
    return true;
}

static bool anything_known(const struct mr_proof_notes *notes)
{
    for (unsigned i = 0; i < MR_ATTEMPTS_MAX; i++) {
        if (notes->attempts[i].known) {
            return true;
        }
    }
    return false;
}

void mr_proof_check(struct mre_client *client, uint64_t round, struct mre_outcome *outcome)
{
    struct mr_audit_proof first;
    bool unknown = false;
    if (client->notes.round != round || round == 0) {
        return;
    }
    if (!anything_known(&client->notes)) {
        add_text(outcome, not_known);
        return;
    }
    for (unsigned i = 0; i < client->hub_count; i++) {
        if (!check_hub(client, i, round, &first, &unknown, outcome)) {
            return;
        }
    }
    char text[60];
    snprintf(text, sizeof text, "all %u hubs prove that they counted this device",
             client->hub_count);
    add_text(outcome, unknown ? not_known : text);
}
