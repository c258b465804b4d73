/* heap.h - what the allocator holds, for the metrics. The data path allocates nothing after start;
 * a heap that grows all the same is a leak in the control plane. */
#ifndef MR_OBSERVE_HEAP_H
#define MR_OBSERVE_HEAP_H

#include "appliance/observe/metrics.h"

/* "jemalloc" or "system", as built. */
const char *mr_heap_name(void);

/* millrace_heap_allocated_bytes and millrace_heap_mapped_bytes. Any thread; not for the data path.
 */
void mr_heap_metrics(struct mr_metrics *metrics);

#endif
