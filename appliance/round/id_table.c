#include "appliance/round/id_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct mr_id_table_cell {
    uint8_t key[MR_IDMAP_KEY_BYTES];
    uint32_t number;
};

/* Two rounds of a 64-bit multiply-and-fold with the salt: enough for a table in memory. */
static uint64_t hash_of(const struct mr_id_table *map, const uint8_t *key)
{
    uint64_t a, b;
    memcpy(&a, key, 8);
    memcpy(&b, key + 8, 8);
    __uint128_t m = (__uint128_t)(a ^ map->salt) * 0x9e3779b97f4a7c15u;
    a = (uint64_t)m ^ (uint64_t)(m >> 64);
    m = (__uint128_t)(a ^ b ^ (map->salt >> 7)) * 0xd6e8feb86659fd93u;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

void mr_id_table_init(struct mr_id_table *map, uint64_t salt)
{
    *map = (struct mr_id_table){.salt = salt};
}

void mr_id_table_fini(struct mr_id_table *map)
{
    free(map->cells);
    map->cells = NULL;
    map->capacity = map->used = 0;
}

/* The cell of the key, or the free cell where it belongs. */
static struct mr_id_table_cell *cell_of(const struct mr_id_table *map, const uint8_t *key)
{
    uint32_t i = (uint32_t)hash_of(map, key) & (map->capacity - 1);
    while (map->cells[i].number != MR_IDMAP_NONE &&
           memcmp(map->cells[i].key, key, MR_IDMAP_KEY_BYTES) != 0) {
        i = (i + 1) & (map->capacity - 1);
    }
    return &map->cells[i];
}

uint32_t mr_id_table_find(const struct mr_id_table *map, const uint8_t key[MR_IDMAP_KEY_BYTES])
{
    return map->capacity ? cell_of(map, key)->number : MR_IDMAP_NONE;
}

static int grow(struct mr_id_table *map)
{
    struct mr_id_table bigger = {.salt = map->salt, .used = map->used};
    bigger.capacity = map->capacity ? map->capacity * 2 : 64;
    MR_ASSERT(bigger.capacity > map->capacity);
    bigger.cells = malloc((size_t)bigger.capacity * sizeof *bigger.cells);
    if (!bigger.cells) {
        return -1;
    }
    for (uint32_t i = 0; i < bigger.capacity; i++) {
        bigger.cells[i].number = MR_IDMAP_NONE;
    }
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->cells[i].number != MR_IDMAP_NONE) {
            *cell_of(&bigger, map->cells[i].key) = map->cells[i];
        }
    }
    free(map->cells);
    *map = bigger;
    return 0;
}

int mr_id_table_add(struct mr_id_table *map, const uint8_t key[MR_IDMAP_KEY_BYTES], uint32_t number)
{
    MR_ASSERT(number != MR_IDMAP_NONE);
    if ((uint64_t)map->used * 2 >= map->capacity && grow(map) != 0) {
        return -1;
    }
    struct mr_id_table_cell *cell = cell_of(map, key);
    MR_ASSERT(cell->number == MR_IDMAP_NONE);
    memcpy(cell->key, key, MR_IDMAP_KEY_BYTES);
    cell->number = number;
    map->used++;
    return 0;
}
