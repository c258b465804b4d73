#include "tests/unit/edge-client/fake_routes.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/edge-client/check.h"
#include "base/bytes.h"
#include "wire/exchange.h"

#define UPLOAD_ID 0xabcd000000000001u

static const uint8_t client_id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

void fake_exporter(uint8_t secret[MR_CONNECTION_SECRET_BYTES], unsigned connection)
{
    uint8_t bytes[4];
    mr_be32_put(bytes, connection);
    EVP_Digest(bytes, sizeof bytes, secret, NULL, EVP_sha256(), NULL);
}

static struct mr_key_scope scope_of(const struct fake *fake, uint16_t hub, uint32_t attempt)
{
    return (struct mr_key_scope){fake->announcement.task, fake->terms.hash, client_id, hub,
                                 attempt};
}

static int answer(struct mr_h2_response *response, int status, const void *body, size_t length)
{
    response->status = status;
    response->body = malloc(length + 1);
    CHECK(response->body);
    if (length) {
        memcpy(response->body, body, length);
    }
    response->body[length] = 0;
    response->length = length;
    return MR_H2_OK;
}

static int answer_text(struct mr_h2_response *response, int status, char *text)
{
    CHECK(text);
    answer(response, status, text, strlen(text));
    free(text);
    return MR_H2_OK;
}

static int refuse(struct mr_h2_response *response, const char *code, uint32_t retry_after_ms)
{
    struct mr_refusal refusal = {.text = "as the test asked", .retry_after_ms = retry_after_ms};
    refusal.code = mr_refusal_code_of(code);
    snprintf(refusal.name, sizeof refusal.name, "%s", code);
    int status = refusal.code == MR_REFUSAL_UNKNOWN ? 400 : mr_refusal_status(refusal.code);
    return answer_text(response, status, mr_refusal_encode(&refusal));
}

/* Whether this question is refused for now; one less of them is to come. */
static bool is_busy(struct fake *fake, unsigned *times, unsigned hub,
                    struct mr_h2_response *response)
{
    if (!*times) {
        return false;
    }
    --*times;
    fake->quiet_until_us[hub] = fake->now_us + (uint64_t)fake->busy_ms * 1000;
    refuse(response, fake->busy_code, fake->busy_ms);
    return true;
}

static int lost_connection(struct mr_error *error)
{
    mr_error_set(error, "the connection was lost");
    return MR_H2_BROKEN;
}

/* --- lead ------------------------------------------------------------------------------------ */

static int current(struct fake *fake, const char *path, struct mr_h2_response *response)
{
    uint64_t after;
    unsigned wait_ms;
    if (is_busy(fake, &fake->busy_currents, 0, response)) {
        return MR_H2_OK;
    }
    CHECK(sscanf(path, "/v1/tasks/default/rounds/current?after=%" SCNu64 "&wait_ms=%u", &after,
                 &wait_ms) == 2);
    if (after >= fake->announcement.round) {
        fake->now_us += (uint64_t)wait_ms * 1000;
        return answer(response, 204, NULL, 0);
    }
    const uint64_t now_ms = fake_hubs_ms(fake), deadline_ms = fake->announcement.deadline_unix_ms;
    const int failure = answer(response, 200, fake->envelope, fake->envelope_bytes);
    response->has_time_left = fake->tells_time_left;
    response->time_left_ms = fake->time_left_ms     ? fake->time_left_ms
                             : deadline_ms > now_ms ? deadline_ms - now_ms
                                                    : 0;
    return failure;
}

/* A round that was given up, and what the hub signs of it. */
static int statement(struct fake *fake, unsigned hub, uint64_t round,
                     struct mr_h2_response *response)
{
    struct mr_round_end end = {
        .state = MR_ROUND_VOID, .reason = "below cohort minimum", .unopened = true};
    CHECK(round < FAKE_ROUNDS);
    CHECK(!mr_unopened_sign(end.signature, fake->hashes[round], fake->private_keys[hub]));
    if (fake->forge && fake->forge_hub == hub) {
        fake->forge(fake, round, end.signature);
    }
    return answer_text(response, 200, mr_round_end_encode(&end));
}

static int round_end(struct fake *fake, unsigned hub, const char *path,
                     struct mr_h2_response *response, struct mr_error *error)
{
    uint64_t round;
    unsigned wait_ms;
    CHECK(sscanf(path, "/v1/tasks/default/rounds/%" SCNu64 "?wait_ms=%u", &round, &wait_ms) == 2);
    fake->statements += round < fake->announcement.round;
    if (round < fake->announcement.round && fake->unopened >> hub & 1) {
        return fake->break_ends && fake->break_ends-- ? lost_connection(error)
                                                      : statement(fake, hub, round, response);
    }
    fake->ends += hub == 0;
    if (fake->break_ends) {
        fake->break_ends--;
        return lost_connection(error);
    }
    if (fake->refuse_end) {
        return refuse(response, fake->refuse_end, 0);
    }
    struct mr_round_end end = fake->end;
    if (fake->end_polls) {
        fake->end_polls--;
        fake->now_us += (uint64_t)wait_ms * 1000;
        end = (struct mr_round_end){.state = MR_ROUND_UNDER_WAY};
    }
    return answer_text(response, 200, mr_round_end_encode(&end));
}

static int model(struct fake *fake, const char *path, struct mr_h2_response *response,
                 struct mr_error *error)
{
    char hash[65];
    mr_hex_encode(hash, fake->announcement.model_hash, MR_HASH_BYTES);
    CHECK(strcmp(path + strlen("/v1/tasks/default/models/"), hash) == 0);
    fake->models_sent++;
    if (fake->break_models) {
        fake->break_models--;
        return lost_connection(error);
    }
    answer(response, 200, fake->model, fake->model_bytes);
    if (fake->corrupt_model) {
        response->body[fake->model_bytes - 1] ^= 1;
    }
    return MR_H2_OK;
}

/* Starts to receive an upload under the keys of the connection that asked. */
static void begin(struct fake *fake, unsigned connection, const struct mr_upload_request *request)
{
    uint8_t secret[MR_CONNECTION_SECRET_BYTES], ekm[MR_EKM_BYTES];
    struct mr_upload_keys keys;
    struct mr_key_scope scope = scope_of(fake, 4, request->attempt);
    fake_exporter(secret, connection);
    CHECK(!mr_upload_ekm(ekm, secret, &scope) && !mr_upload_keys_derive(&keys, ekm));
    if (fake->receiving) {
        receiver_fini(&fake->receiver);
    }
    receiver_init(&fake->receiver, &fake->terms.layout, UPLOAD_ID + request->attempt,
                  fake->announcement.round, request->attempt, &keys, 4);
    fake->receiving = true;
    fake->acks_due = 0;
    fake->state = MR_UPLOAD_RECEIVING;
    fake->last_attempt = request->attempt;
    fake->attempts++;
}

static int grant(struct fake *fake, unsigned connection, const void *body, size_t length,
                 struct mr_h2_response *response, struct mr_error *error)
{
    struct mr_upload_request request;
    CHECK(!mr_upload_request_decode(&request, body, length, error));
    CHECK(request.receipt_count == fake->hub_count - 1 && request.attempt < FAKE_ATTEMPTS);
    for (unsigned i = 0; i < request.receipt_count; i++) {
        struct mr_key_scope scope = scope_of(fake, (uint16_t)(5 + i), request.attempt);
        uint8_t key[MR_RECEIPT_KEY_BYTES];
        CHECK(!mr_receipt_key(key, fake->terms.hash, fake->private_keys[i + 1]));
        CHECK(mr_receipt_mac_holds(&request.receipts[i], &scope, key));
    }
    if (is_busy(fake, &fake->busy, 0, response)) {
        return MR_H2_OK;
    }
    if (fake->refuse_grant) {
        return refuse(response, fake->refuse_grant, 0);
    }
    if (fake->receiving && request.attempt <= fake->last_attempt) {
        return refuse(response, "bad_attempt", 0);
    }
    fake->grants++;
    CHECK(fake->last_connection != connection || fake->last_attempt != request.attempt);
    fake->last_connection = connection;
    begin(fake, connection, &request);
    fake->count_lane = mr_receipts_count_lane(request.receipts, request.receipt_count);
    if (fake->break_grants) {
        fake->break_grants--;
        return lost_connection(error);
    }
    struct mr_upload_grant given = {.upload_id = UPLOAD_ID + request.attempt, .window = 4};
    if (request.transport == MR_TRANSPORT_UDP) {
        snprintf(given.udp_host, sizeof given.udp_host, "%s",
                 fake->udp_host ? fake->udp_host : "127.0.0.1");
        given.udp_port = 9443;
    }
    return answer_text(response, 200, mr_upload_grant_encode(&given));
}

/* A lead that has just restarted knows nothing of an upload that it had not committed. */
static bool forgets(struct fake *fake)
{
    if (!fake->forget_uploads || !fake->receiving || fake->state == MR_UPLOAD_COMMITTED) {
        return false;
    }
    fake->forget_uploads--;
    fake->receiving = false;
    receiver_fini(&fake->receiver);
    return true;
}

void fake_settle(struct fake *fake)
{
    if (fake->receiving && fake->receiver.received == fake->terms.layout.chunks) {
        fake->state = MR_UPLOAD_STAGED;
    }
    if (fake->refuse_upload) {
        fake->state = MR_UPLOAD_REFUSED;
    }
    if (fake->state != MR_UPLOAD_STAGED) {
        return;
    }
    CHECK(mr_share_count(fake->receiver.share, &fake->terms.layout) == fake->count_lane);
    memcpy(fake->first_share[fake->last_attempt], fake->receiver.share, 64);
    if (fake->hold_staged) {
        return;
    }
    fake->state = MR_UPLOAD_COMMITTED;
    free(fake->committed);
    fake->committed = aligned_alloc(64, (fake->terms.layout.share_bytes + 63) / 64 * 64);
    memcpy(fake->committed, fake->receiver.share, fake->terms.layout.share_bytes);
    fake->committed_attempt = fake->last_attempt;
}

static int status(struct fake *fake, struct mr_h2_response *response, unsigned timeout_ms)
{
    struct mr_upload_status told = {.state = fake->state, .reason = MR_REASON_NONE};
    fake->statuses++;
    if (is_busy(fake, &fake->busy_statuses, 0, response)) {
        return MR_H2_OK;
    }
    if (forgets(fake)) {
        return refuse(response, "not_found", 0);
    }
    if (told.state == MR_UPLOAD_STAGED) {
        fake->now_us += (uint64_t)timeout_ms * 500;
    }
    fake_settle(fake);
    told.state = fake->state;
    if (told.state == MR_UPLOAD_REFUSED) {
        told.reason = fake->refuse_upload;
    }
    return answer_text(response, 200, mr_upload_status_encode(&told));
}

static int put(struct fake *fake, const void *body, size_t length, struct mr_h2_response *response,
               struct mr_error *error)
{
    struct mr_upload_status told = {.state = MR_UPLOAD_STAGED};
    if (is_busy(fake, &fake->busy_puts, 0, response)) {
        return MR_H2_OK;
    }
    CHECK(length == fake->terms.layout.share_bytes && fake->receiving);
    if (fake->receiver.received == fake->terms.layout.chunks) {
        CHECK(memcmp(fake->receiver.share, body, length) == 0); /* frozen */
        return refuse(response, "already_counted", 0);
    }
    memcpy(fake->receiver.share, body, length);
    fake->receiver.received = fake->terms.layout.chunks;
    fake->puts++;
    if (fake->break_puts) {
        fake->break_puts--;
        return lost_connection(error);
    }
    return answer_text(response, 202, mr_upload_status_encode(&told));
}

/* --- helper ---------------------------------------------------------------------------------- */

static int seed(struct fake *fake, unsigned hub, const void *body, size_t length,
                struct mr_h2_response *response, struct mr_error *error)
{
    struct mr_seed_request request;
    struct mr_receipt receipt;
    uint8_t seed[MR_SEED_BYTES], sealed_hash[MR_HASH_BYTES], bytes[MR_RECEIPT_ANSWER_BYTES];
    uint8_t key[MR_RECEIPT_KEY_BYTES];
    CHECK(!mr_seed_request_decode(&request, body, length, error));
    CHECK(memcmp(request.announcement_hash, fake->terms.hash, MR_HASH_BYTES) == 0);
    CHECK(request.attempt < FAKE_ATTEMPTS);
    if (is_busy(fake, &fake->busy_seeds, hub, response)) {
        return MR_H2_OK;
    }
    struct mr_seed_request *known = &fake->sealed[request.attempt][hub];
    if (fake->receipt_lost) {
        CHECK(memcmp(known, &request, sizeof request) == 0); /* the same bytes again */
    }
    fake->receipt_lost = fake->break_seeds > 0;
    *known = request;
    const struct mr_key_scope scope = scope_of(fake, (uint16_t)(4 + hub), request.attempt);
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    CHECK(kit && mr_seed_open(kit, seed, &request, &scope, &fake->seals[hub]) == MR_HPKE_OPEN);
    mr_hpke_kit_free(kit);
    memcpy(fake->seeds[request.attempt][hub], seed, MR_SEED_BYTES);
    fake->seeds_posted++;
    if (fake->break_seeds) {
        fake->break_seeds--;
        return lost_connection(error);
    }
    CHECK(!mr_receipt_key(key, fake->terms.hash, fake->private_keys[hub]));
    CHECK(!mr_sealed_hash(sealed_hash, &request));
    CHECK(!mr_receipt_fill(&receipt, seed, sealed_hash, &scope, &fake->terms.layout));
    receipt.count_mask += fake->other_masks;
    CHECK(!mr_receipt_mac_make(&receipt, &scope, key));
    if (fake->bad_receipts) {
        receipt.proof[MR_RECEIPT_MAC_BYTES - 1] ^= 1;
    }
    mr_receipt_answer_encode(bytes, &receipt);
    return answer(response, 200, bytes, sizeof bytes);
}

static int proof(struct fake *fake, unsigned hub, struct mr_h2_response *response)
{
    struct mr_audit_proof said;
    fake->proofs++;
    fake_prove(fake, hub, &said);
    return fake->forge_proof && fake->forge_proof(fake, hub, &said)
               ? refuse(response, "not_found", 0)
               : answer_text(response, 200, mr_audit_proof_encode(&said));
}

int fake_route(struct fake *fake, unsigned hub, unsigned connection,
               const struct mr_h2_request *request, struct mr_h2_response *response,
               struct mr_error *error)
{
    const char *path = request->path;
    const void *body = request->body;
    const size_t length = request->length;
    const bool get = strcmp(request->method, "GET") == 0;
    const bool post = strcmp(request->method, "POST") == 0;
    fake->impatient += fake->now_us < fake->quiet_until_us[hub];
    if (strstr(path, "/seed")) {
        CHECK(hub > 0 && post);
        return seed(fake, hub, body, length, response, error);
    }
    if (get && strstr(path, "/proof")) {
        return proof(fake, hub, response);
    }
    if (get && strncmp(path, "/v1/tasks/default/keys?after=", 29) == 0) {
        return answer(response, 204, NULL, 0);
    }
    const bool end = get && strncmp(path, "/v1/tasks/default/rounds/", 25) == 0 &&
                     !strstr(path, "/current") && !strstr(path, "/uploads");
    if (end) {
        return round_end(fake, hub, path, response, error);
    }
    CHECK(hub == 0);
    if (get && strncmp(path, "/v1/tasks/default/rounds/current", 32) == 0) {
        return current(fake, path, response);
    }
    if (get && strncmp(path, "/v1/tasks/default/models/", 25) == 0) {
        return model(fake, path, response, error);
    }
    CHECK(strstr(path, "/uploads"));
    if (post) {
        return grant(fake, connection, body, length, response, error);
    }
    return get ? status(fake, response, request->timeout_ms)
               : put(fake, body, length, response, error);
}
