#include "edge-client/session/control.h"

#include <limits.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/session/log.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/progress.h"
#include "transport/certificate_time.h"
#include "transport/h2_date.h"

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS   3000

/* --- connections ----------------------------------------------------------------------------- */

/* Certificates that hold later only, the hub's or this device's: its clock is behind, as that of a
 * board that was just switched on. It is set sooner or later: something to wait for. */
static bool is_clock_behind(const struct mre_client *client, const struct mr_error *error)
{
    return strstr(error->text, X509_verify_cert_error_string(X509_V_ERR_CERT_NOT_YET_VALID)) ||
           mr_certificate_begins_in_s(client->certificate_file) > 0;
}

/* The text names the hub; `question` is "" where none was asked yet. */
static enum mre_result clock_behind(struct mre_client *client, struct mre_outcome *outcome,
                                    const struct mr_error *error)
{
    const uint64_t unix_ms = client->env.unix_ms(client->env.context);
    char now[MR_H2_DATE_BYTES];
    mr_h2_date_format(now, (int64_t)(unix_ms / 1000));
    mr_outcome_set(outcome, MRE_UNREACHABLE,
                   "%s. This device's clock says %s, when certificates do not hold yet: it is "
                   "behind, and waited for; set it (NTP)",
                   error->text, now);
    snprintf(outcome->code, sizeof outcome->code, "clock");
    return outcome->result;
}

static enum mre_result failed(struct mre_client *client, struct mre_outcome *outcome, int failure,
                              const char *question, const struct mr_error *error)
{
    if (failure == MR_H2_REFUSED && is_clock_behind(client, error)) {
        return clock_behind(client, outcome, error);
    }
    return mr_outcome_set(outcome,
                          failure == MR_H2_REFUSED ? MRE_CERTIFICATE_REFUSED : MRE_UNREACHABLE,
                          "%s%s%s", question, *question != '\0' ? ": " : "", error->text);
}

/* Whether the one that is there can be used: one that has rested for long may have been forgotten
 * by a box on the way, which says nothing. */
static bool is_fit(const struct mre_client *client, const struct mr_kept_connection *kept)
{
    return kept->connection && client->env.now_us(client->env.context) - kept->used_us <=
                                   (uint64_t)client->keep_ms * 1000;
}

static void let_go(struct mre_client *client, unsigned position, bool for_all)
{
    struct mr_kept_connection *kept = &client->kept[position];
    if (kept->connection) {
        client->env.disconnect(client->env.context, kept->connection, for_all);
    }
    *kept = (struct mr_kept_connection){.connection = NULL};
}

enum mre_result mr_control_connect(struct mre_client *client, unsigned position,
                                   struct mre_outcome *outcome)
{
    struct mr_kept_connection *kept = &client->kept[position];
    struct mr_error error = {.text = ""};
    struct mr_h2_endpoint endpoint = {.host = client->hosts[position],
                                      .port = client->ports[position],
                                      .hub_index = client->pinned[position].index,
                                      .ca_file = client->ca_file,
                                      .certificate_file = client->certificate_file,
                                      .private_key_file = client->private_key_file,
                                      .revocation_file = client->revocation_file,
                                      .keep_ms = client->keep_ms};
    if (is_fit(client, kept)) {
        return MRE_OK;
    }
    let_go(client, position, false);
    const int status = client->env.connect(client->env.context, &endpoint,
                                           client->request_timeout_ms, &kept->connection, &error);
    if (status < 0) {
        kept->connection = NULL;
        return failed(client, outcome, status, "", &error);
    }
    kept->has_served = status > 0;
    kept->used_us = client->env.now_us(client->env.context);
    mr_log(client, MRE_LOG_DEBUG, 0, "%s to hub %u, %s port %u",
           status > 0 ? "joined the connection" : "connected", endpoint.hub_index, endpoint.host,
           endpoint.port);
    return MRE_OK;
}

/* Up to half as long again, so that devices that were cut off together do not return together. */
static unsigned jittered(struct mre_client *client, unsigned ms)
{
    uint8_t byte = 0;
    if (client->env.random(client->env.context, &byte, 1)) {
        return ms;
    }
    return ms + ms * byte / 512;
}

enum mre_result mr_control_reach(struct mre_client *client, unsigned position,
                                 uint64_t deadline_unix_ms, struct mre_outcome *outcome)
{
    unsigned pause = RETRY_FIRST_MS;
    for (;;) {
        enum mre_result result = mr_control_connect(client, position, outcome);
        if (result != MRE_UNREACHABLE || mr_client_cancelled(client) ||
            mr_client_lead_ms(client) + pause >= deadline_unix_ms) {
            return result;
        }
        mr_progress_again(client, outcome->text);
        mr_client_pause(client, jittered(client, pause));
        pause = 2 * pause < RETRY_MAX_MS ? 2 * pause : RETRY_MAX_MS;
    }
}

void mr_control_drop(struct mre_client *client, unsigned position)
{
    let_go(client, position, true);
}

static bool is_busy(enum mr_refusal_code code)
{
    return code == MR_REFUSAL_BUSY || code == MR_REFUSAL_RATE_LIMITED;
}

bool mr_control_again(struct mre_client *client, enum mre_result result, uint64_t deadline_unix_ms,
                      unsigned *times, const struct mre_outcome *outcome)
{
    const bool busy = result == MRE_REFUSED && is_busy(client->refusal);
    const uint64_t now = mr_client_lead_ms(client);
    if ((result != MRE_UNREACHABLE && !busy) || now >= deadline_unix_ms ||
        mr_client_cancelled(client)) {
        return false;
    }
    if (!busy && times && ++*times > MR_CONTROL_AGAIN_MAX) {
        return false;
    }
    const unsigned asked = busy ? outcome->retry_after_ms : 0;
    const unsigned pause = asked ? asked : MR_CONTROL_AGAIN_MS;
    const uint64_t left = deadline_unix_ms - now;
    mr_progress_again(client, outcome->text);
    mr_client_pause(client, pause < left ? pause : (unsigned)left);
    return true;
}

/* --- questions ------------------------------------------------------------------------------- */

/* Refusals that say how the round ended for us, whichever question they answer. */
static enum mre_result result_of_code(enum mr_refusal_code code)
{
    switch (code) {
    case MR_REFUSAL_ALREADY_COUNTED:
        return MRE_ALREADY_COUNTED;
    case MR_REFUSAL_VOID:
    case MR_REFUSAL_ROUND_LOST:
        return MRE_VOID;
    case MR_REFUSAL_CLOSED:
    case MR_REFUSAL_WRONG_ROUND:
    case MR_REFUSAL_NO_ROUND:
        return MRE_CLOSED;
    case MR_REFUSAL_RELEASED:
        return MRE_AWAITS_MODEL;
    default:
        return MRE_REFUSED;
    }
}

static enum mre_result refused(struct mre_client *client, struct mre_outcome *outcome,
                               const struct mr_h2_response *response,
                               const struct mr_question *question)
{
    struct mr_refusal refusal;
    struct mr_error error;
    client->refusal = MR_REFUSAL_UNKNOWN;
    if (mr_refusal_decode(&refusal, (const char *)response->body, response->length, &error)) {
        snprintf(outcome->code, sizeof outcome->code, "http_%d", response->status);
        return mr_outcome_set(outcome, MRE_REFUSED, "%s %s: the hub answered %d without a reason",
                              question->method, question->path, response->status);
    }
    client->refusal = refusal.code;
    snprintf(outcome->code, sizeof outcome->code, "%s", refusal.name);
    mr_outcome_set(outcome, result_of_code(refusal.code), "refused (%s): %s", refusal.name,
                   refusal.text);
    outcome->retry_after_ms = refusal.retry_after_ms < MRE_RETRY_AFTER_MAX_MS
                                  ? refusal.retry_after_ms
                                  : MRE_RETRY_AFTER_MAX_MS;
    return outcome->result;
}

/* What the question may take in all. */
static unsigned whole_ms(const struct mre_client *client, const struct mr_question *question,
                         unsigned timeout_ms)
{
    const uint64_t now = mr_client_lead_ms(client);
    const uint64_t left = question->until_unix_ms > now ? question->until_unix_ms - now : 0;
    const unsigned whole = left < UINT_MAX ? (unsigned)left : UINT_MAX;
    return whole > timeout_ms ? whole : timeout_ms;
}

/* Below HTTP: an enum mr_h2_failure. */
static int ask_once(struct mre_client *client, unsigned position,
                    const struct mr_h2_request *request, struct mr_h2_response *response,
                    struct mr_error *error)
{
    struct mr_kept_connection *kept = &client->kept[position];
    const int failure =
        client->env.request(client->env.context, kept->connection, request, response, error);
    if (failure) {
        mr_control_drop(client, position);
        return failure;
    }
    kept->has_served = true;
    kept->used_us = client->env.now_us(client->env.context);
    return MR_H2_OK;
}

enum mre_result mr_control_ask(struct mre_client *client, unsigned position,
                               const struct mr_question *question, struct mr_h2_response *response,
                               struct mre_outcome *outcome)
{
    struct mr_error error = {.text = ""};
    const unsigned timeout_ms = client->request_timeout_ms + question->wait_ms;
    memset(response, 0, sizeof *response);
    client->refusal = MR_REFUSAL_NONE;
    const struct mr_h2_request request = {.method = question->method,
                                          .path = question->path,
                                          .content_type = question->content_type,
                                          .body = question->body,
                                          .length = question->length,
                                          .range_first = question->range_first,
                                          .range_bytes = question->range_bytes,
                                          .answer_max = question->answer_max,
                                          .timeout_ms = timeout_ms,
                                          .whole_ms = whole_ms(client, question, timeout_ms),
                                          .room = question->room};
    enum mre_result result = mr_control_connect(client, position, outcome);
    if (result) {
        return result;
    }
    const bool has_served = client->kept[position].has_served;
    int failure = ask_once(client, position, &request, response, &error);
    if (failure == MR_H2_BROKEN && has_served && !mr_client_cancelled(client)) {
        result = mr_control_connect(client, position, outcome);
        if (result) {
            return result;
        }
        failure = ask_once(client, position, &request, response, &error);
    }
    if (failure) {
        return failed(client, outcome, failure, question->path, &error);
    }
    if (response->status >= 200 && response->status < 300) {
        return MRE_OK;
    }
    result = refused(client, outcome, response, question);
    mr_h2_response_fini(response);
    return result;
}
