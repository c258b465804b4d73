/* reach.c - what can be known before a round: whether hubs will take this device's certificate, and
 * whether they are those that it trusts. */
#include <stdio.h>
#include <string.h>

#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "transport/fitness.h"

enum mre_result mre_client_check(struct mre_client *client, struct mre_outcome *outcome)
{
    const struct mr_tls_files files = {.ca_file = client->ca_file,
                                       .certificate_file = client->certificate_file,
                                       .private_key_file = client->private_key_file,
                                       .revocation_file = client->revocation_file};
    const struct mr_tls_purpose purpose = {.dials = true, .role = MR_ROLE_DEVICE};
    struct mr_error error;
    memset(outcome, 0, sizeof *outcome);
    return mr_tls_check_fitness(&files, &purpose, &error) == 0
               ? MRE_OK
               : mr_outcome_set(outcome, MRE_BAD_CONFIG, "device: %s", error.text);
}

/* "0, 1, 4": the lead first. */
static void list_hubs(char *text, size_t room, const struct mr_announced_hub *hubs, unsigned count)
{
    size_t used = 0;
    for (unsigned i = 0; i < count && used < room; i++) {
        used += (size_t)snprintf(text + used, room - used, i ? ", %u" : "%u", hubs[i].index);
    }
}

/* As mr_announcement_trusts will judge, in words that say where to look. */
static enum mre_result compare(const struct mre_client *client, const struct mr_task_hubs *said,
                               struct mre_outcome *outcome)
{
    char here[48] = "", there[48] = "";
    bool same = said->hub_count == client->hub_count;
    for (unsigned i = 0; same && i < said->hub_count; i++) {
        same = said->hubs[i].index == client->pinned[i].index;
    }
    if (!same) {
        list_hubs(here, sizeof here, client->pinned, client->hub_count);
        list_hubs(there, sizeof there, said->hubs, said->hub_count);
        return mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                              "hub %u says that the hubs of task %s are %s, the lead first; in "
                              "device.json they are %s. Set \"hubs\" as the operators say",
                              said->hub_index, client->task, there, here);
    }
    for (unsigned i = 0; i < said->hub_count; i++) {
        if (memcmp(said->hubs[i].public_key, client->pinned[i].public_key, MR_PUBLIC_KEY_BYTES) !=
            0) {
            return mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                                  "hubs[%u].public_key in device.json is not the key of hub %u, "
                                  "says hub %u: get hub-%u.sign.pub from its operator, and compare",
                                  i, said->hubs[i].index, said->hub_index, said->hubs[i].index);
        }
    }
    return mr_outcome_set(outcome, MRE_OK, "answered over mutual TLS, hubs and keys are as pinned");
}

static enum mre_result read_answer(const struct mre_client *client, unsigned position,
                                   const struct mr_h2_response *response,
                                   struct mre_outcome *outcome)
{
    struct mr_task_hubs said;
    struct mr_error error;
    if (mr_task_hubs_decode(&said, (const char *)response->body, response->length, &error) != 0) {
        return mr_outcome_set(outcome, MRE_REFUSED, "hub %u: its answer is not understood: %s",
                              client->pinned[position].index, error.text);
    }
    return compare(client, &said, outcome);
}

enum mre_result mre_client_reach(struct mre_client *client, unsigned position,
                                 struct mre_outcome *outcome)
{
    struct mr_h2_response response = {0};
    char path[80 + MR_TASK_NAME_MAX];
    struct mr_question question = {.method = "GET", .path = path, .answer_max = MR_MESSAGE_MAX};
    if (mr_client_begin(client, outcome)) {
        return outcome->result;
    }
    snprintf(path, sizeof path, "/v1/tasks/%s/hubs", client->task);
    if (position >= client->hub_count) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "there is no hub at position %u", position);
    }
    enum mre_result result = mr_control_ask(client, position, &question, &response, outcome);
    if (!result) {
        result = read_answer(client, position, &response, outcome);
        mr_h2_response_fini(&response);
    }
    if (result == MRE_REFUSED && client->refusal == MR_REFUSAL_NO_TASK) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "hub %u serves no task %s: compare task in device.json with the "
                              "hub's configuration",
                              client->pinned[position].index, client->task);
    }
    return result == MRE_UNREACHABLE ? mr_client_settle(client, outcome) : result;
}
