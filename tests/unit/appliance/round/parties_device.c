/* parties_device.c - what devices do, and what tests look at. */
#include <stdlib.h>

#include "parties_internal.h"
#include "tests/unit/wire/pair.h"

bool world_revoked(const struct world *world, unsigned hub, const struct mr_serial *serial)
{
    const unsigned number = serial->bytes[MR_SERIAL_BYTES - 1];
    assert_in_range(number, 1, WORLD_DEVICES); /* everybody came with a certificate */
    return (world->list_at >> hub & 1) && (world->taken_back >> (number - 1) & 1);
}

void world_seed(uint8_t seed[MR_SEED_BYTES], unsigned device, uint32_t attempt, unsigned helper)
{
    for (unsigned i = 0; i < MR_SEED_BYTES; i++) {
        seed[i] = (uint8_t)(i + 1 + 7 * device + 31 * attempt + 101 * helper);
    }
}

static struct mr_key_scope scope_of(const struct world *world, unsigned device, uint32_t attempt,
                                    unsigned helper)
{
    return (struct mr_key_scope){.task = world->terms.announcement.task,
                                 .announcement_hash = world->terms.hash,
                                 .client_id = world->devices[device].client_id,
                                 .hub_index = world->hubs[helper].index,
                                 .attempt = attempt};
}

void world_seed_request(struct world *world, unsigned device, uint32_t attempt, unsigned helper,
                        struct mr_seed_request *request)
{
    static const uint8_t none[MR_SEAL_KEY_BYTES];
    const struct mr_key_scope scope = scope_of(world, device, attempt, helper);
    uint8_t seed[MR_SEED_BYTES], ephemeral[MR_HPKE_KEY_BYTES];
    *request = (struct mr_seed_request){.attempt = attempt};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    if (memcmp(world->terms.seal_keys[helper], none, sizeof none) == 0) {
        return;
    }
    world_seed(seed, device, attempt, helper);
    memset(ephemeral, (int)(1 + device), sizeof ephemeral);
    assert_int_equal(mr_seed_seal(request, seed, &scope, world->terms.seal_keys[helper], ephemeral),
                     0);
}

void world_take_receipt(struct world *world, unsigned device, uint32_t attempt, unsigned helper,
                        const struct reply *reply, struct mr_receipt *receipt)
{
    const struct mr_key_scope scope = scope_of(world, device, attempt, helper);
    struct mr_seed_request request;
    uint8_t seed[MR_SEED_BYTES], sealed_hash[MR_HASH_BYTES];
    struct mr_receipt said;
    struct mr_error error;
    world_seed(seed, device, attempt, helper);
    world_seed_request(world, device, attempt, helper, &request);
    assert_int_equal(mr_sealed_hash(sealed_hash, &request), 0);
    assert_int_equal(mr_receipt_fill(receipt, seed, sealed_hash, &scope, &world->terms.layout), 0);
    said = *receipt;
    assert_int_equal(mr_receipt_answer_decode(&said, reply->body, reply->length, &error), 0);
    assert_true(mr_receipt_proves(&said, receipt));
    uint8_t key[MR_RECEIPT_KEY_BYTES];
    assert_int_equal(mr_receipt_key(key, world->terms.hash, world->private_keys[helper]), 0);
    assert_true(mr_receipt_mac_holds(&said, &scope, key));
    *receipt = said;
}

void world_receipts(struct world *world, unsigned device, uint32_t attempt,
                    struct mr_upload_request *request)
{
    *request = (struct mr_upload_request){.attempt = attempt, .transport = MR_TRANSPORT_UDP};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        struct mr_seed_request seed;
        struct reply reply = {.done = false};
        world_seed_request(world, device, attempt, i, &seed);
        mr_helper_seed(world->helpers[i].core, world->terms.announcement.round,
                       world->devices[device].client_id, &world->devices[device].serial, &seed,
                       &reply);
        world_run(world);
        assert_true(reply.done);
        assert_int_equal(reply.code, MR_REFUSAL_NONE);
        world_take_receipt(world, device, attempt, i, &reply,
                           &request->receipts[request->receipt_count++]);
        reply_fini(&reply);
    }
}

void world_admit(struct world *world, unsigned device, const struct mr_upload_request *request,
                 struct reply *reply)
{
    const struct mr_upload_keys keys = {.up = {.key = {1}}};
    const struct mr_applicant applicant = {.round = world->terms.announcement.round,
                                           .client_id = world->devices[device].client_id,
                                           .serial = &world->devices[device].serial,
                                           .request = request,
                                           .keys = &keys,
                                           .token = reply};
    mr_lead_admit(world->lead, &applicant, world->now_ms);
}

void world_join(struct world *world, unsigned device, uint32_t attempt)
{
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_receipts(world, device, attempt, &request);
    world_admit(world, device, &request, &reply);
    world_run(world);
    assert_true(reply.done);
    assert_string_equal(reply.text, "");
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    world->devices[device].attempt = attempt;
    world->devices[device].upload_id = reply.grant.upload_id;
    struct world_upload *upload = world_find_upload(world, reply.grant.upload_id);
    upload->device = device;
    assert_int_equal(upload->count_lane,
                     mr_receipts_count_lane(request.receipts, request.receipt_count));
    reply_fini(&reply);
}

void world_stage(struct world *world, unsigned device)
{
    struct world_upload *upload = world_find_upload(world, world->devices[device].upload_id);
    assert_int_equal(upload->state, UPLOAD_LIVE);
    upload->state = UPLOAD_STAGED;
    world_plane_tell(world, MR_PLANE_STAGED, upload->id);
    world_run(world);
}

void world_fill(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world_join(world, i, 0);
    }
    for (unsigned i = 0; i < count; i++) {
        world_stage(world, i);
    }
}

struct mr_upload_status world_status(struct world *world, unsigned device, uint64_t upload_id)
{
    struct mr_upload_status status;
    struct mr_refusal refusal;
    assert_int_equal(mr_lead_upload_status(world->lead, world->terms.announcement.round,
                                           world->devices[device].client_id, upload_id, &status,
                                           &refusal),
                     MR_REFUSAL_NONE);
    return status;
}

enum mr_lead_state world_state(struct world *world, struct mr_lead_report *report)
{
    struct mr_lead_report own;
    mr_lead_report(world->lead, report ? report : &own);
    return report ? report->state : own.state;
}

enum mr_helper_state world_helper_state(struct world *world, unsigned helper)
{
    struct mr_helper_report report;
    mr_helper_report(world->helpers[helper].core, &report);
    return report.state;
}

size_t world_freeze_body(struct world *world, uint8_t *out, const unsigned *devices, unsigned count,
                         uint8_t commitment_fill)
{
    struct mr_included entries[WORLD_DEVICES];
    struct mr_commitment commitment = {.hub_index = world->hubs[0].index};
    for (unsigned i = 0; i < count; i++) {
        memcpy(entries[i].client_id, world->devices[devices[i]].client_id, MR_CLIENT_ID_BYTES);
        entries[i].attempt = world->devices[devices[i]].attempt;
    }
    mr_included_sort(entries, count);
    const size_t length = mr_included_encode(out, entries, count);
    memset(commitment.value, commitment_fill, sizeof commitment.value);
    assert_int_equal(
        mr_commitment_sign(&commitment, world->terms.hash, PAIR_OF(world->private_keys[0])), 0);
    mr_commitment_encode(out + length, &commitment);
    return length + MR_COMMITMENT_BYTES;
}

static uint32_t lane_of(const uint8_t *packed, unsigned ring_bits, size_t lane)
{
    return mr_ring_read(packed, (uint8_t)ring_bits, (uint32_t)lane);
}

/* What all hubs have added to a sum of these devices, as share bytes; zeros without noise. */
static uint8_t *noise_of(const struct world *world, uint32_t members)
{
    struct mr_included entries[WORLD_DEVICES];
    uint32_t count = 0;
    uint8_t *noise = aligned_alloc(64, (size_t)(world->terms.layout.share_bytes + 63) / 64 * 64);
    assert_non_null(noise);
    memset(noise, 0, (size_t)world->terms.layout.share_bytes);
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        if (members >> i & 1) {
            memcpy(entries[count].client_id, world->devices[i].client_id, MR_CLIENT_ID_BYTES);
            entries[count++].attempt = world->devices[i].attempt;
        }
    }
    for (unsigned i = 0; i < world->options.hubs; i++) {
        const struct mr_hub_noise own = world_noise(world, i);
        assert_int_equal(mr_sum_noised(noise, &own, entries, count, world->kernels, NULL), 0);
    }
    return noise;
}

void world_check_sum(struct world *world, uint32_t members, const uint8_t *packed)
{
    const struct mr_layout *layout = &world->terms.layout;
    const uint32_t mask = layout->ring_bits == 32 ? UINT32_MAX : (1u << layout->ring_bits) - 1;
    uint8_t *noise = noise_of(world, members);
    for (size_t lane = 0; lane < layout->lanes; lane++) {
        int32_t sum = (int32_t)lane_of(noise, layout->ring_bits, lane);
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].q[lane] : 0;
        }
        assert_int_equal(lane_of(packed, layout->ring_bits, lane), (uint32_t)sum & mask);
    }
    for (unsigned lane = 0; lane < MR_TRAILER_LANES; lane++) {
        uint32_t sum = lane_of(noise + layout->main_bytes, 32, lane);
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].trailer[lane] : 0;
        }
        assert_int_equal(lane_of(packed + layout->main_bytes, 32, lane), sum);
    }
    free(noise);
}
