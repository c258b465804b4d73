/* slots_internal.h - slots_state.c stands below slots.c. */
#ifndef MR_EDGE_RELEASE_SLOTS_INTERNAL_H
#define MR_EDGE_RELEASE_SLOTS_INTERNAL_H

#include "edge-client/release/slots.h"

/* The newest state; a folder without one is as new. 0 or -1. */
int mr_slots_load(struct mr_slots *slots, struct mr_error *error);

#endif
