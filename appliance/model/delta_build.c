#include "appliance/model/delta_build.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/model/delta_chain.h"
#include "wire/safetensors.h"

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
    struct mr_delta_chain chain;
    int result = 1;
    if (wish->part_count > 0) {
        return mr_delta_join(out, &files->writing, wish->parts, wish->part_count);
    }
    if (mr_delta_chain_find(&chain, wish) == 0) {
        result = mr_delta_write_sums(out, &files->writing, chain.sources, chain.count);
    }
    mr_delta_chain_drop(&chain);
    if (result == 0 && !makes_target(out, wish)) {
        free(out->bytes);
        *out = (struct mr_delta_out){.bytes = NULL};
        result = 1;
    }
    return result;
}

/* To write the changes takes longer than all else, and is in vain where they are many: not tried
 * unless they may be smaller, with a seventh to spare for what the estimate does not see. */
static bool may_be_smaller(const struct files *files, const struct mr_delta_out *sums)
{
    const size_t about = mr_delta_changes_estimate(files->base, files->target, files->count);
    return about / 8 * 7 < sums->length;
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
