/* id_table.h - a growing map from 16-byte identities to small numbers (indices into a table).
 *
 * Open addressing, salted so that identities chosen by somebody else cannot be made to collide.
 * Single-threaded; nothing is ever taken out but by _clear. */
#ifndef MR_ROUND_ID_TABLE_H
#define MR_ROUND_ID_TABLE_H

#include <stdint.h>

#define MR_IDMAP_KEY_BYTES 16
#define MR_IDMAP_NONE      UINT32_MAX

struct mr_id_table_cell;

struct mr_id_table {
    struct mr_id_table_cell *cells;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t used;
    uint64_t salt;
};

void mr_id_table_init(struct mr_id_table *map, uint64_t salt);
void mr_id_table_fini(struct mr_id_table *map);

/* The number stored under the key, or MR_IDMAP_NONE. */
uint32_t mr_id_table_find(const struct mr_id_table *map, const uint8_t key[MR_IDMAP_KEY_BYTES]);

/* Stores a number (not MR_IDMAP_NONE) under a key that is not there yet. 0, or -1 out of memory. */
int mr_id_table_add(struct mr_id_table *map, const uint8_t key[MR_IDMAP_KEY_BYTES],
                    uint32_t number);

#endif
