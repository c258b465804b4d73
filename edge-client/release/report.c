/* report.c - how it went with a release, told to every hub. */
#include <stdio.h>

#include "base/bytes.h"
#include "edge-client/release/fetch.h"
#include "edge-client/session/control.h"

#define PATH_BYTES 224

/* Whether that hub needs not be told again: it counts it, or says that it never will. */
static bool tell(struct mre_client *client, unsigned position, const char *path)
{
    struct mre_outcome outcome = {.code = ""};
    struct mr_h2_response response = {0};
    const struct mr_question question = {.method = "POST", .path = path, .answer_max = 4096};
    const enum mre_result result = mr_control_ask(client, position, &question, &response, &outcome);
    if (result == MRE_OK) {
        mr_h2_response_fini(&response);
    }
    return result == MRE_OK || (result == MRE_REFUSED && client->refusal == MR_REFUSAL_NOT_FOUND);
}

void mr_release_report(struct mre_client *client, struct mr_slots *slots)
{
    char path[PATH_BYTES], hash[2 * MR_HASH_BYTES + 1];
    bool all = true;
    if (!slots->outcome_owed) {
        return;
    }
    mr_hex_encode(hash, slots->outcome_manifest, MR_HASH_BYTES);
    snprintf(path, sizeof path, "/v1/tasks/%s/releases/%s/%s", client->task, hash,
             mr_release_outcome_name(slots->outcome));
    for (unsigned i = 0; i < client->hub_count; i++) {
        all = tell(client, i, path) && all;
    }
    if (all) {
        mr_slots_told(slots);
    }
}
