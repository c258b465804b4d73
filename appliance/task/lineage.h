/* lineage.h - the released sets of one model, in memory: which of them a device is in. */
#ifndef MR_TASK_LINEAGE_H
#define MR_TASK_LINEAGE_H

#include "appliance/task/released_record.h"

struct mr_lineage_device {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint32_t set;
};

struct mr_lineage_set {
    uint8_t announcement_hash[MR_HASH_BYTES], set_hash[MR_HASH_BYTES];
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
};

/* Zeroed with a parent: empty. */
struct mr_lineage {
    uint8_t parent[MR_HASH_BYTES];
    struct mr_lineage_device *devices; /* rising by client once _sort was called */
    uint32_t count, capacity;
    struct mr_lineage_set *sets;
    uint32_t sets_count, sets_capacity;
    uint64_t used; /* 0: the place is free */
};

/* Adds a record of that parent; out of memory: -1, and the lineage is as before. _sort is owed
 * before the next _find. */
int mr_lineage_add(struct mr_lineage *lineage, const struct mr_released_record *record);
void mr_lineage_sort(struct mr_lineage *lineage);
/* The same into a lineage that is sorted, and stays so: one pass, whatever is there. */
int mr_lineage_insert(struct mr_lineage *lineage, const struct mr_released_record *record);
/* The set that the device is in; NULL: in none. */
const struct mr_lineage_set *mr_lineage_find(const struct mr_lineage *lineage,
                                             const uint8_t client_id[MR_CLIENT_ID_BYTES]);
void mr_lineage_fini(struct mr_lineage *lineage); /* zeroes it */

#endif
