#include "appliance/upload/worker_view.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session.h"
#include "base/assert.h"

int mr_mirror_open(struct mr_mirror *mirror, uint8_t lane, uint32_t sessions, uint32_t slots)
{
    memset(mirror, 0, sizeof *mirror);
    mirror->entries = calloc(sessions, sizeof *mirror->entries);
    mirror->unused = calloc(sessions, sizeof *mirror->unused);
    mirror->ended = calloc(sessions, sizeof *mirror->ended);
    if (mirror->entries == NULL || mirror->unused == NULL || mirror->ended == NULL) {
        mr_mirror_close(mirror);
        return -1;
    }
    mirror->lane = lane;
    mirror->sessions = sessions;
    mirror->slots = slots;
    return 0;
}

void mr_mirror_close(struct mr_mirror *mirror)
{
    free(mirror->entries);
    free(mirror->unused);
    free(mirror->ended);
    memset(mirror, 0, sizeof *mirror);
}

void mr_mirror_begin(struct mr_mirror *mirror)
{
    memset(mirror->entries, 0, mirror->sessions * sizeof *mirror->entries);
    for (uint32_t i = 0; i < mirror->sessions; i++)
        mirror->unused[i] = mirror->sessions - 1 - i;
    mirror->unused_count = mirror->sessions;
    mirror->ended_head = 0;
    mirror->ended_count = 0;
    mirror->slots_free = mirror->slots;
    mirror->receiving = 0;
}

uint64_t mr_mirror_admit(struct mr_mirror *mirror, uint32_t random, uint64_t now_ms)
{
    uint32_t index;

    MR_ASSERT(random != 0);
    if (mirror->slots_free == 0)
        return 0;
    if (mirror->unused_count > 0) {
        index = mirror->unused[--mirror->unused_count];
    } else if (mirror->ended_count > 0) {
        index = mirror->ended[mirror->ended_head];
        mirror->ended_head = (mirror->ended_head + 1) % mirror->sessions;
        mirror->ended_count--;
    } else {
        return 0;
    }
    mirror->slots_free--;
    mirror->receiving++;
    mirror->entries[index] = (struct mr_mirror_entry){
        .upload_id = mr_upload_id_make(mirror->lane, index, random),
        .since_ms = now_ms,
        .state = MR_MIRROR_RECEIVING,
    };
    return mirror->entries[index].upload_id;
}

struct mr_mirror_entry *mr_mirror_find(const struct mr_mirror *mirror, uint64_t upload_id)
{
    const uint32_t index = mr_upload_id_index(upload_id);

    if (upload_id == 0 || index >= mirror->sessions ||
        mirror->entries[index].upload_id != upload_id)
        return NULL;
    return &mirror->entries[index];
}

void mr_mirror_staged(struct mr_mirror *mirror, struct mr_mirror_entry *entry)
{
    if (entry->state != MR_MIRROR_RECEIVING)
        return;
    entry->state = MR_MIRROR_STAGED;
    mirror->receiving--;
}

void mr_mirror_ended(struct mr_mirror *mirror, struct mr_mirror_entry *entry)
{
    if (entry->state != MR_MIRROR_RECEIVING && entry->state != MR_MIRROR_STAGED)
        return;
    if (entry->state == MR_MIRROR_RECEIVING)
        mirror->receiving--;
    entry->state = MR_MIRROR_ENDED;
    const uint32_t at = (mirror->ended_head + mirror->ended_count++) % mirror->sessions;
    mirror->ended[at] = (uint32_t)(entry - mirror->entries);
}

void mr_mirror_end_receiving(struct mr_mirror *mirror)
{
    for (uint32_t i = 0; mirror->receiving > 0 && i < mirror->sessions; i++)
        if (mirror->entries[i].state == MR_MIRROR_RECEIVING)
            mr_mirror_ended(mirror, &mirror->entries[i]);
}
