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
    view->slots_free = slots;
    view->fast_oldest = view->fast_newest = MR_VIEW_NOBODY;
    view->unused_count = sessions;
    for (uint32_t i = 0; i < sessions; i++) {
        view->unused[i] = sessions - 1 - i;
    }
    return 0;
}

void mr_worker_view_close(struct mr_worker_view *view)
{
    free(view->entries);
    free(view->unused);
    free(view->ended);
    memset(view, 0, sizeof *view);
}

uint64_t mr_worker_view_admit(struct mr_worker_view *view, uint8_t round, uint32_t random,
                              uint64_t now_ms)
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
        .state = MR_VIEW_RECEIVING,
        .round = round,
    };
    return view->entries[index].upload_id;
}

/* --- who is likely to use a window ------------------------------------------------------------ */

void mr_worker_view_granted(struct mr_worker_view *view, uint64_t upload_id)
{
    const uint32_t index = mr_upload_id_index(upload_id);
    struct mr_worker_view_entry *entry = &view->entries[index];

    MR_ASSERT(entry->upload_id == upload_id && !entry->fast);
    entry->fast = true;
    entry->fast_before = view->fast_newest;
    entry->fast_after = MR_VIEW_NOBODY;
    if (view->fast_newest == MR_VIEW_NOBODY) {
        view->fast_oldest = index;
    } else {
        view->entries[view->fast_newest].fast_after = index;
    }
    view->fast_newest = index;
    view->fast++;
}

static void leave_fast(struct mr_worker_view *view, struct mr_worker_view_entry *entry)
{
    if (!entry->fast) {
        return;
    }
    if (entry->fast_before == MR_VIEW_NOBODY) {
        view->fast_oldest = entry->fast_after;
    } else {
        view->entries[entry->fast_before].fast_after = entry->fast_after;
    }
    if (entry->fast_after == MR_VIEW_NOBODY) {
        view->fast_newest = entry->fast_before;
    } else {
        view->entries[entry->fast_after].fast_before = entry->fast_before;
    }
    entry->fast = false;
    view->fast--;
}

uint32_t mr_worker_view_age(struct mr_worker_view *view, uint64_t now_ms)
{
    while (view->fast > 0) {
        struct mr_worker_view_entry *oldest = &view->entries[view->fast_oldest];
        const uint64_t over_ms = oldest->since_ms + MR_WINDOW_TURN_MS;
        if (now_ms < over_ms) {
            return (uint32_t)(over_ms - now_ms);
        }
        leave_fast(view, oldest);
    }
    return UINT32_MAX;
}

/* --- the life of an upload -------------------------------------------------------------------- */

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
    if (entry->state != MR_VIEW_RECEIVING) {
        return;
    }
    entry->state = MR_VIEW_STAGED;
    view->receiving--;
    leave_fast(view, entry);
}

bool mr_worker_view_ended(struct mr_worker_view *view, struct mr_worker_view_entry *entry)
{
    if (entry->state != MR_VIEW_RECEIVING && entry->state != MR_VIEW_STAGED) {
        return false;
    }
    if (entry->state == MR_VIEW_RECEIVING) {
        view->receiving--;
    }
    leave_fast(view, entry);
    entry->state = MR_VIEW_ENDED;
    const uint32_t at = (view->ended_head + view->ended_count++) % view->sessions;
    view->ended[at] = (uint32_t)(entry - view->entries);
    return true;
}

uint32_t mr_worker_view_end_receiving(struct mr_worker_view *view, uint8_t round)
{
    uint32_t ended = 0;

    for (uint32_t i = 0; view->receiving > 0 && i < view->sessions; i++) {
        struct mr_worker_view_entry *entry = &view->entries[i];
        if (entry->state == MR_VIEW_RECEIVING && entry->round == round) {
            ended += mr_worker_view_ended(view, entry);
        }
    }
    return ended;
}

/* Takes the round's out of the ring of tombstones; the order of the others stays. */
static void forget_tombstones(struct mr_worker_view *view, uint8_t round)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < view->ended_count; i++) {
        const uint32_t index = view->ended[(view->ended_head + i) % view->sessions];
        if (view->entries[index].round != round) {
            view->ended[(view->ended_head + kept++) % view->sessions] = index;
        }
    }
    view->ended_count = kept;
}

void mr_worker_view_end_round(struct mr_worker_view *view, uint8_t round)
{
    forget_tombstones(view, round);
    for (uint32_t i = 0; i < view->sessions; i++) {
        struct mr_worker_view_entry *entry = &view->entries[i];
        if (entry->state == MR_VIEW_NONE || entry->round != round) {
            continue;
        }
        view->receiving -= entry->state == MR_VIEW_RECEIVING;
        leave_fast(view, entry);
        *entry = (struct mr_worker_view_entry){.state = MR_VIEW_NONE};
        view->unused[view->unused_count++] = i;
    }
}
