#include "appliance/model/first_deltas.h"

#include <string.h>

#include "appliance/model/origin.h"

void mr_delta_bases_find(struct mr_delta_bases *bases, const struct mr_store *store,
                         const uint8_t target[MR_HASH_BYTES])
{
    struct mr_model_origin origin;
    const uint8_t *at = target;
    memcpy(bases->target, target, MR_HASH_BYTES);
    bases->count = 0;
    while (bases->count < MR_FIRST_DELTAS && mr_model_origin_read(store, at, &origin) == 0 &&
           origin.has_parent) {
        memcpy(bases->hashes[bases->count], origin.parent, MR_HASH_BYTES);
        at = bases->hashes[bases->count++];
    }
}

static void make_next(struct mr_first_deltas *first);

static void on_made(void *context, void *token, struct mr_delta_kept *kept, const char *why)
{
    struct mr_first_deltas *first = context;
    (void)token, (void)why;
    first->running = false;
    if (kept) {
        if (first->next == 1) {
            first->first_made(first->context);
        }
        mr_delta_kept_return(kept);
    }
    make_next(first);
}

static void make_next(struct mr_first_deltas *first)
{
    if (!first->running && first->next < first->bases.count) {
        first->running = true;
        const uint8_t *base = first->bases.hashes[first->next++];
        mr_deltas_ask(first->deltas, base, first->bases.target, on_made, first, NULL);
    }
}

void mr_first_deltas_make(struct mr_first_deltas *first, const struct mr_delta_bases *bases)
{
    first->bases = *bases;
    first->next = 0;
    make_next(first);
}
