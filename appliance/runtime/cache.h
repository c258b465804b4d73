/* cache.h - how large the last-level cache is. Set-up only. */
#ifndef MR_RUNTIME_CACHE_H
#define MR_RUNTIME_CACHE_H

#include <stdint.h>

/* Bytes of the largest cache that the CPU under the caller shares, as the kernel tells; 0 when it
 * does not. (Not sysconf: on CPUs of several chiplets it adds up caches that no core reaches.) */
uint64_t mr_cache_bytes(void);

#endif
