/* parties_device.c - what devices do, and what tests look at. */
#include <stdlib.h>

#include "parties_internal.h"

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

void world_receipts(struct world *world, unsigned device, uint32_t attempt,
                    struct mr_upload_request *request)
{
    *request = (struct mr_upload_request){.attempt = attempt, .transport = MR_TRANSPORT_UDP};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        struct mr_seed_request seed = {.attempt = attempt};
        struct reply reply = {.done = false};
        struct mr_error error;
        memcpy(seed.announcement_hash, world->terms.hash, MR_HASH_BYTES);
        world_seed(seed.seed, device, attempt, i);
        mr_helper_seed(world->helpers[i].core, world->terms.announcement.round,
                       world->devices[device].client_id, &world->devices[device].serial, &seed,
                       &reply);
        world_run(world);
        assert_true(reply.done);
        assert_int_equal(reply.code, MR_REFUSAL_NONE);
        assert_int_equal(mr_receipt_decode(&request->receipts[request->receipt_count++],
                                           (char *)reply.body, reply.length, &error),
                         0);
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
    world_find_upload(world, reply.grant.upload_id)->device = device;
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
    assert_int_equal(mr_commitment_sign(&commitment, world->terms.hash, world->private_keys[0]), 0);
    mr_commitment_encode(out + length, &commitment);
    return length + MR_COMMITMENT_BYTES;
}

static uint32_t lane_of(const uint8_t *packed, unsigned ring_bits, size_t lane)
{
    uint32_t value = 0;
    memcpy(&value, packed + lane * (ring_bits / 8), ring_bits / 8);
    return value;
}

void world_check_sum(struct world *world, uint32_t members, const uint8_t *packed)
{
    const struct mr_layout *layout = &world->terms.layout;
    const uint32_t mask = layout->ring_bits == 32 ? UINT32_MAX : (1u << layout->ring_bits) - 1;
    for (size_t lane = 0; lane < layout->lanes; lane++) {
        int32_t sum = 0;
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].q[lane] : 0;
        }
        assert_int_equal(lane_of(packed, layout->ring_bits, lane), (uint32_t)sum & mask);
    }
    for (unsigned lane = 0; lane < MR_TRAILER_LANES; lane++) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].trailer[lane] : 0;
        }
        assert_int_equal(lane_of(packed + layout->main_bytes, 32, lane), sum);
    }
}
