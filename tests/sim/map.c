/* map.c - a map from hashes to hashes: open addressing, it only grows. */
#include "tests/sim/map.h"

#include <stdlib.h>

#include "base/assert.h"

static void map_grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? 2 * map->capacity : 256};
    bool fresh;
    bigger.keys = calloc(bigger.capacity, sizeof *bigger.keys);
    bigger.values = calloc(bigger.capacity, sizeof *bigger.values);
    MR_ASSERT(bigger.keys && bigger.values);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->keys[i]) {
            *map_at(&bigger, map->keys[i], &fresh) = map->values[i];
        }
    }
    map_fini(map);
    *map = bigger;
}

uint64_t *map_at(struct map *map, uint64_t key, bool *fresh)
{
    key += key == 0;
    if (2 * map->used >= map->capacity) {
        map_grow(map);
    }
    size_t i = key & (map->capacity - 1);
    while (map->keys[i] && map->keys[i] != key) {
        i = (i + 1) & (map->capacity - 1);
    }
    *fresh = !map->keys[i];
    if (*fresh) {
        map->keys[i] = key;
        map->used++;
    }
    return &map->values[i];
}

void map_fini(struct map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct map){.capacity = 0};
}
