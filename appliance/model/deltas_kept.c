/* deltas_kept.c - the deltas that are kept, and which goes first. */
#include <stdlib.h>
#include <string.h>

#include "appliance/model/deltas_internal.h"
#include "base/assert.h"

static void free_kept(struct mr_delta_kept *kept)
{
    free(kept->out.bytes);
    free(kept->waiting);
    free(kept);
}

void mr_deltas_forget(struct mr_deltas *deltas, unsigned at)
{
    struct mr_delta_kept *kept = deltas->kept[at];
    deltas->bytes -= kept->out.length;
    deltas->kept[at] = deltas->kept[--deltas->kept_count];
    kept->deltas = NULL;
    if (kept->lent == 0) {
        free_kept(kept);
    }
}

void mr_deltas_make_room(struct mr_deltas *deltas, size_t bytes)
{
    while (deltas->kept_count > 0 && (deltas->kept_count == MR_DELTAS_KEPT_MAX ||
                                      deltas->bytes + bytes > deltas->config.bytes_max)) {
        unsigned oldest = MR_DELTAS_KEPT_MAX;
        for (unsigned i = 0; i < deltas->kept_count; i++) {
            if (!deltas->kept[i]->making && (oldest == MR_DELTAS_KEPT_MAX ||
                                             deltas->kept[i]->used < deltas->kept[oldest]->used)) {
                oldest = i;
            }
        }
        if (oldest == MR_DELTAS_KEPT_MAX) {
            return;
        }
        mr_deltas_forget(deltas, oldest);
    }
}

struct mr_delta_kept *mr_deltas_find(struct mr_deltas *deltas, const uint8_t *base,
                                     const uint8_t *target)
{
    for (unsigned i = 0; i < deltas->kept_count; i++) {
        struct mr_delta_kept *kept = deltas->kept[i];
        if (memcmp(kept->wish.base_hash, base, MR_HASH_BYTES) == 0 &&
            memcmp(kept->wish.target_hash, target, MR_HASH_BYTES) == 0) {
            return kept;
        }
    }
    return NULL;
}

const uint8_t *mr_delta_kept_bytes(const struct mr_delta_kept *kept, size_t *length)
{
    *length = kept->out.length;
    return kept->out.bytes;
}

const char *mr_delta_kept_tag(const struct mr_delta_kept *kept)
{
    return kept->tag;
}

void mr_delta_kept_return(struct mr_delta_kept *kept)
{
    MR_ASSERT(kept->lent > 0);
    if (--kept->lent == 0 && !kept->deltas) {
        free_kept(kept);
    }
}
