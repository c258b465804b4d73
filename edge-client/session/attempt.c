#include "edge-client/session/attempt.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/session/attempt_internal.h"
#include "edge-client/session/lineage.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/progress.h"
#include "edge-client/session/proof.h"

#define STATUS_WAIT_MS 10000
#define GRACE_MS       10000 /* after the deadline the lead still commits what is staged */

static uint64_t lead_ms(const struct attempt *a)
{
    return mr_client_lead_ms(a->client);
}

/* --- seeds, then the grant ------------------------------------------------------------------- */

/* One helper's seed, sealed to the key that it signed with the announcement, and what its receipt
 * has to say. */
static int seal_seed(struct attempt *a, unsigned helper)
{
    const struct mr_device_env *env = &a->client->env;
    const struct mr_round_terms *terms = &a->work->terms;
    const uint8_t *seed = a->seeds[helper - 1];
    struct mr_seed_request *sealed = &a->sealed[helper - 1];
    struct mr_receipt *receipt = &a->request.receipts[helper - 1];
    uint8_t ephemeral[MR_HPKE_KEY_BYTES], sealed_hash[MR_HASH_BYTES];
    const struct mr_key_scope scope = {.task = terms->announcement.task,
                                       .announcement_hash = terms->hash,
                                       .client_id = a->client->identity.client_id,
                                       .hub_index = terms->announcement.hubs[helper].index,
                                       .attempt = a->request.attempt};
    const int bad = env->random(env->context, ephemeral, sizeof ephemeral) ||
                    mr_seed_seal(sealed, seed, &scope, terms->seal_keys[helper], ephemeral) ||
                    mr_sealed_hash(sealed_hash, sealed) ||
                    mr_seed_hash(a->seed_hashes[helper - 1], seed, &scope) ||
                    mr_receipt_fill(receipt, seed, sealed_hash, &scope, &terms->layout);
    OPENSSL_cleanse(ephemeral, sizeof ephemeral);
    return bad ? -1 : 0;
}

/* The seeds themselves are needed no more: nothing that is sent is secret. */
static enum mre_result seal_seeds(struct attempt *a)
{
    enum mre_result result = MRE_OK;
    for (unsigned i = 1; !result && i < a->work->terms.announcement.hub_count; i++) {
        if (seal_seed(a, i)) {
            result = mr_outcome_set(a->outcome, MRE_FAILED,
                                    "the seed of hub %u could not be sealed: its key of the round "
                                    "is none, or OpenSSL failed",
                                    a->work->terms.announcement.hubs[i].index);
        }
    }
    OPENSSL_cleanse(a->seeds, sizeof a->seeds);
    return result;
}

/* The same sealed bytes for the same attempt as often as it takes: the helper gives the same
 * receipt. */
static enum mre_result send_seed(struct attempt *a, unsigned helper)
{
    const struct mr_seed_for_helper sent = {
        .terms = &a->work->terms, .position = helper, .request = &a->sealed[helper - 1]};
    enum mre_result result;
    unsigned times = 0;
    do {
        result = mr_control_reach(a->client, helper, mr_attempt_deadline(a), a->outcome);
        if (!result) {
            result =
                mr_control_seed(a->client, &sent, &a->request.receipts[helper - 1], a->outcome);
        }
    } while (mr_attempt_asks_again(a, result, &times));
    return result;
}

static enum mre_result send_seeds(struct attempt *a)
{
    enum mre_result result = seal_seeds(a);
    for (unsigned i = 1; !result && i < a->work->terms.announcement.hub_count; i++) {
        result = send_seed(a, i);
    }
    return result;
}

/* A busy lead gave nothing away, so the same attempt asks again until the deadline. */
static enum mre_result get_grant(struct attempt *a)
{
    enum mre_result result;
    unsigned times = 0;
    do {
        result = mr_control_reach(a->client, 0, mr_attempt_deadline(a), a->outcome);
        if (!result) {
            result =
                mr_control_grant(a->client, &a->work->terms, &a->request, &a->grant, a->outcome);
        }
    } while (mr_attempt_asks_again(a, result, &times));
    return result;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Asks over the control connection until the upload is committed or refused. An upload that is
 * still receiving although sending has ended is given up: the datagrams did not get through. */
static enum mre_result await_end(struct attempt *a)
{
    const uint64_t until_ms = mr_attempt_deadline(a) + GRACE_MS;
    mr_progress_phase(a->client, MRE_PHASE_COMMITTING, 0);
    while (a->status.state == MR_UPLOAD_RECEIVING || a->status.state == MR_UPLOAD_STAGED) {
        bool sent = a->status.state == MR_UPLOAD_STAGED;
        enum mre_result result = mr_control_reach(a->client, 0, until_ms, a->outcome);
        if (!result) {
            result = mr_control_status(a->client, &a->work->terms, a->grant.upload_id,
                                       sent ? STATUS_WAIT_MS : 0, &a->status, a->outcome);
        }
        if (mr_control_again(a->client, result, until_ms, NULL, a->outcome)) {
            continue; /* cut off or busy says nothing of the upload */
        }
        if (result) {
            return result;
        }
        if (a->status.state == MR_UPLOAD_RECEIVING) {
            return mr_outcome_set(a->outcome, MRE_UNREACHABLE,
                                  "the lead did not receive the whole upload%s",
                                  a->request.transport == MR_TRANSPORT_UDP
                                      ? ": UDP seems blocked on the way; transport http2 avoids it"
                                      : "");
        }
        if (a->status.state == MR_UPLOAD_STAGED && lead_ms(a) >= until_ms) {
            return mr_outcome_set(
                a->outcome, MRE_UNREACHABLE,
                "the lead has the whole upload and did not say in time that it is "
                "durable; its operator looks for a slow disk");
        }
    }
    return MRE_OK;
}

/* A lead that restarts knows committed uploads only. One that it has forgotten is begun again: the
 * same attempt, share and receipts, over another connection and so under other keys. */
static bool forgotten(const struct attempt *a, enum mre_result result)
{
    const bool unknown = result == MRE_REFUSED && a->client->refusal == MR_REFUSAL_NOT_FOUND;
    return unknown || (result == MRE_UNREACHABLE && a->cut);
}

static enum mre_result bring_over(struct attempt *a)
{
    enum mre_result result;
    unsigned times = 0;
    do {
        if (times) {
            mr_control_drop(a->client, 0);
        }
        a->cut = false;
        result = get_grant(a);
        if (!result) {
            mr_proof_note(a->client, &a->work->terms, a->request.attempt, a->seed_hashes, a->share);
            result = mr_attempt_upload(a);
        }
        if (!result) {
            result = await_end(a);
        }
    } while (forgotten(a, result) && times++ < MR_CONTROL_AGAIN_MAX);
    return result;
}

static enum mre_result judge(struct attempt *a)
{
    if (a->status.state == MR_UPLOAD_COMMITTED) {
        a->outcome->code[0] = 0; /* of a refusal that was waited out */
        return mr_outcome_set(a->outcome, MRE_COMMITTED, "committed");
    }
    snprintf(a->outcome->code, sizeof a->outcome->code, "%s",
             mr_upload_reason_name(a->status.reason));
    switch (a->status.reason) {
    case MR_REASON_CLOSED:
        return mr_outcome_set(a->outcome, MRE_CLOSED,
                              "the round closed before the upload was complete; the next round is "
                              "open to this device");
    case MR_REASON_VOID:
        return mr_outcome_set(a->outcome, MRE_VOID,
                              "the hubs gave the round up while this device's upload was on its "
                              "way; the next round is open to this device");
    case MR_REASON_UNSOUND:
        return mr_outcome_set(a->outcome, MRE_REFUSED,
                              "the upload was refused (unsound): the lead says that this device's "
                              "share does not match its seeds");
    default:
        return mr_outcome_set(a->outcome, MRE_REFUSED,
                              "the lead ended the upload (%s) before it was complete",
                              a->outcome->code);
    }
}

/* Refusals after which a fresh attempt may succeed: docs/wire-format.md, "Refusals". */
static bool mends(enum mr_refusal_code refusal)
{
    return refusal == MR_REFUSAL_BAD_ATTEMPT || refusal == MR_REFUSAL_SEED_CONFLICT ||
           refusal == MR_REFUSAL_NOT_FOUND || refusal == MR_REFUSAL_INTERNAL;
}

/* Which ends of an attempt a fresh one may mend. */
static enum mr_attempt_next next_of(const struct attempt *a)
{
    if (a->outcome->result == MRE_UNREACHABLE) {
        return a->request.transport == MR_TRANSPORT_UDP && a->grant.upload_id
                   ? MR_ATTEMPT_OVER_HTTP2
                   : MR_ATTEMPT_AGAIN;
    }
    const bool idle = a->status.state == MR_UPLOAD_REFUSED && a->status.reason == MR_REASON_IDLE;
    if (a->outcome->result == MRE_REFUSED && (idle || mends(a->client->refusal))) {
        return MR_ATTEMPT_AGAIN;
    }
    return MR_ATTEMPT_DONE;
}

enum mr_attempt_next mr_attempt_run(struct mre_client *client, struct mr_round_work *work,
                                    uint32_t attempt, enum mr_transport transport,
                                    struct mre_outcome *outcome)
{
    struct attempt a = {.client = client, .work = work, .outcome = outcome};
    memcpy(a.request.announcement_hash, work->terms.hash, MR_HASH_BYTES);
    a.request.attempt = attempt;
    a.request.transport = transport;
    a.request.receipt_count = work->terms.announcement.hub_count - 1u;
    outcome->attempt = attempt;
    client->shown.attempt = attempt;
    mr_progress_phase(client, MRE_PHASE_SHARING, 0);
    outcome->transport = transport == MR_TRANSPORT_UDP ? MRE_TRANSPORT_UDP : MRE_TRANSPORT_HTTP2;
    outcome->code[0] = 0;

    mr_proof_begin(client, &work->terms, attempt);
    enum mre_result result = mr_attempt_make_share(&a);
    if (!result) {
        result = send_seeds(&a);
    }
    if (!result) {
        result = mr_lineage_claim(client, &work->terms, outcome);
    }
    if (!result) {
        result = bring_over(&a);
    }
    if (!result) {
        judge(&a);
    }
    OPENSSL_cleanse(a.seeds, sizeof a.seeds);
    mr_pages_give(a.share, work->terms.layout.share_bytes);
    return next_of(&a);
}
