#include "edge-client/session/follow_keys.h"

#include <stdio.h>

#include "edge-client/session/control.h"
#include "edge-client/session/next_keys.h"

static void warn(struct mre_client *client, unsigned position, const char *why,
                 struct mre_outcome *outcome)
{
    snprintf(outcome->warning, sizeof outcome->warning, "hub %u: a next key is not taken: %.300s",
             client->pinned[position].index, why);
}

/* Statements of one hub's answer that lead on. */
static bool take(struct mre_client *client, unsigned position, uint8_t *bytes, size_t length,
                 struct mre_outcome *outcome)
{
    size_t taken;
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    struct mr_key_set set = mr_next_keys_set(client, hubs);
    const enum mr_key_fault fault = mr_key_chain_follow(&set, bytes, length, &taken);
    if (fault != MR_KEY_TAKEN) {
        warn(client, position, mr_key_fault_sentence(fault), outcome);
    }
    if (set.number == client->key_statement) {
        return false;
    }
    if (mr_next_keys_keep(client, &set, bytes, taken) != 0) {
        warn(client, position, "data_dir/keys cannot be written", outcome);
        return false;
    }
    return true;
}

bool mr_next_keys_follow(struct mre_client *client, const uint64_t newest[MRE_HUBS_MAX],
                         struct mre_outcome *outcome)
{
    bool changed = false;
    for (unsigned i = 0; i < client->hub_count; i++) {
        if (newest[i] <= client->key_statement) {
            continue;
        }
        char path[128];
        struct mre_outcome unused;
        struct mr_h2_response response = {0};
        const struct mr_question question = {
            .method = "GET", .path = path, .answer_max = MR_KEY_CHAIN_BYTES_MAX};
        snprintf(path, sizeof path, "/v1/tasks/%s/keys?after=%u", client->task,
                 client->key_statement);
        if (mr_control_ask(client, i, &question, &response, &unused) == MRE_OK) {
            if (response.status == 200) {
                changed |= take(client, i, response.body, response.length, outcome);
            }
            mr_h2_response_fini(&response);
        }
    }
    return changed;
}

bool mr_next_keys_ask(struct mre_client *client, struct mre_outcome *outcome)
{
    uint64_t newest[MRE_HUBS_MAX];
    for (unsigned i = 0; i < MRE_HUBS_MAX; i++) {
        newest[i] = UINT64_MAX;
    }
    return mr_next_keys_follow(client, newest, outcome);
}
