/* counted.h - what this hub counted in one round, device by device: from here come the root that it
 * commits to and the proofs that it gives. Memory only; one thread at a time. */
#ifndef MR_PRIVACY_COUNTED_H
#define MR_PRIVACY_COUNTED_H

#include "wire/audit.h"

struct mr_counted_table {
    struct mr_audit_entry *list; /* malloc'd; rising by client once there is a tree */
    uint32_t count, capacity;
    struct mr_audit_tree tree; /* of exactly the frozen set */
};

void mr_counted_fini(struct mr_counted_table *table);
/* 0, or -1 without memory. */
int mr_counted_add(struct mr_counted_table *table, const struct mr_audit_entry *counted);
/* Leaves the set (rising by client) and nothing else, each as it was added last, and builds its
 * tree. 0; 1 if a device of the set is not in the table; -1 without memory. */
int mr_counted_freeze(struct mr_counted_table *table, const struct mr_included *set,
                      uint32_t count);
/* Fills a proof but for hub and commitments. 0, or 1: the set has no such device, or there is none
 * yet. */
int mr_counted_prove(const struct mr_counted_table *table,
                     const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_audit_proof *proof);

#endif
