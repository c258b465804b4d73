/* pages.h - large memory: regions of zeroed memory, mapped once at start-up, and buffers.
 *
 * Regions are page-aligned, huge pages asked for where the region is large enough, left out of core
 * dumps (they hold shares, sums and packets). Set-up only. */
#ifndef MR_RUNTIME_PAGES_H
#define MR_RUNTIME_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct mr_pages {
    void *base;
    size_t bytes;
};

/* Maps at least `bytes` (> 0). Every page is backed before the call returns, by memory near the
 * calling thread's CPU: what traffic touches first would be memory that grows with traffic. `what`
 * names the region in the error. 0 or -1. */
int mr_pages_map(struct mr_pages *pages, size_t bytes, const char *what, struct mr_error *error);
/* Safe on a zeroed struct. */
void mr_pages_unmap(struct mr_pages *pages);

/* A buffer for once, to be given to free(): as aligned_alloc(64) gives it, but a large one asks for
 * huge pages, as touching new memory 4 KiB at a time may cost more than what is done with it. At
 * most 4 MiB more than `bytes` are taken. NULL when out of memory. */
void *mr_pages_buffer(size_t bytes);

#endif
