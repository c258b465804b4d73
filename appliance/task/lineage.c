#include "appliance/task/lineage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES); /* a device begins with its client */
}

static int reserve(struct mr_lineage *lineage, uint32_t devices)
{
    if (lineage->sets_count == lineage->sets_capacity) {
        const uint32_t capacity = 2 * lineage->sets_capacity + 4;
        struct mr_lineage_set *sets = realloc(lineage->sets, capacity * sizeof *sets);
        if (!sets) {
            return -1;
        }
        lineage->sets = sets;
        lineage->sets_capacity = capacity;
    }
    if (devices > lineage->capacity - lineage->count) {
        const size_t capacity = 2 * (size_t)lineage->capacity + devices;
        struct mr_lineage_device *list = realloc(lineage->devices, capacity * sizeof *list);
        if (!list || capacity > UINT32_MAX) {
            lineage->devices = list ? list : lineage->devices;
            return -1;
        }
        lineage->devices = list;
        lineage->capacity = (uint32_t)capacity;
    }
    return 0;
}

static void note_set(struct mr_lineage *lineage, const struct mr_released_record *record)
{
    struct mr_lineage_set *set = &lineage->sets[lineage->sets_count];
    memcpy(set->announcement_hash, record->announcement_hash, MR_HASH_BYTES);
    memcpy(set->set_hash, record->set_hash, MR_HASH_BYTES);
    snprintf(set->task, sizeof set->task, "%s", record->task);
    set->round = record->round;
}

int mr_lineage_add(struct mr_lineage *lineage, const struct mr_released_record *record)
{
    if (reserve(lineage, record->count) != 0) {
        return -1;
    }
    note_set(lineage, record);
    for (uint32_t i = 0; i < record->count; i++) {
        struct mr_lineage_device *device = &lineage->devices[lineage->count++];
        memcpy(device->client_id, record->clients + (size_t)i * MR_CLIENT_ID_BYTES,
               MR_CLIENT_ID_BYTES);
        device->set = lineage->sets_count;
    }
    lineage->sets_count++;
    return 0;
}

int mr_lineage_insert(struct mr_lineage *lineage, const struct mr_released_record *record)
{
    if (reserve(lineage, record->count) != 0) {
        return -1;
    }
    struct mr_lineage_device *list = lineage->devices;
    uint32_t old = lineage->count, fresh = record->count;
    note_set(lineage, record);
    while (fresh > 0) { /* from the end on, so that nothing is moved twice */
        const uint8_t *client = record->clients + (size_t)(fresh - 1) * MR_CLIENT_ID_BYTES;
        if (old > 0 && memcmp(list[old - 1].client_id, client, MR_CLIENT_ID_BYTES) > 0) {
            list[old + fresh - 1] = list[old - 1];
            old--;
            continue;
        }
        memcpy(list[old + fresh - 1].client_id, client, MR_CLIENT_ID_BYTES);
        list[old + fresh - 1].set = lineage->sets_count;
        fresh--;
    }
    lineage->count += record->count;
    lineage->sets_count++;
    return 0;
}

void mr_lineage_sort(struct mr_lineage *lineage)
{
    if (lineage->count) {
        qsort(lineage->devices, lineage->count, sizeof *lineage->devices, compare);
    }
}

const struct mr_lineage_set *mr_lineage_find(const struct mr_lineage *lineage,
                                             const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    const struct mr_lineage_device *device =
        lineage->count ? bsearch(client_id, lineage->devices, lineage->count,
                                 sizeof *lineage->devices, compare)
                       : NULL;
    return device ? &lineage->sets[device->set] : NULL;
}

void mr_lineage_fini(struct mr_lineage *lineage)
{
    free(lineage->devices);
    free(lineage->sets);
    *lineage = (struct mr_lineage){.used = 0};
}
