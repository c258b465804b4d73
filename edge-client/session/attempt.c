#include "edge-client/session/attempt.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/session/control.h"
#include "edge-client/session/dump.h"
#include "edge-client/session/lineage.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/proof.h"
#include "edge-client/session/progress.h"
#include "edge-client/share/prepare.h"
#include "edge-client/upload/drive.h"
#include "edge-client/upload/udp_host.h"

#define STATUS_WAIT_MS 10000
#define LISTEN_US      1500000 /* several of the intervals (300 ms) in which leads commit */
#define GRACE_MS       10000   /* after the deadline the lead still commits what is staged */

_Static_assert(sizeof((struct mre_outcome *)0)->warning == sizeof((struct mr_error *)0)->text,
               "a warning is an error's text");

/* One attempt's own state. */
struct attempt {
    struct mre_client *client;
    struct mr_round_work *work;
    struct mre_outcome *outcome;
    struct mr_upload_request request;              /* its number, transport, receipts */
    uint8_t seeds[MR_HUBS_MAX - 1][MR_SEED_BYTES]; /* until they are sealed */
    struct mr_seed_request sealed[MR_HUBS_MAX - 1];
    uint8_t seed_hashes[MR_HUBS_MAX - 1][MR_HASH_BYTES]; /* for proofs */
    uint8_t *share; /* pages; frozen from before the first send */
    struct mr_upload_grant grant;
    struct mr_upload_status status;
    bool cut; /* the connection was lost between the grant and its keys */
};

static uint64_t lead_ms(const struct attempt *a)
{
    return mr_client_lead_ms(a->client);
}

static uint64_t deadline(const struct attempt *a)
{
    return a->work->terms.announcement.deadline_unix_ms;
}

/* The same by env.now_us. */
static uint64_t deadline_us(const struct attempt *a)
{
    const struct mr_device_env *env = &a->client->env;
    const uint64_t now = lead_ms(a), until = deadline(a);
    return env->now_us(env->context) + (until > now ? until - now : 0) * 1000;
}

/* --- the share ------------------------------------------------------------------------------- */

/* Rounds, and says what that cost: too much, and the share is not sent. */
static enum mre_result quantise(struct attempt *a, int8_t *q,
                                const uint8_t random[MR_PREPARE_RANDOM_BYTES])
{
    struct mr_round_work *work = a->work;
    struct mre_outcome *outcome = a->outcome;
    struct mr_rounding rounding;
    struct mr_error report, said;
    mr_prepare_quantise(q, work->trailer, &rounding, work->vector, &work->terms, random,
                        a->client->kernels);
    mr_prepare_metrics(work->trailer, &work->terms, &work->metrics, random, a->client->kernels);
    outcome->clipped = rounding.clipped;
    outcome->saturated = rounding.saturated;
    outcome->resolution = rounding.resolution;
    outcome->rounding_error = rounding.error;
    const int refused = mr_rounding_judge(&rounding, &work->terms, &report);
    mr_error_set(&said, "%s%s%s", work->note.text, work->note.text[0] && report.text[0] ? "; " : "",
                 report.text);
    memcpy(outcome->warning, said.text, sizeof outcome->warning);
    return refused ? mr_outcome_set(outcome, MRE_BAD_DELTA, "%s", report.text) : MRE_OK;
}

/* What a device's own noise is drawn with; nothing where hubs or nobody add it. */
static int prepare_noise(const struct attempt *a, struct mr_noise_tables **tables,
                         uint8_t seed[MR_NOISE_SEED_BYTES])
{
    const struct mr_device_env *env = &a->client->env;
    const struct mr_announcement *round = &a->work->terms.announcement;
    if (round->noise_kind != MR_NOISE_DEVICE) {
        return 0;
    }
    return env->random(env->context, seed, MR_NOISE_SEED_BYTES) != 0
               ? -1
               : mr_noise_tables_prepare(tables, round);
}

/* Rounds, lifts, noises and masks with randomness that serves this attempt only. */
static enum mre_result make_share(struct attempt *a)
{
    struct mr_round_work *work = a->work;
    const struct mr_device_env *env = &a->client->env;
    uint8_t random[MR_PREPARE_RANDOM_BYTES], noise_seed[MR_NOISE_SEED_BYTES] = {0};
    struct mr_noise_tables *noise_tables = NULL;
    struct mr_error error;
    enum mre_result result = MRE_OK;
    size_t lanes = work->terms.layout.lanes;
    int8_t *q = mr_pages_take(lanes);
    a->share = mr_pages_take(work->terms.layout.share_bytes);
    if (!q || !a->share || env->random(env->context, random, sizeof random) ||
        env->random(env->context, a->seeds[0], sizeof a->seeds) ||
        prepare_noise(a, &noise_tables, noise_seed) != 0) {
        result = mr_outcome_set(a->outcome, MRE_FAILED, "out of memory or of random numbers");
    }
    if (!result) {
        result = quantise(a, q, random);
    }
    if (!result) {
        if (a->client->dump_dir &&
            mr_dump_write(a->client, work, a->request.attempt, q, work->trailer, &error)) {
            result = mr_outcome_set(a->outcome, MRE_BAD_CONFIG, "%s", error.text);
        }
    }
    const struct mr_share_parts parts = {.q = q,
                                         .trailer = work->trailer,
                                         .terms = &work->terms,
                                         .client_id = a->client->identity.client_id,
                                         .attempt = a->request.attempt,
                                         .noise_tables = noise_tables,
                                         .noise_seed = noise_seed,
                                         .seeds = (const uint8_t(*)[MR_SEED_BYTES])a->seeds};
    if (!result && mr_prepare_share(a->share, &parts, a->client->kernels)) {
        result = mr_outcome_set(a->outcome, MRE_FAILED,
                                "masks or noise cannot be derived: OpenSSL failed");
    }
    OPENSSL_cleanse(random, sizeof random);
    OPENSSL_cleanse(noise_seed, sizeof noise_seed);
    mr_noise_tables_free(noise_tables);
    if (q) {
        OPENSSL_cleanse(q, lanes);
    }
    mr_pages_give(q, lanes);
    return result;
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

static bool again(struct attempt *a, enum mre_result result, unsigned *times)
{
    return mr_control_again(a->client, result, deadline(a), times, a->outcome);
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
        result = mr_control_reach(a->client, helper, deadline(a), a->outcome);
        if (!result) {
            result =
                mr_control_seed(a->client, &sent, &a->request.receipts[helper - 1], a->outcome);
        }
    } while (again(a, result, &times));
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
        result = mr_control_reach(a->client, 0, deadline(a), a->outcome);
        if (!result) {
            result =
                mr_control_grant(a->client, &a->work->terms, &a->request, &a->grant, a->outcome);
        }
    } while (again(a, result, &times));
    return result;
}

/* --- the upload ------------------------------------------------------------------------------ */

static enum mre_result derive_keys(struct attempt *a, struct mr_upload_keys *keys)
{
    uint8_t secret[MR_CONNECTION_SECRET_BYTES], ekm[MR_EKM_BYTES];
    const struct mr_key_scope scope = {.task = a->work->terms.announcement.task,
                                       .announcement_hash = a->work->terms.hash,
                                       .client_id = a->client->identity.client_id,
                                       .hub_index = a->work->terms.announcement.hubs[0].index,
                                       .attempt = a->request.attempt};
    void *lead = a->client->kept[0].connection;
    int bad = !lead ||
              a->client->env.exporter(a->client->env.context, lead, MR_EXPORTER_LABEL, secret) ||
              mr_upload_ekm(ekm, secret, &scope) || mr_upload_keys_derive(keys, ekm);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(ekm, sizeof ekm);
    a->cut = bad;
    return bad ? mr_outcome_set(a->outcome, MRE_UNREACHABLE,
                                "the connection was lost before the upload's keys were derived")
               : 0;
}

static void count(struct attempt *a, const struct mr_sender *sender)
{
    a->outcome->datagrams += mr_sender_counts(sender)->datagrams;
    a->outcome->retransmitted += (uint32_t)mr_sender_counts(sender)->retransmitted;
}

static void take_phase(struct attempt *a, const struct mr_sender *sender)
{
    static const enum mr_upload_state states[] = {
        [MR_SENDER_SENDING] = MR_UPLOAD_RECEIVING,   [MR_SENDER_STAGED] = MR_UPLOAD_STAGED,
        [MR_SENDER_COMMITTED] = MR_UPLOAD_COMMITTED, [MR_SENDER_REFUSED] = MR_UPLOAD_REFUSED,
        [MR_SENDER_SILENT] = MR_UPLOAD_RECEIVING,
    };
    a->status.state = states[mr_sender_phase(sender)];
    a->status.reason = mr_sender_reason(sender);
}

/* The share goes to the lead, whatever address the grant names: a foreign one gets nothing, and the
 * share travels over the control connection's own address, where the transport leaves the choice.
 */
static enum mre_result check_host(struct attempt *a)
{
    const struct mr_device_env *env = &a->client->env;
    const struct mr_announced_hub *lead = &a->work->terms.announcement.hubs[0];
    struct mre_outcome *outcome = a->outcome;
    char peer[64] = "unknown";
    if (a->client->kept[0].connection) {
        (void)env->peer(env->context, a->client->kept[0].connection, peer, sizeof peer);
    }
    if (mr_udp_host_allowed(a->grant.udp_host, peer, lead->name)) {
        return MRE_OK;
    }
    const bool choice = a->client->transport == MRE_TRANSPORT_AUTO;
    mr_outcome_set(outcome, choice ? MRE_UNREACHABLE : MRE_REFUSED,
                   "the lead asks for datagrams to %s, which is neither its own address %s nor the "
                   "name that all hubs signed for it (%s): nothing is sent there%s. Its operator "
                   "can name the hub by that address",
                   a->grant.udp_host, peer, lead->name, choice ? ", HTTP/2 is used instead" : "");
    snprintf(outcome->code, sizeof outcome->code, "udp_host");
    mr_error_set(&a->work->note, "%s", outcome->text);
    return outcome->result;
}

/* Told in twentieths. */
static void show_moved(void *context, const struct mr_sender *sender)
{
    const struct attempt *a = context;
    const struct mr_layout *layout = &a->work->terms.layout;
    const uint64_t heard = mr_sender_heard(sender);
    const uint64_t done =
        heard < layout->chunks ? heard * layout->chunk_bytes : layout->share_bytes;
    if (done >= a->client->shown.bytes_done + layout->share_bytes / 20 + 1) {
        mr_progress_moved(a->client, done);
    }
}

static enum mre_result send_datagrams(struct attempt *a)
{
    struct mr_upload_keys keys;
    struct mr_error error;
    const struct mr_device_env *env = &a->client->env;
    enum mre_result result = check_host(a);
    if (!result) {
        result = derive_keys(a, &keys);
    }
    if (result) {
        return result;
    }
    struct mr_sender_config config = {.layout = &a->work->terms.layout,
                                      .share = a->share,
                                      .upload_id = a->grant.upload_id,
                                      .round = a->work->terms.announcement.round,
                                      .attempt = a->request.attempt,
                                      .keys = &keys,
                                      .window = a->grant.window,
                                      .silence_us = (uint64_t)a->client->silence_ms * 1000};
    const struct mr_drive_plan plan = {.datagram_bytes_max =
                                           a->work->terms.layout.chunk_bytes + MR_DATAGRAM_OVERHEAD,
                                       .until_us = deadline_us(a),
                                       .listen_us = LISTEN_US,
                                       .stop_after_chunks = a->client->stop_after_chunks,
                                       .moved = show_moved,
                                       .context = a};
    struct mr_sender *sender = mr_sender_open(&config, env->now_us(env->context));
    OPENSSL_cleanse(&keys, sizeof keys);
    void *udp = env->udp_open(env->context, a->grant.udp_host, a->grant.udp_port, &error);
    if (!udp) {
        result = mr_outcome_set(a->outcome, MRE_UNREACHABLE, "%s", error.text);
    } else if (!sender || mr_drive(env, udp, sender, &plan)) {
        result = mr_outcome_set(a->outcome, MRE_FAILED, "out of memory for the upload");
    }
    if (udp) {
        env->udp_close(env->context, udp);
    }
    if (sender && !result) {
        take_phase(a, sender);
        count(a, sender);
    }
    mr_sender_close(sender);
    return result;
}

/* A body that was cut off is sent again as the same upload, if the lead still knows it. */
static enum mre_result put_share(struct attempt *a)
{
    enum mre_result result;
    unsigned times = 0;
    do {
        result = mr_control_reach(a->client, 0, deadline(a), a->outcome);
        if (!result) {
            result = mr_control_put(a->client, &a->work->terms, a->grant.upload_id, a->share,
                                    &a->status, a->outcome);
        }
    } while (again(a, result, &times));
    if (result != MRE_ALREADY_COUNTED) {
        return result;
    }
    a->status.state = MR_UPLOAD_STAGED; /* the one before had arrived whole */
    return MRE_OK;
}

static enum mre_result upload(struct attempt *a)
{
    a->status = (struct mr_upload_status){.state = MR_UPLOAD_RECEIVING};
    mr_progress_phase(a->client, MRE_PHASE_UPLOADING, a->work->terms.layout.share_bytes);
    return a->request.transport == MR_TRANSPORT_UDP ? send_datagrams(a) : put_share(a);
}

/* --- the end --------------------------------------------------------------------------------- */

/* Asks over the control connection until the upload is committed or refused. An upload that is
 * still receiving although sending has ended is given up: the datagrams did not get through. */
static enum mre_result await_end(struct attempt *a)
{
    mr_progress_phase(a->client, MRE_PHASE_COMMITTING, 0);
    while (a->status.state == MR_UPLOAD_RECEIVING || a->status.state == MR_UPLOAD_STAGED) {
        bool sent = a->status.state == MR_UPLOAD_STAGED;
        enum mre_result result = mr_control_reach(a->client, 0, deadline(a) + GRACE_MS, a->outcome);
        if (!result) {
            result = mr_control_status(a->client, &a->work->terms, a->grant.upload_id,
                                       sent ? STATUS_WAIT_MS : 0, &a->status, a->outcome);
        }
        if (mr_control_again(a->client, result, deadline(a) + GRACE_MS, NULL, a->outcome)) {
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
        if (a->status.state == MR_UPLOAD_STAGED && lead_ms(a) >= deadline(a) + GRACE_MS) {
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
            result = upload(a);
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
    enum mre_result result = make_share(&a);
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
