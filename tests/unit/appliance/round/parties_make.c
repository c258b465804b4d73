/* parties_make.c - keys, model, terms, devices and cores of a world. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/announcement_privacy.h"
#include "wire/safetensors.h"
#include "parties_internal.h"

struct mr_noise_tables *world_noise_tables;

struct mr_hub_noise world_noise(const struct world *world, unsigned hub)
{
    return (struct mr_hub_noise){.tables = world_noise_tables,
                                 .terms = &world->terms,
                                 .hub_index = world->hubs[hub].index,
                                 .private_key = world->private_keys[hub]};
}

static void make_keys(struct world *world)
{
    for (unsigned i = 0; i < WORLD_HUBS; i++) {
        size_t length = 32;
        world_draw(world, world->private_keys[i], 32);
        EVP_PKEY *key =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, world->private_keys[i], 32);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, world->hubs[i].public_key, &length), 1);
        EVP_PKEY_free(key);
        world->hubs[i].index = (uint16_t)(LEAD_INDEX + i);
        snprintf(world->hubs[i].name, sizeof world->hubs[i].name, "hub-%u", i);
    }
}

static void make_model(struct world *world)
{
    const size_t d = world->options.dimension;
    const struct mr_tensor tensor = {
        .name = "weights", .dims = {(uint32_t)d}, .rank = 1, .offset = 0, .count = d};
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    assert_non_null(bytes);
    world->model_bytes = header + 4 * d;
    world->model = realloc(bytes, world->model_bytes);
    assert_non_null(world->model);
    for (size_t i = 0; i < d; i++) {
        const float value = (float)i / 64.0f - 1.0f;
        memcpy(world->model + header + 4 * i, &value, 4);
    }
    SHA256(world->model, world->model_bytes, world->model_hash);
}

/* So that the ring still holds it. */
static void add_noise(struct mr_announcement *announcement)
{
    struct mr_layout layout;
    announcement->noise_kind = MR_NOISE_HUB;
    announcement->scale = 50.0f;
    announcement->clip_norm = 100.0f;
    announcement->privacy = (struct mr_privacy_terms){.model_sigma2 = 10000,
                                                      .norms_sigma2 = 64,
                                                      .weight_sigma2 = 400,
                                                      .budget = MR_PRIVACY_RHO_MAX,
                                                      .delta = 1e-6f,
                                                      .pool = "ward"};
    assert_int_equal(mr_layout_init(&layout, announcement->ring_bits, announcement->dimension,
                                    announcement->rotation_log2, announcement->chunk_bytes),
                     0);
    announcement->privacy.rho = mr_announcement_rho(announcement, layout.lanes);
    assert_int_equal(mr_noise_tables_prepare(&world_noise_tables, announcement), 0);
}

static void make_terms(struct world *world)
{
    struct mr_announcement *announcement = &world->announcement;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_error error = {.text = ""};
    *announcement = (struct mr_announcement){
        .round = 7,
        .task = "default",
        .deadline_unix_ms = 1000000,
        .dimension = world->options.dimension,
        .ring_bits = world->options.ring_bits,
        .rotation_log2 = world->options.rotation_log2,
        .chunk_bytes = 1408,
        .cohort_min = world->options.cohort_min,
        .headroom = 4,
        .seal = MR_SEAL_HPKE,
        .cohort_max = world->options.cohort_max ? world->options.cohort_max : WORLD_DEVICES,
        .quorum = world->options.quorum_announced ? world->options.quorum : 0,
        .admitted_max = world->options.admitted_max,
        .weight_max = 100,
        .scale = 500.0f,
        .clip_norm = 100.0f,
        .step_max = 1e6f,
        .optimiser = {.learning_rate = 1},
        .hub_count = (uint8_t)world->options.hubs,
    };
    announcement->levels =
        mr_quantiser_levels(announcement->ring_bits, announcement->cohort_max, 4);
    memcpy(announcement->model_hash, world->model_hash, MR_HASH_BYTES);
    world_draw(world, announcement->rotation_seed, MR_HASH_BYTES);
    memcpy(announcement->hubs, world->hubs, world->options.hubs * sizeof world->hubs[0]);
    if (world->options.noised) {
        add_noise(announcement);
    }
    assert_int_equal(mr_announcement_check(announcement, &error), 0);
    const size_t length = mr_announcement_encode(bytes, announcement);
    assert_int_equal(mr_round_terms_decode(&world->terms, bytes, length, &error), 0);
}

static void make_devices(struct world *world)
{
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        struct world_device *device = &world->devices[i];
        world_draw(world, device->client_id, MR_CLIENT_ID_BYTES);
        device->serial.bytes[MR_SERIAL_BYTES - 1] = (uint8_t)(i + 1);
        device->q = malloc(world->terms.layout.lanes);
        assert_non_null(device->q);
        world_draw(world, (uint8_t *)device->q, world->terms.layout.lanes);
        for (uint32_t lane = 0; lane < world->terms.layout.lanes; lane++) {
            device->q[lane] = (int8_t)(device->q[lane] % (world->announcement.levels + 1));
        }
        device->trailer[MR_TRAILER_COUNT] = 1;
        device->trailer[MR_TRAILER_WEIGHT] = 10 + i;
        device->trailer[MR_TRAILER_EXAMPLES] = 100 * (i + 1);
    }
}

void world_new_lead(struct world *world)
{
    const struct mr_lead_config lead = {.index = world->hubs[0].index,
                                        .private_key = world->private_keys[0],
                                        .peer_timeout_ms = 5000,
                                        .commit_interval_ms = 300};
    const struct mr_lead_ops *ops = world->options.lead_ops;
    world->lead = mr_lead_new(&lead, ops ? ops : &world_lead_ops, world);
    assert_non_null(world->lead);
}

void world_new_helper(struct world *world, unsigned i)
{
    const struct mr_helper_config helper = {.task = "default",
                                            .index = world->hubs[i].index,
                                            .private_key = world->private_keys[i],
                                            .hubs = world->hubs,
                                            .hubs_count = world->options.hubs,
                                            .policy = {.cohort_min = 3,
                                                       .share_bytes_max = 1 << 20,
                                                       .lead_grace_ms = WORLD_GRACE_MS,
                                                       .deadline_ahead_ms = WORLD_AHEAD_MS}};
    world->helpers[i].world = world;
    world->helpers[i].asked = 0;
    const struct mr_helper_ops *ops = world->options.helper_ops;
    world->helpers[i].core =
        mr_helper_new(&helper, ops ? ops : &world_helper_ops, &world->helpers[i]);
    assert_non_null(world->helpers[i].core);
}

static void make_cores(struct world *world)
{
    world_new_lead(world);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        world_new_helper(world, i);
    }
}

struct world *world_open(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->options = *options;
    world->kernels = mr_kernels_select(MR_CPU_SCALAR);
    world->due_ms = UINT64_MAX;
    world->random = 42;
    world->now_ms = WORLD_BEGIN_MS;
    world->last = &world->first;
    make_keys(world);
    make_model(world);
    make_terms(world);
    make_devices(world);
    world->sum.lanes = aligned_alloc(64, (size_t)world->terms.layout.lanes * 4);
    world->packed = aligned_alloc(64, (size_t)(world->terms.layout.share_bytes + 63) / 64 * 64);
    assert_true(world->sum.lanes && world->packed);
    make_cores(world);
    return world;
}

void world_close(struct world *world)
{
    world_run(world);
    mr_lead_free(world->lead);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        mr_helper_free(world->helpers[i].core);
        free(world->helpers[i].journal);
    }
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        free(world->devices[i].q);
    }
    mr_next_model_answer_fini(&world->revealed);
    free(world->log);
    free(world->held.body);
    free(world->sum.lanes);
    free(world->packed);
    free(world->model);
    free(world);
}

enum mr_refusal_code world_begin(struct world *world, struct mr_refusal *refusal)
{
    struct mr_refusal own;
    const struct mr_lead_limits limits = {.quorum = world->options.quorum,
                                          .deadline_ms = world->options.deadline_ms,
                                          .draw_ms = world->options.draw_ms};
    const enum mr_refusal_code code = mr_lead_open(world->lead, &world->announcement, &limits,
                                                   world->now_ms, refusal ? refusal : &own);
    world_run(world);
    return code;
}
