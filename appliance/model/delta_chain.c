#include "appliance/model/delta_chain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/model/next_model.h"
#include "appliance/model/origin.h"
#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "wire/keys.h"

static int32_t lane_at(const struct mr_delta_sum *sum, uint32_t lane)
{
    const unsigned spare = 32u - sum->layout.ring_bits;
    const uint32_t value = mr_ring_read(sum->share, sum->layout.ring_bits, lane);
    return (int32_t)(value << spare) >> spare;
}

static void read_lanes(void *context, int32_t *out, uint32_t first, uint32_t count)
{
    const struct mr_delta_sum *sum = context;
    if (sum->layout.ring_bits == 16) { /* the usual ring: whole bytes, and no lane for itself */
        const uint8_t *from = sum->share + 2 * (size_t)first;
        for (uint32_t i = 0; i < count; i++) {
            out[i] = (int16_t)(from[2 * (size_t)i] | from[2 * (size_t)i + 1] << 8);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i] = lane_at(sum, first + i);
    }
}

static void read_levels(void *context, int32_t *out, uint32_t first, uint32_t count)
{
    const struct mr_delta_sum *sum = context;
    for (uint32_t i = 0; i < count; i++) {
        int16_t level;
        memcpy(&level, sum->taken.levels + sizeof level * (size_t)(first + i), sizeof level);
        out[i] = level;
    }
}

/* The levels in a state that a re-quantised round has left. */
static int take_state(struct mr_delta_sum *sum, const uint8_t *state, size_t bytes,
                      const struct mr_optimiser *optimiser)
{
    const uint32_t count = sum->layout.dimension;
    const size_t own = mr_optimiser_state_bytes(optimiser->kind, count);
    sum->state = state;
    if (!state || bytes < own || !mr_requantised_fits(state + own, bytes - own, count)) {
        return -1;
    }
    mr_requantised_read(&sum->taken, state + own);
    return sum->taken.lanes == sum->layout.lanes ? 0 : -1;
}

/* The state of a model that a re-quantised round has made. */
static int read_state(struct mr_delta_sum *sum, const struct mr_store *store,
                      const uint8_t model_hash[MR_HASH_BYTES], const struct mr_optimiser *optimiser)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *model = NULL, *state = NULL;
    size_t model_bytes = 0, bytes = 0;
    mr_store_model_path(path, store, model_hash, "safetensors");
    const bool read = mr_file_read(path, &model, &model_bytes, NULL) == 0 &&
                      mr_store_read_state(store, model, model_bytes, &state, &bytes, NULL) == 0;
    free(model);
    sum->read = state;
    return read ? take_state(sum, state, bytes, optimiser) : -1;
}

static int map_sum(struct mr_delta_sum *sum, const struct mr_store *store, uint64_t round)
{
    char path[MR_STORE_PATH_BYTES];
    struct stat about;
    mr_store_round_path(path, store, round, "sum");
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &about) == 0 && (uint64_t)about.st_size == sum->layout.share_bytes) {
        bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    sum->mapped = bytes == MAP_FAILED ? NULL : bytes;
    sum->share = sum->mapped;
    return sum->share ? 0 : -1;
}

void mr_delta_chain_drop(struct mr_delta_chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++) {
        free(chain->sums[i].read);
        if (chain->sums[i].mapped) {
            munmap(chain->sums[i].mapped, (size_t)chain->sums[i].layout.share_bytes);
        }
    }
    chain->count = 0;
}

static float sum_factor(const struct mr_round_terms *terms, const struct mr_delta_sum *sum)
{
    struct mr_vector_sum view = {.lanes = NULL};
    memcpy(view.trailer, sum->share + sum->layout.main_bytes,
           mr_layout_trailer_bytes(&sum->layout));
    return mr_next_model_factor(&terms->announcement, mr_opened_sum_weight(&view, terms));
}

static int describe(struct mr_delta_step *step, const struct mr_round_terms *terms,
                    const struct mr_delta_sum *sum)
{
    const struct mr_announcement *announcement = &terms->announcement;
    *step = (struct mr_delta_step){
        .factor = sum->state ? sum->taken.delta : sum_factor(terms, sum),
        .rotation_log2 = announcement->rotation_log2,
        .lanes = sum->layout.lanes,
    };
    if (announcement->rotation_log2 > 0) {
        struct mr_mask_stream signs;
        if (mr_rotation_derive(&signs, announcement->rotation_seed, announcement->round) != 0) {
            return -1;
        }
        memcpy(step->sign_key, signs.round_keys[0], sizeof step->sign_key);
        memcpy(step->sign_counter, signs.counter, sizeof step->sign_counter);
    }
    return 0;
}

/* The next place, for a round with these terms. NULL: there is none, or a device has no state to
 * repeat such a round with. */
static struct mr_delta_sum *add_sum(struct mr_delta_chain *chain,
                                    const struct mr_round_terms *terms)
{
    const struct mr_optimiser *optimiser = &terms->announcement.optimiser;
    if (chain->count == MR_DELTA_STEPS_MAX ||
        (mr_optimiser_has_state(optimiser) && optimiser->requantise == 0)) {
        return NULL;
    }
    struct mr_delta_sum *sum = &chain->sums[chain->count++];
    *sum = (struct mr_delta_sum){.layout = terms->layout};
    return sum;
}

/* The round that has made that model of the store. */
static int add_round(struct mr_delta_chain *chain, struct mr_delta_step *steps,
                     const struct mr_round_terms *terms, const struct mr_store *store,
                     const uint8_t model_hash[MR_HASH_BYTES])
{
    const struct mr_optimiser *optimiser = &terms->announcement.optimiser;
    struct mr_delta_sum *sum = add_sum(chain, terms);
    if (!sum) {
        return -1;
    }
    const int bad = optimiser->requantise ? read_state(sum, store, model_hash, optimiser)
                                          : map_sum(sum, store, terms->announcement.round);
    return bad ? -1 : describe(&steps[chain->count - 1], terms, sum);
}

/* The round that has just made the target. */
static int add_made(struct mr_delta_chain *chain, struct mr_delta_step *steps,
                    const struct mr_made_model *made)
{
    const struct mr_optimiser *optimiser = &made->terms.announcement.optimiser;
    struct mr_delta_sum *sum = add_sum(chain, &made->terms);
    if (!sum) {
        return -1;
    }
    sum->share = made->answer.sum;
    if (optimiser->requantise &&
        take_state(sum, made->answer.state, made->answer.state_bytes, optimiser) != 0) {
        return -1;
    }
    return describe(&steps[chain->count - 1], &made->terms, sum);
}

/* From the target back to the base. 0, or -1: the rounds in between, or a sum, are not all here. */
int mr_delta_chain_find(struct mr_delta_chain *chain, const struct mr_delta_wish *wish)
{
    struct mr_delta_step steps[MR_DELTA_STEPS_MAX];
    struct mr_model_origin origin;
    uint8_t at[MR_HASH_BYTES];
    memcpy(at, wish->target_hash, MR_HASH_BYTES);
    *chain = (struct mr_delta_chain){.count = 0};
    if (wish->made) {
        if (add_made(chain, steps, wish->made) != 0) {
            return -1;
        }
        memcpy(at, wish->made->terms.announcement.model_hash, MR_HASH_BYTES);
    }
    for (unsigned i = 0; memcmp(at, wish->base_hash, MR_HASH_BYTES) != 0; i++) {
        if (i > 2 * MR_DELTA_STEPS_MAX || mr_model_origin_read(wish->store, at, &origin) != 0 ||
            (origin.has_round && add_round(chain, steps, &origin.terms, wish->store, at) != 0)) {
            return -1;
        }
        memcpy(at, origin.parent, MR_HASH_BYTES);
    }
    for (unsigned i = 0; i < chain->count; i++) {
        struct mr_delta_sum *sum = &chain->sums[chain->count - 1 - i];
        chain->sources[i] = (struct mr_delta_source){steps[chain->count - 1 - i],
                                                     sum->state ? read_levels : read_lanes, sum};
    }
    return chain->count > 0 ? 0 : -1;
}
