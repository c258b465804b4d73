/* admit.c - devices at the lead: receipts, one live upload each, what became of it. */
#include <openssl/crypto.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "appliance/upload/plane.h"
#include "base/assert.h"

static enum mr_refusal_code check_state(const struct mr_lead *lead, uint64_t round,
                                        struct mr_refusal *refusal)
{
    if (!lead->round_known || lead->state == MR_LEAD_SIGNING || lead->state == MR_LEAD_PROPOSED) {
        return mr_refuse(refusal, MR_REFUSAL_NO_ROUND, "no round is open");
    }
    if (round != lead_announcement(lead)->round) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND, "the current round is %llu",
                         (unsigned long long)lead_announcement(lead)->round);
    }
    if (lead->ending) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the round is being given up");
    }
    if (lead->state == MR_LEAD_VOID) {
        return mr_refuse(refusal, MR_REFUSAL_VOID, "the round was given up: %s", lead->reason);
    }
    if (lead->state == MR_LEAD_DRAWING) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the hubs draw the set");
    }
    if (lead->state != MR_LEAD_OPEN) {
        return mr_refuse(refusal, MR_REFUSAL_CLOSED, "the round takes no more uploads");
    }
    return MR_REFUSAL_NONE;
}

/* Exactly one good receipt of every helper, in any order. */
static enum mr_refusal_code check_receipts(const struct mr_lead *lead, const uint8_t *client_id,
                                           const struct mr_upload_request *request,
                                           struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = lead_announcement(lead);
    unsigned seen = 1; /* bit per position; the lead gives no receipt */
    if (request->receipt_count != announcement->hub_count - 1u) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_RECEIPT, "%u receipts where %u are needed",
                         request->receipt_count, announcement->hub_count - 1u);
    }
    for (unsigned i = 0; i < request->receipt_count; i++) {
        const struct mr_receipt *receipt = &request->receipts[i];
        const int at = mr_announcement_hub(announcement, receipt->hub_index);
        if (at < 0 || seen >> at & 1) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_RECEIPT,
                             "a receipt of hub %u has no place here", receipt->hub_index);
        }
        seen |= 1u << at;
        const struct mr_key_scope scope = {.task = announcement->task,
                                           .announcement_hash = lead->terms.hash,
                                           .client_id = client_id,
                                           .hub_index = receipt->hub_index,
                                           .attempt = request->attempt};
        if (!mr_receipt_mac_holds(receipt, &scope, lead->receipt_keys[at])) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_RECEIPT, "the receipt of hub %u does not hold",
                             receipt->hub_index);
        }
    }
    return MR_REFUSAL_NONE;
}

static enum mr_refusal_code check_request(const struct mr_lead *lead, uint64_t round,
                                          const uint8_t *client_id,
                                          const struct mr_upload_request *request,
                                          struct mr_refusal *refusal)
{
    if (check_state(lead, round, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    if (memcmp(request->announcement_hash, lead->terms.hash, MR_HASH_BYTES) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "the request names another announcement of round %llu",
                         (unsigned long long)round);
    }
    if (request->attempt >= MR_ATTEMPTS_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_ATTEMPT, "attempts are 0 to %d",
                         MR_ATTEMPTS_MAX - 1);
    }
    if (!lead->ops->may_count(lead->context, client_id, refusal)) {
        return refusal->code;
    }
    return check_receipts(lead, client_id, request, refusal);
}

/* Not durable yet: whether it counts is known in a moment, and not before. */
static enum mr_refusal_code staged(const struct mr_device *device, struct mr_refusal *refusal)
{
    return mr_refuse(refusal, MR_REFUSAL_BUSY, "attempt %u of this device is being committed",
                     device->attempt);
}

/* A device that has an upload already: only a later attempt, and none once it is counted. */
static enum mr_refusal_code check_device(const struct mr_device *device, uint32_t attempt,
                                         struct mr_refusal *refusal)
{
    if (device->state == MR_UPLOAD_COMMITTED) {
        return mr_refuse(refusal, MR_REFUSAL_ALREADY_COUNTED,
                         "attempt %u of this device is counted", device->attempt);
    }
    if (device->state == MR_UPLOAD_STAGED) {
        return staged(device, refusal);
    }
    if (device->state != 0 && attempt <= device->attempt) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_ATTEMPT, "attempt %u was used; the next is %u",
                         attempt, device->attempt + 1);
    }
    if (device->pending) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "another attempt is being admitted");
    }
    return MR_REFUSAL_NONE;
}

static void refuse(struct mr_lead *lead, void *token, const struct mr_refusal *refusal)
{
    lead->ops->refused(lead->context, token, refusal);
}

/* Takes a slot for the attempt and answers the token either way. */
static void grant(struct mr_lead *lead, struct mr_device *device,
                  const struct mr_admission *admission, const struct mr_serial *serial, void *token)
{
    struct mr_upload_grant given;
    struct mr_refusal refusal;
    if (lead->ops->plane_admit(lead->context, admission, &given) != 0) {
        mr_refuse(&refusal, MR_REFUSAL_BUSY, "every upload slot is taken");
        refuse(lead, token, &refusal);
        return;
    }
    const bool first = device->state == 0;
    if (mr_registry_grant(&lead->registry, device, given.upload_id) != 0) {
        lead->ops->plane_revoke(lead->context, given.upload_id, MR_REASON_SUPERSEDED);
        mr_refuse(&refusal, MR_REFUSAL_BUSY, "no memory for another upload");
        refuse(lead, token, &refusal);
        return;
    }
    device->attempt = admission->attempt;
    device->transport = admission->transport;
    device->serial = *serial;
    device->state = MR_UPLOAD_RECEIVING;
    device->reason = MR_REASON_NONE;
    lead->admitted_count += first;
    lead->ops->admitted(lead->context, token, &given);
    if (first) {
        lead->ops->round_changed(lead->context);
    }
}

void mr_lead_admit(struct mr_lead *lead, const struct mr_applicant *applicant, uint64_t now_ms)
{
    const struct mr_upload_request *request = applicant->request;
    void *const token = applicant->token;
    struct mr_refusal refusal;
    if (check_request(lead, applicant->round, applicant->client_id, request, &refusal) !=
            MR_REFUSAL_NONE ||
        (mr_lead_registers(lead) &&
         mr_lead_register(lead, applicant, now_ms, &refusal) != MR_REFUSAL_NONE) ||
        mr_lead_check_drawn(lead, applicant->client_id, &refusal) != MR_REFUSAL_NONE) {
        refuse(lead, token, &refusal);
        return;
    }
    const struct mr_admission admission = {
        .attempt = request->attempt,
        .transport = request->transport,
        .count_lane = mr_receipts_count_lane(request->receipts, request->receipt_count),
        .keys = applicant->keys,
    };
    struct mr_device *device = mr_registry_client(&lead->registry, applicant->client_id);
    if (device && check_device(device, request->attempt, &refusal) != MR_REFUSAL_NONE) {
        refuse(lead, token, &refusal);
        return;
    }
    if (device && device->state == MR_UPLOAD_RECEIVING) {
        device->pending = mr_pending_new(token, &admission, applicant->serial);
        if (device->pending) {
            lead->ops->plane_revoke(lead->context, device->upload_id, MR_REASON_SUPERSEDED);
            return;
        }
    }
    if (!device) {
        device = mr_registry_add(&lead->registry, applicant->client_id);
    }
    if (!device || device->state == MR_UPLOAD_RECEIVING) {
        mr_refuse(&refusal, MR_REFUSAL_BUSY, "the round has all the devices it can hold");
        refuse(lead, token, &refusal);
        return;
    }
    grant(lead, device, &admission, applicant->serial, token);
}

/* Ends an upload of which nothing will be folded. */
static void end_upload(struct mr_lead *lead, struct mr_device *device, enum mr_upload_reason reason)
{
    device->state = MR_UPLOAD_REFUSED;
    device->reason = reason;
    lead->ops->upload_changed(lead->context, device->upload_id);
}

static struct mr_device *live_device(const struct mr_lead *lead, uint64_t upload_id)
{
    struct mr_device *device = mr_registry_upload(&lead->registry, upload_id);
    return device && device->upload_id == upload_id ? device : NULL;
}

void mr_lead_revoked(struct mr_lead *lead, uint64_t upload_id, bool revoked, uint64_t now_ms)
{
    (void)now_ms;
    struct mr_device *device = live_device(lead, upload_id);
    if (!device) {
        return;
    }
    if (revoked && device->state == MR_UPLOAD_RECEIVING) {
        end_upload(lead, device, MR_REASON_SUPERSEDED);
    }
    struct mr_pending *pending = device->pending;
    device->pending = NULL;
    if (pending && lead->ops->revoked && lead->ops->revoked(lead->context, &pending->serial)) {
        struct mr_refusal refusal;
        mr_refuse(&refusal, MR_REFUSAL_REVOKED, "the certificate was revoked in the meantime");
        refuse(lead, pending->token, &refusal);
    } else if (pending && (revoked || device->state == MR_UPLOAD_REFUSED)) {
        grant(lead, device, &pending->admission, &pending->serial, pending->token);
    } else if (pending) {
        struct mr_refusal refusal;
        staged(device, &refusal);
        refuse(lead, pending->token, &refusal);
    }
    mr_pending_free(pending);
}

void mr_lead_revocation(struct mr_lead *lead)
{
    for (uint32_t i = 0; lead->ops->revoked && i < lead->registry.count; i++) {
        const struct mr_device *device = &lead->registry.devices[i];
        if (device->state == MR_UPLOAD_RECEIVING &&
            lead->ops->revoked(lead->context, &device->serial)) {
            lead->ops->plane_revoke(lead->context, device->upload_id, MR_REASON_SUPERSEDED);
        }
    }
}

void mr_lead_expired(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms)
{
    (void)now_ms;
    struct mr_device *device = live_device(lead, upload_id);
    if (device && device->state == MR_UPLOAD_RECEIVING) {
        end_upload(lead, device, MR_REASON_IDLE);
    }
}

void mr_lead_unsound(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms)
{
    (void)now_ms;
    struct mr_device *device = live_device(lead, upload_id);
    if (device && device->state == MR_UPLOAD_RECEIVING) {
        lead->unsound_count++;
        end_upload(lead, device, MR_REASON_UNSOUND);
        lead->ops->round_changed(lead->context);
    }
}

void mr_lead_refuse_waiting(struct mr_lead *lead, enum mr_refusal_code code, const char *text)
{
    struct mr_refusal refusal;
    mr_refuse(&refusal, code, "%s", text);
    for (uint32_t i = 0; i < lead->registry.count; i++) {
        struct mr_pending *pending = lead->registry.devices[i].pending;
        lead->registry.devices[i].pending = NULL;
        if (pending) {
            refuse(lead, pending->token, &refusal);
        }
        mr_pending_free(pending);
    }
}

void mr_lead_end_uploads(struct mr_lead *lead, enum mr_upload_reason reason)
{
    for (uint32_t i = 0; i < lead->registry.count; i++) {
        struct mr_device *device = &lead->registry.devices[i];
        const bool receiving = device->state == MR_UPLOAD_RECEIVING;
        const bool staged = device->state == MR_UPLOAD_STAGED;
        if (receiving || (staged && reason == MR_REASON_VOID)) {
            end_upload(lead, device, reason);
        }
    }
}

enum mr_upload_reason mr_lead_forgotten(const struct mr_lead *lead)
{
    if (!lead->recovered || lead->ending || lead->state < MR_LEAD_COMMITTING) {
        return MR_REASON_NONE;
    }
    return lead->state == MR_LEAD_VOID ? MR_REASON_VOID : MR_REASON_CLOSED;
}

static const struct mr_registry *registry_of(const struct mr_lead *lead, uint64_t round)
{
    if (lead->round_known && round == lead_announcement(lead)->round) {
        return &lead->registry;
    }
    return round != 0 && round == lead->previous_round ? &lead->previous : NULL;
}

enum mr_refusal_code mr_lead_upload_status(const struct mr_lead *lead, uint64_t round,
                                           const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                           uint64_t upload_id, struct mr_upload_status *status,
                                           struct mr_refusal *refusal)
{
    const struct mr_registry *registry = registry_of(lead, round);
    if (!registry) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND,
                         "round %llu is not the current one nor the one before",
                         (unsigned long long)round);
    }
    const struct mr_device *device = mr_registry_upload(registry, upload_id);
    const enum mr_upload_reason forgotten =
        registry == &lead->previous ? lead->previous_forgotten : mr_lead_forgotten(lead);
    if (!device && forgotten != MR_REASON_NONE) {
        *status = (struct mr_upload_status){MR_UPLOAD_REFUSED, forgotten};
        return MR_REFUSAL_NONE;
    }
    if (!device || memcmp(device->client_id, client_id, MR_CLIENT_ID_BYTES) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_NOT_FOUND, "this device has no such upload");
    }
    if (device->upload_id != upload_id) {
        *status = (struct mr_upload_status){MR_UPLOAD_REFUSED, MR_REASON_SUPERSEDED};
    } else {
        *status = (struct mr_upload_status){device->state, device->reason};
    }
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_lead_may_put(const struct mr_lead *lead, uint64_t round,
                                     const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                     uint64_t upload_id, struct mr_refusal *refusal)
{
    struct mr_upload_status status = {0};
    if (check_state(lead, round, refusal) != MR_REFUSAL_NONE ||
        mr_lead_upload_status(lead, round, client_id, upload_id, &status, refusal) !=
            MR_REFUSAL_NONE) {
        return refusal->code;
    }
    if (status.state == MR_UPLOAD_STAGED || status.state == MR_UPLOAD_COMMITTED) {
        return mr_refuse(refusal, MR_REFUSAL_ALREADY_COUNTED, "the share is here");
    }
    if (status.state != MR_UPLOAD_RECEIVING) {
        const bool superseded = status.reason == MR_REASON_SUPERSEDED;
        return mr_refuse(refusal, superseded ? MR_REFUSAL_SUPERSEDED : MR_REFUSAL_CLOSED,
                         "the upload was ended: %s", mr_upload_reason_name(status.reason));
    }
    if (mr_registry_upload(&lead->registry, upload_id)->transport != MR_TRANSPORT_HTTP2) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "the upload was granted for UDP, not for HTTP/2");
    }
    return MR_REFUSAL_NONE;
}
