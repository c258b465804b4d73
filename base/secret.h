/* secret.h - memory for keys and seeds.
 *
 * Whole pages between two that nobody may touch: kept out of swap, core dumps and forked children,
 * and wiped before they are let go. Locking is bounded by RLIMIT_MEMLOCK; what is beyond it works
 * and may be swapped out (`millrace doctor` and the hub's log say so beforehand). Any thread. A
 * page or more each: for a few large things, not for many small ones. */
#ifndef MR_BASE_SECRET_H
#define MR_BASE_SECRET_H

#include <stddef.h>

/* Zeroed, 64-byte aligned; NULL when out of memory. */
void *mr_secret_new(size_t bytes);
/* Overwrites all of it with zeros; it stays the caller's. */
void mr_secret_wipe(void *secret);
void mr_secret_free(void *secret); /* wipes; NULL allowed */

/* Keeps memory that somebody else mapped (whole pages) out of swap as far as the limit allows, out
 * of dumps and out of forked children. */
void mr_secret_guard(void *base, size_t bytes);

#endif
