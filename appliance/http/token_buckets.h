/* token_buckets.h - how often each of many may do a thing: token buckets in fixed memory.
 *
 * A bucket fills with `rate` tokens a second up to ten seconds' worth. Keys share a table of fixed
 * size; where it has no room, the fullest bucket of the key's row is forgotten, which a newcomer
 * can only gain by: what is forgotten was full or nearly so. Rates hold while no more keys are
 * busy at once than there are buckets. Sans-IO, single-threaded. */
#ifndef MR_HTTP_TOKEN_BUCKETS_H
#define MR_HTTP_TOKEN_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_buckets;

/* rate 0: no limit (and no memory). The salt keeps strangers from choosing rows. NULL: out of
 * memory. */
struct mr_buckets *mr_buckets_new(uint32_t rate, uint64_t salt);
void mr_buckets_free(struct mr_buckets *buckets);

/* Takes one token. False: there is none, and *retry_after_ms says when there will be. */
bool mr_buckets_take(struct mr_buckets *buckets, const void *key, size_t bytes, uint64_t now_ms,
                     uint32_t *retry_after_ms);

#endif
