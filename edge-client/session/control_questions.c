/* control_questions.c - what a device asks of hubs in a round. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "wire/exchange.h"

#define PATH_BYTES  160 /* of any question */
#define JSON_TYPE   "application/json"
#define OCTETS_TYPE "application/octet-stream"
#define WAIT_MS_MAX 30000

static enum mre_result nonsense(struct mre_outcome *outcome, const char *path,
                                const struct mr_error *error)
{
    snprintf(outcome->code, sizeof outcome->code, "bad_answer");
    return mr_outcome_set(outcome, MRE_REFUSED, "%s: the hub's answer is not understood: %s", path,
                          error->text);
}

/* --- the lead's announcement ----------------------------------------------------------------- */

static enum mre_result ask_current(struct mre_client *client, unsigned wait_ms,
                                   struct mr_h2_response *response, struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    struct mr_question question = {.method = "GET",
                                   .path = path,
                                   .answer_max = MR_ANNOUNCEMENT_SIGNED_MAX,
                                   .wait_ms = wait_ms};
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/current?after=%" PRIu64 "&wait_ms=%u",
             client->task, client->ledger.finished, wait_ms);
    return mr_control_ask(client, 0, &question, response, outcome);
}

enum mre_result mr_control_announcement(struct mre_client *client, unsigned wait_ms,
                                        struct mr_round_terms *terms, struct mre_outcome *outcome)
{
    struct mr_h2_response response = {0};
    struct mr_error error;
    enum mre_result result =
        ask_current(client, wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX, &response, outcome);
    if (result) {
        return result;
    }
    if (response.status == 204) {
        result = mr_outcome_set(outcome, MRE_NO_ROUND, "no round newer than %" PRIu64 " opened",
                                client->ledger.finished);
    } else if (mr_announcement_open(terms, response.body, response.length, &error) ||
               mr_announcement_trusts(&terms->announcement, client->pinned, client->hub_count,
                                      &error)) {
        result = mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                                "the announcement is not trusted: %s; nothing was sent. Compare "
                                "hubs in device.json with the operators' keys",
                                error.text);
    } else if (strcmp(terms->announcement.task, client->task) != 0) {
        result = mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                                "the lead announced a round of task %s, this device takes part in "
                                "%s; nothing was sent",
                                terms->announcement.task, client->task);
    } else if (terms->announcement.round <= client->ledger.finished) {
        result = mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                                "the lead announced round %" PRIu64 " again, which is finished",
                                terms->announcement.round);
    } else if (terms->announcement.round < client->ledger.round) {
        result = mr_outcome_set(outcome, MRE_UNTRUSTED_ANNOUNCEMENT,
                                "the lead announced round %" PRIu64 " after round %" PRIu64
                                ", in which this device has made attempts. Where the hubs began "
                                "afresh, `millrace-edge state-reset --finished` says so here",
                                terms->announcement.round, client->ledger.round);
    }
    if (!result) {
        mr_client_set_lead_clock(client, terms->announcement.deadline_unix_ms,
                                 response.has_time_left ? &response.time_left_ms : NULL);
    }
    mr_h2_response_fini(&response);
    return result;
}

/* --- seeds, grants, shares ------------------------------------------------------------------- */

/* Only who has opened the seed can say what this device computed from it: else it did not arrive,
 * whoever answered. */
static int check_receipt(struct mr_receipt *receipt, const struct mr_h2_response *response,
                         struct mr_error *error)
{
    struct mr_receipt said;
    if (mr_receipt_answer_decode(&said, response->body, response->length, error)) {
        return -1;
    }
    if (!mr_receipt_proves(&said, receipt)) {
        return mr_error_set(error, "its receipt is not for the seed that was sent to hub %u",
                            receipt->hub_index);
    }
    *receipt = said;
    return 0;
}

enum mre_result mr_control_seed(struct mre_client *client, const struct mr_seed_for_helper *sent,
                                struct mr_receipt *receipt, struct mre_outcome *outcome)
{
    const struct mr_round_terms *terms = sent->terms;
    char path[PATH_BYTES];
    uint8_t body[MR_SEED_REQUEST_BYTES];
    struct mr_h2_response response = {0};
    struct mr_error error;
    const struct mr_question question = {.method = "POST",
                                         .path = path,
                                         .content_type = OCTETS_TYPE,
                                         .body = body,
                                         .length = sizeof body,
                                         .answer_max = MR_MESSAGE_MAX};
    mr_seed_request_encode(body, sent->request);
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/%" PRIu64 "/seed", client->task,
             terms->announcement.round);
    enum mre_result result = mr_control_ask(client, sent->position, &question, &response, outcome);
    if (result) {
        return result;
    }
    if (check_receipt(receipt, &response, &error)) {
        result = nonsense(outcome, path, &error);
    }
    mr_h2_response_fini(&response);
    return result;
}

enum mre_result mr_control_grant(struct mre_client *client, const struct mr_round_terms *terms,
                                 const struct mr_upload_request *request,
                                 struct mr_upload_grant *grant, struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    struct mr_h2_response response = {0};
    struct mr_error error;
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/%" PRIu64 "/uploads", client->task,
             terms->announcement.round);
    char *text = mr_upload_request_encode(request);
    if (!text) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory");
    }
    const struct mr_question question = {.method = "POST",
                                         .path = path,
                                         .content_type = JSON_TYPE,
                                         .body = text,
                                         .length = strlen(text),
                                         .answer_max = MR_MESSAGE_MAX};
    enum mre_result result = mr_control_ask(client, 0, &question, &response, outcome);
    free(text);
    if (result) {
        return result;
    }
    if (mr_upload_grant_decode(grant, (const char *)response.body, response.length, &error)) {
        result = nonsense(outcome, path, &error);
    }
    mr_h2_response_fini(&response);
    return result;
}

static enum mre_result ask_status(struct mre_client *client, const struct mr_question *question,
                                  struct mr_upload_status *status, struct mre_outcome *outcome)
{
    struct mr_h2_response response = {0};
    struct mr_error error;
    enum mre_result result = mr_control_ask(client, 0, question, &response, outcome);
    if (result) {
        return result;
    }
    if (mr_upload_status_decode(status, (const char *)response.body, response.length, &error)) {
        result = nonsense(outcome, question->path, &error);
    }
    mr_h2_response_fini(&response);
    return result;
}

enum mre_result mr_control_put(struct mre_client *client, const struct mr_round_terms *terms,
                               uint64_t upload_id, const uint8_t *share,
                               struct mr_upload_status *status, struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    struct mr_question question = {.method = "PUT",
                                   .path = path,
                                   .content_type = OCTETS_TYPE,
                                   .body = share,
                                   .length = terms->layout.share_bytes,
                                   .answer_max = MR_MESSAGE_MAX,
                                   .wait_ms = WAIT_MS_MAX,
                                   .until_unix_ms = terms->announcement.deadline_unix_ms};
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/%" PRIu64 "/uploads/%016" PRIx64 "/share",
             client->task, terms->announcement.round, upload_id);
    return ask_status(client, &question, status, outcome);
}

enum mre_result mr_control_status(struct mre_client *client, const struct mr_round_terms *terms,
                                  uint64_t upload_id, unsigned wait_ms,
                                  struct mr_upload_status *status, struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    struct mr_question question = {
        .method = "GET", .path = path, .answer_max = MR_MESSAGE_MAX, .wait_ms = wait_ms};
    snprintf(path, sizeof path, "/v1/tasks/%s/rounds/%" PRIu64 "/uploads/%016" PRIx64 "?wait_ms=%u",
             client->task, terms->announcement.round, upload_id, wait_ms);
    return ask_status(client, &question, status, outcome);
}

/* The question, whose path has PATH_BYTES. */
static struct mr_question end_question(const struct mre_client *client, char *path, uint64_t round,
                                       unsigned wait_ms)
{
    const unsigned wait = wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
    snprintf(path, PATH_BYTES, "/v1/tasks/%s/rounds/%" PRIu64 "?wait_ms=%u", client->task, round,
             wait);
    return (struct mr_question){
        .method = "GET", .path = path, .answer_max = MR_MESSAGE_MAX, .wait_ms = wait};
}

static enum mre_result take_end(const char *path, struct mr_h2_response *response,
                                struct mr_round_end *end, struct mre_outcome *outcome)
{
    struct mr_error error;
    enum mre_result result = MRE_OK;
    if (mr_round_end_decode(end, (const char *)response->body, response->length, &error)) {
        result = nonsense(outcome, path, &error);
    }
    mr_h2_response_fini(response);
    return result;
}

enum mre_result mr_control_end(struct mre_client *client, unsigned position, uint64_t round,
                               unsigned wait_ms, struct mr_round_end *end,
                               struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    struct mr_h2_response response = {0};
    const struct mr_question question = end_question(client, path, round, wait_ms);
    const enum mre_result result = mr_control_ask(client, position, &question, &response, outcome);
    return result ? result : take_end(path, &response, end, outcome);
}
