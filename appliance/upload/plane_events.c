/* What the listeners of rounds hear of what the loop's thread itself did. */
#include <stdlib.h>
#include <unistd.h>

#include "appliance/upload/plane_internal.h"
#include "base/assert.h"

struct mr_plane_round *mr_plane_round_at(const struct mr_upload_plane *plane, uint8_t index,
                                         uint32_t generation)
{
    struct mr_plane_round *round = plane->rounds[index];

    return round && round->generation == generation ? round : NULL;
}

static void wake_self(struct mr_upload_plane *plane)
{
    const uint64_t one = 1;

    /* Only fails when the counter is full, and then the loop is awake as well. */
    if (write(plane->report_fd, &one, sizeof one) < 0) {
        return;
    }
}

void mr_plane_raise(struct mr_plane_round *round, enum mr_plane_event_kind kind, uint64_t upload_id)
{
    struct mr_plane_events *events = &round->plane->events;

    if (events->count == events->capacity) {
        const size_t capacity = events->capacity > 0 ? 2 * events->capacity : 64;
        struct mr_plane_raised *items = realloc(events->items, capacity * sizeof *items);
        MR_ASSERT(items);
        events->items = items;
        events->capacity = capacity;
    }
    events->items[events->count++] =
        (struct mr_plane_raised){.event = {.kind = kind, .upload_id = upload_id},
                                 .generation = round->generation,
                                 .round = round->index};
    wake_self(round->plane);
}

void mr_plane_deliver(struct mr_upload_plane *plane)
{
    struct mr_plane_events *events = &plane->events;

    /* A callback may raise more, or end a round, whose events nobody hears then. */
    while (events->head < events->count) {
        const struct mr_plane_raised raised = events->items[events->head++];
        const struct mr_plane_round *round =
            mr_plane_round_at(plane, raised.round, raised.generation);
        if (round) {
            round->listener.event(round->listener.context, &raised.event);
        }
    }
    events->head = 0;
    events->count = 0;
}
