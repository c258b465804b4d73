#include "tests/unit/appliance/model/next_model_scene.h"

#include "wire/safetensors.h"

static void terms_of(struct mr_round_terms *terms, uint8_t ring_bits, uint8_t rotation_log2)
{
    struct mr_error error;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_announcement announcement = {
        .round = 3,
        .task = "default",
        .deadline_unix_ms = 1,
        .dimension = D,
        .ring_bits = ring_bits,
        .rotation_log2 = rotation_log2,
        .chunk_bytes = 1408,
        .cohort_min = 2,
        .headroom = 4,
        .seal = MR_SEAL_HPKE,
        .cohort_max = ring_bits < 16 ? COUNT : 60,
        .weight_max = 50,
        .scale = 800.0f,
        .clip_norm = 1.0f,
        .step_max = 1e6f,
        .optimiser = {.learning_rate = 0.5f},
        .hub_count = 2,
        .hubs = {{.index = 0, .public_key = {1}, .name = "a"},
                 {.index = 1, .public_key = {2}, .name = "b"}},
        .rotation_seed = {7},
    };
    announcement.levels = mr_quantiser_levels(ring_bits, announcement.cohort_max, 4);
    const size_t length = mr_announcement_encode(bytes, &announcement);
    assert_int_equal(mr_round_terms_decode(terms, bytes, length, &error), 0);
}

/* What a device does: weigh (done), rotate, scale, round to nearest. */
static void quantise(int8_t *q, const struct scene *scene, unsigned device)
{
    const struct mr_layout *layout = &scene->terms.layout;
    const struct mr_announcement *announcement = &scene->terms.announcement;
    float *x = calloc(layout->lanes, sizeof *x);
    memcpy(x, scene->values[device], sizeof scene->values[device]);
    if (announcement->rotation_log2) {
        struct mr_mask_stream signs;
        uint8_t *bits = malloc(layout->lanes / 8);
        assert_int_equal(
            mr_rotation_derive(&signs, announcement->rotation_seed, announcement->round), 0);
        scene->kernels->mask_expand(bits, &signs, 0, layout->lanes / 8);
        scene->kernels->flip_signs(x, bits, layout->lanes);
        scene->kernels->hadamard(x, layout->lanes, layout->rotation_block);
        free(bits);
    }
    for (uint32_t i = 0; i < layout->lanes; i++) {
        q[i] = (int8_t)lrintf(x[i] * announcement->scale);
    }
    free(x);
}

static void fill_results(struct scene *scene)
{
    const struct mr_layout *layout = &scene->terms.layout;
    struct mr_vector_sum lead = {.lanes = aligned_alloc(64, layout->lanes * 4)};
    struct mr_vector_sum helper = {.lanes = aligned_alloc(64, layout->lanes * 4)};
    uint8_t *share = aligned_alloc(64, (layout->share_bytes + 63) / 64 * 64);
    int8_t *q = malloc(layout->lanes);
    mr_sum_zero(&lead, layout);
    mr_sum_zero(&helper, layout);
    for (unsigned i = 0; i < COUNT; i++) {
        const uint8_t seed[MR_SEED_BYTES] = {(uint8_t)i}, client[16] = {(uint8_t)i};
        const struct mr_key_scope scope = {"default", scene->terms.hash, client, 1, 0};
        const uint32_t trailer[MR_TRAILER_LANES] = {1, scene->weights[i], 10, 2500, 300, i};
        const uint8_t *const shares[1] = {share};
        struct mr_mask_stream mask;
        mr_mask_derive(&mask, seed, &scope);
        quantise(q, scene, i);
        mr_share_lift(share, layout, q, trailer, scene->kernels);
        mr_share_mask(share, layout, &mask, scene->kernels);
        mr_sum_fold(&lead, layout, shares, 1, scene->kernels);
        mr_sum_mask(&helper, layout, &mask, scene->kernels);
    }
    mr_sum_pack(scene->results[0], layout, &lead, scene->kernels);
    mr_sum_pack(scene->results[1], layout, &helper, scene->kernels);
    free(q);
    free(share);
    free(lead.lanes);
    free(helper.lanes);
}

struct scene *make(uint8_t ring_bits, uint8_t rotation_log2)
{
    struct scene *scene = calloc(1, sizeof *scene);
    const struct mr_tensor tensor = {.name = "w", .dims = {D}, .rank = 1, .count = D};
    terms_of(&scene->terms, ring_bits, rotation_log2);
    scene->kernels = mr_kernels_select(UINT32_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        scene->weights[i] = 10 * (i + 1);
        for (unsigned k = 0; k < D; k++) {
            scene->values[i][k] = 0.03f * sinf((float)(k * (i + 1))) * scene->weights[i] / 50.0f;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        scene->results[i] = aligned_alloc(64, (scene->terms.layout.share_bytes + 63) / 64 * 64);
    }
    uint8_t *header = mr_safetensors_header(&tensor, 1, &scene->header);
    scene->model_bytes = scene->header + 4 * D;
    scene->model = realloc(header, scene->model_bytes);
    for (unsigned k = 0; k < D; k++) {
        const float value = (float)k / D;
        memcpy(scene->model + scene->header + 4 * k, &value, 4);
    }
    fill_results(scene);
    return scene;
}

void destroy(struct scene *scene)
{
    free(scene->results[0]);
    free(scene->results[1]);
    free(scene->model);
    free(scene);
}

int reveal(struct scene *scene, uint32_t count, const struct mr_kernels *kernels,
           struct mr_next_model_answer *answer, struct mr_error *error)
{
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = count,
        .parent = scene->model,
        .parent_bytes = scene->model_bytes,
        .kernels = kernels,
    };
    return mr_next_model(answer, &question, error);
}
