#include "appliance/model/delta_build.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/model/next_model.h"
#include "appliance/model/origin.h"
#include "appliance/model/requantise.h"
#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "wire/keys.h"
#include "wire/safetensors.h"

/* --- the rounds in between ------------------------------------------------------------------- */

/* What a round's step is made of: the opened sum, mapped, or the levels that it was rounded to, in
 * a state. */
struct sum {
    uint8_t *share;
    uint8_t *state; /* NULL: the sum's lanes are the step's */
    struct mr_requantised taken;
    struct mr_layout layout;
};

struct chain {
    struct sum sums[MR_DELTA_STEPS_MAX];                /* the newest first */
    struct mr_delta_source sources[MR_DELTA_STEPS_MAX]; /* the oldest first, once whole */
    unsigned count;
};

static int32_t lane_at(const struct sum *sum, uint32_t lane)
{
    const unsigned spare = 32u - sum->layout.ring_bits;
    const uint32_t value = mr_ring_read(sum->share, sum->layout.ring_bits, lane);
    return (int32_t)(value << spare) >> spare;
}

static void read_lanes(void *context, int32_t *out, uint32_t first, uint32_t count)
{
    const struct sum *sum = context;
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
    const struct sum *sum = context;
    for (uint32_t i = 0; i < count; i++) {
        int16_t level;
        memcpy(&level, sum->taken.levels + sizeof level * (size_t)(first + i), sizeof level);
        out[i] = level;
    }
}

/* The state of a model that a re-quantised round has made. */
static int read_state(struct sum *sum, const struct mr_store *store,
                      const uint8_t model_hash[MR_HASH_BYTES], const struct mr_optimiser *optimiser)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *model = NULL;
    size_t model_bytes = 0, bytes = 0;
    mr_store_model_path(path, store, model_hash, "safetensors");
    const bool read =
        mr_file_read(path, &model, &model_bytes, NULL) == 0 &&
        mr_store_read_state(store, model, model_bytes, &sum->state, &bytes, NULL) == 0;
    free(model);
    const uint32_t count = sum->layout.dimension;
    const size_t own = mr_optimiser_state_bytes(optimiser->kind, count);
    if (!read || !sum->state || bytes < own ||
        !mr_requantised_fits(sum->state + own, bytes - own, count)) {
        return -1;
    }
    mr_requantised_read(&sum->taken, sum->state + own);
    return sum->taken.lanes == sum->layout.lanes ? 0 : -1;
}

static int map_sum(struct sum *sum, const struct mr_store *store, uint64_t round)
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
    sum->share = bytes == MAP_FAILED ? NULL : bytes;
    return sum->share ? 0 : -1;
}

static void drop_chain(struct chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++) {
        free(chain->sums[i].state);
        if (chain->sums[i].share) {
            munmap(chain->sums[i].share, (size_t)chain->sums[i].layout.share_bytes);
        }
    }
    chain->count = 0;
}

static float sum_factor(const struct mr_model_origin *origin, const struct sum *sum)
{
    struct mr_vector_sum view = {.lanes = NULL};
    memcpy(view.trailer, sum->share + sum->layout.main_bytes,
           mr_layout_trailer_bytes(&sum->layout));
    return mr_next_model_factor(&origin->terms.announcement,
                                mr_opened_sum_weight(&view, &origin->terms));
}

static int describe(struct mr_delta_step *step, const struct mr_model_origin *origin,
                    const struct sum *sum)
{
    const struct mr_announcement *announcement = &origin->terms.announcement;
    *step = (struct mr_delta_step){
        .factor = sum->state ? sum->taken.delta : sum_factor(origin, sum),
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

/* The round that has made that model. */
static int add_round(struct chain *chain, struct mr_delta_step *steps,
                     const struct mr_model_origin *origin, const struct mr_store *store,
                     const uint8_t model_hash[MR_HASH_BYTES])
{
    const struct mr_optimiser *optimiser = &origin->terms.announcement.optimiser;
    if (chain->count == MR_DELTA_STEPS_MAX ||
        (mr_optimiser_has_state(optimiser) && optimiser->requantise == 0)) {
        return -1; /* a device has no state to repeat such a round with */
    }
    struct sum *sum = &chain->sums[chain->count++];
    *sum = (struct sum){.layout = origin->terms.layout};
    const int bad = optimiser->requantise ? read_state(sum, store, model_hash, optimiser)
                                          : map_sum(sum, store, origin->terms.announcement.round);
    return bad ? -1 : describe(&steps[chain->count - 1], origin, sum);
}

/* From the target back to the base. 0, or -1: the rounds in between, or a sum, are not all here. */
static int find_chain(struct chain *chain, const struct mr_delta_wish *wish)
{
    struct mr_delta_step steps[MR_DELTA_STEPS_MAX];
    struct mr_model_origin origin;
    uint8_t at[MR_HASH_BYTES];
    memcpy(at, wish->target_hash, MR_HASH_BYTES);
    *chain = (struct chain){.count = 0};
    for (unsigned i = 0; memcmp(at, wish->base_hash, MR_HASH_BYTES) != 0; i++) {
        if (i > 2 * MR_DELTA_STEPS_MAX || mr_model_origin_read(wish->store, at, &origin) != 0 ||
            (origin.has_round && add_round(chain, steps, &origin, wish->store, at) != 0)) {
            return -1;
        }
        memcpy(at, origin.parent, MR_HASH_BYTES);
    }
    for (unsigned i = 0; i < chain->count; i++) {
        struct sum *sum = &chain->sums[chain->count - 1 - i];
        chain->sources[i] = (struct mr_delta_source){steps[chain->count - 1 - i],
                                                     sum->state ? read_levels : read_lanes, sum};
    }
    return chain->count > 0 ? 0 : -1;
}

/* --- the smallest ---------------------------------------------------------------------------- */

struct files {
    struct mr_delta_writing writing;
    const uint8_t *base, *target; /* their values */
    size_t count;
};

/* The same shape: another one has no delta. 0 or 1. */
static int compare(struct files *files, const struct mr_delta_wish *wish)
{
    struct mr_safetensors base, target;
    if (mr_safetensors_parse(&base, wish->base, wish->base_bytes, NULL) != 0) {
        return 1;
    }
    const size_t base_offset = base.data_offset, count = base.count;
    mr_safetensors_fini(&base);
    if (mr_safetensors_parse(&target, wish->target, wish->target_bytes, NULL) != 0) {
        return 1;
    }
    const size_t offset = target.data_offset;
    const bool same_count = target.count == count;
    mr_safetensors_fini(&target);
    const bool same_header = offset == base_offset && memcmp(wish->base, wish->target, offset) == 0;
    *files = (struct files){.base = wish->base + base_offset,
                            .target = wish->target + offset,
                            .count = count,
                            .writing = {.target_bytes = wish->target_bytes,
                                        .header = same_header ? NULL : wish->target,
                                        .header_bytes = same_header ? 0 : (uint32_t)offset,
                                        .most = wish->target_bytes - 1}};
    memcpy(files->writing.base_hash, wish->base_hash, MR_HASH_BYTES);
    memcpy(files->writing.target_hash, wish->target_hash, MR_HASH_BYTES);
    return same_count ? 0 : 1;
}

/* A device would find out as well, after it has pulled it. */
static bool makes_target(const struct mr_delta_out *out, const struct mr_delta_wish *wish)
{
    const size_t room = mr_delta_room(wish->target_bytes);
    uint8_t *made = malloc(room);
    const struct mr_delta_job job = {.delta = out->bytes,
                                     .delta_bytes = out->length,
                                     .base = wish->base,
                                     .base_bytes = wish->base_bytes,
                                     .target = made,
                                     .target_room = room,
                                     .kernels = wish->kernels};
    const bool same = made && mr_delta_apply(&job, NULL) == 0 &&
                      memcmp(made, wish->target, wish->target_bytes) == 0;
    free(made);
    return same;
}

/* By sums or levels: 0, or 1 where that is not possible, as after an optimiser with a state whose
 * steps were not rounded. */
static int build_sums(struct mr_delta_out *out, const struct files *files,
                      const struct mr_delta_wish *wish)
{
    struct chain chain;
    int result = 1;
    if (find_chain(&chain, wish) == 0) {
        result = mr_delta_write_sums(out, &files->writing, chain.sources, chain.count);
    }
    drop_chain(&chain);
    if (result == 0 && !makes_target(out, wish)) {
        free(out->bytes);
        *out = (struct mr_delta_out){.bytes = NULL};
        result = 1;
    }
    return result;
}

/* A change takes more than so many bytes where each value's has its own. */
#define CHANGE_BYTES_LEAST 2

static bool may_be_smaller(const struct files *files, const struct mr_delta_out *sums)
{
    size_t changes = 0;
    for (size_t i = 0; i < files->count; i++) {
        changes += memcmp(files->base + 4 * i, files->target + 4 * i, 4) != 0;
    }
    return CHANGE_BYTES_LEAST * changes < sums->length;
}

int mr_delta_build(struct mr_delta_out *out, const struct mr_delta_wish *wish,
                   struct mr_error *error)
{
    struct files files;
    struct mr_delta_out changes;
    *out = (struct mr_delta_out){.bytes = NULL};
    if (compare(&files, wish) != 0) {
        return 1;
    }
    const int sums = build_sums(out, &files, wish);
    if (sums < 0) {
        return mr_error_set(error, "out of memory for a delta");
    }
    if (sums == 0) {
        if (!may_be_smaller(&files, out)) {
            return 0;
        }
        files.writing.most = out->length - 1;
    }
    const int result =
        mr_delta_write_changes(&changes, &files.writing, files.base, files.target, files.count);
    if (result == 0) {
        free(out->bytes);
        *out = changes;
    }
    return sums == 0 || result == 0 ? 0
           : result > 0             ? 1
                                    : mr_error_set(error, "out of memory for a delta");
}
