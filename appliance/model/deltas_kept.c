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

/* The step that made that model. */
static struct mr_delta_kept *step_to(struct mr_deltas *deltas, const uint8_t *target)
{
    for (unsigned i = 0; i < deltas->kept_count; i++) {
        struct mr_delta_kept *kept = deltas->kept[i];
        if (!kept->making && kept->out.bytes &&
            memcmp(kept->wish.target_hash, target, MR_HASH_BYTES) == 0 &&
            mr_delta_steps(kept->out.bytes, kept->out.length) == 1) {
            return kept;
        }
    }
    return NULL;
}

void mr_deltas_lend_parts(struct mr_deltas *deltas, struct mr_delta_kept *wisher)
{
    struct mr_delta_wish *wish = &wisher->wish;
    struct mr_delta_kept *steps[MR_DELTA_STEPS_MAX]; /* the last one first */
    const uint8_t *at = wish->target_hash;
    unsigned count = 0;
    while (memcmp(at, wish->base_hash, MR_HASH_BYTES) != 0) {
        struct mr_delta_kept *step = count < MR_DELTA_STEPS_MAX ? step_to(deltas, at) : NULL;
        if (!step) {
            return;
        }
        steps[count++] = step;
        at = step->wish.base_hash;
    }
    for (unsigned i = 0; i < count; i++) {
        struct mr_delta_kept *step = steps[count - 1 - i];
        step->lent++;
        step->used = ++deltas->asked;
        wisher->parts[i] = step;
        wish->parts[i] = (struct mr_delta_part){step->out.bytes, step->out.length};
    }
    wish->part_count = count;
}

void mr_deltas_return_parts(struct mr_delta_kept *wisher)
{
    for (unsigned i = 0; i < wisher->wish.part_count; i++) {
        mr_delta_kept_return(wisher->parts[i]);
    }
    wisher->wish.part_count = 0;
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
