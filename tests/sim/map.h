/* map.h - a map from hashes to hashes. */
#ifndef MR_TESTS_SIM_MAP_H
#define MR_TESTS_SIM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    uint64_t *keys, *values; /* key 0: empty */
    size_t capacity, used;
};

/* The value under the key, which is put there if there was none (*fresh). The pointer holds until
 * the next call. */
uint64_t *map_at(struct map *map, uint64_t key, bool *fresh);
void map_fini(struct map *map);

#endif
