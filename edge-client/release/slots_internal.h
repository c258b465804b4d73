/* slots_internal.h - slots_state.c and slots_link.c stand below slots.c. */
#ifndef MR_EDGE_RELEASE_SLOTS_INTERNAL_H
#define MR_EDGE_RELEASE_SLOTS_INTERNAL_H

#include "edge-client/release/slots.h"

#define MR_SLOTS_SUFFIX ".millrace" /* of the folder, behind FILE */

/* FILE leads to that copy of the folder, in one step; synced. 0 or -1. */
int mr_slots_lead(const struct mr_slots *slots, const char *copy, struct mr_error *error);
/* Something of somebody else's is not replaced. 0, or -1: FILE is such. */
int mr_slots_check_file(const struct mr_slots *slots, struct mr_error *error);

/* The newest state; a folder without one is as new. 0 or -1. */
int mr_slots_load(struct mr_slots *slots, struct mr_error *error);

#endif
