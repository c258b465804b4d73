#include "appliance/upload/worker_view.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session.h"
#include "base/assert.h"

int mr_worker_view_open(struct mr_worker_view *view, uint8_t lane, uint32_t sessions,
                        uint32_t slots)
{
    memset(view, 0, sizeof *view);
    view->entries = calloc(sessions, sizeof *view->entries);
    view->unused = calloc(sessions, sizeof *view->unused);
    view->ended = calloc(sessions, sizeof *view->ended);
    if (!view->entries || !view->unused || !view->ended) {
        mr_worker_view_close(view);
        return -1;
    }
    view->lane = lane;
    view->sessions = sessions;
    view->slots = slots;
    return 0;
}

void mr_worker_view_close(struct mr_worker_view *view)
{
    free(view->entries);
    free(view->unused);
    free(view->ended);
    memset(view, 0, sizeof *view);
}

void mr_worker_view_begin(struct mr_worker_view *view)
{
    memset(view->entries, 0, view->sessions * sizeof *view->entries);
    for (uint32_t i = 0; i < view->sessions; i++) {
        view->unused[i] = view->sessions - 1 - i;
    }
    view->unused_count = view->sessions;
    view->ended_head = 0;
    view->ended_count = 0;
    view->slots_free = view->slots;
    view->receiving = 0;
}

uint64_t mr_worker_view_admit(struct mr_worker_view *view, uint32_t random, uint64_t now_ms)
{
    uint32_t index;

    MR_ASSERT(random != 0);
    if (view->slots_free == 0) {
        return 0;
    }
    if (view->unused_count > 0) {
        index = view->unused[--view->unused_count];
    } else if (view->ended_count > 0) {
        index = view->ended[view->ended_head];
        view->ended_head = (view->ended_head + 1) % view->sessions;
        view->ended_count--;
    } else {
        return 0;
    }
    view->slots_free--;
    view->receiving++;
    view->entries[index] = (struct mr_worker_view_entry){
        .upload_id = mr_upload_id_make(view->lane, index, random),
        .since_ms = now_ms,
        .state = MR_MIRROR_RECEIVING,
    };
    return view->entries[index].upload_id;
}

struct mr_worker_view_entry *mr_worker_view_find(const struct mr_worker_view *view,
                                                 uint64_t upload_id)
{
    const uint32_t index = mr_upload_id_index(upload_id);

    if (upload_id == 0 || index >= view->sessions || view->entries[index].upload_id != upload_id) {
        return NULL;
    }
    return &view->entries[index];
}

void mr_worker_view_staged(struct mr_worker_view *view, struct mr_worker_view_entry *entry)
{
    if (entry->state != MR_MIRROR_RECEIVING) {
        return;
    }
    entry->state = MR_MIRROR_STAGED;
    view->receiving--;
}

void mr_worker_view_ended(struct mr_worker_view *view, struct mr_worker_view_entry *entry)
{
    if (entry->state != MR_MIRROR_RECEIVING && entry->state != MR_MIRROR_STAGED) {
        return;
    }
    if (entry->state == MR_MIRROR_RECEIVING) {
        view->receiving--;
    }
    entry->state = MR_MIRROR_ENDED;
    const uint32_t at = (view->ended_head + view->ended_count++) % view->sessions;
    view->ended[at] = (uint32_t)(entry - view->entries);
}

void mr_worker_view_end_receiving(struct mr_worker_view *view)
{
    for (uint32_t i = 0; view->receiving > 0 && i < view->sessions; i++) {
        if (view->entries[i].state == MR_MIRROR_RECEIVING) {
            mr_worker_view_ended(view, &view->entries[i]);
        }
    }
}
