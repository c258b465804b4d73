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

/* After the nearest the others have time. One of an older release may have been made just now: then
 * the nearest is still to come. */
static void pause_or_go_on(struct mr_first_deltas *first)
{
    if (first->next == 1) {
        mr_timer_arm(first->timer, mr_loop_now_ms(first->loop) + MR_FIRST_DELTAS_PAUSE_MS);
    } else {
        make_next(first);
    }
}

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
    pause_or_go_on(first);
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
    mr_timer_disarm(first->timer);
    first->bases = *bases;
    first->next = 0;
    make_next(first);
}

void mr_first_deltas_go_on(void *context)
{
    make_next(context);
}
