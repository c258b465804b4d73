/* attempt_upload.c - a frozen share on its way to the lead: as datagrams, or as one body. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "edge-client/session/attempt_internal.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/progress.h"
#include "edge-client/upload/drive.h"
#include "edge-client/upload/udp_host.h"

#define LISTEN_US 1500000 /* several of the intervals (300 ms) in which leads commit */

/* The deadline by env.now_us. */
static uint64_t deadline_us(const struct attempt *a)
{
    const struct mr_device_env *env = &a->client->env;
    const uint64_t now = mr_client_lead_ms(a->client), until = mr_attempt_deadline(a);
    return env->now_us(env->context) + (until > now ? until - now : 0) * 1000;
}

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
        result = mr_control_reach(a->client, 0, mr_attempt_deadline(a), a->outcome);
        if (!result) {
            result = mr_control_put(a->client, &a->work->terms, a->grant.upload_id, a->share,
                                    &a->status, a->outcome);
        }
    } while (mr_attempt_asks_again(a, result, &times));
    if (result != MRE_ALREADY_COUNTED) {
        return result;
    }
    a->status.state = MR_UPLOAD_STAGED; /* the one before had arrived whole */
    return MRE_OK;
}

enum mre_result mr_attempt_upload(struct attempt *a)
{
    a->status = (struct mr_upload_status){.state = MR_UPLOAD_RECEIVING};
    mr_progress_phase(a->client, MRE_PHASE_UPLOADING, a->work->terms.layout.share_bytes);
    return a->request.transport == MR_TRANSPORT_UDP ? send_datagrams(a) : put_share(a);
}
