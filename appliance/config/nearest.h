/* nearest.h - the word somebody probably meant: for "did you mean …?". */
#ifndef MR_CONFIG_NEAREST_H
#define MR_CONFIG_NEAREST_H

#include <stddef.h>

/* The word nearest to `typed` by edit distance (insert, delete, replace, swap of neighbours; each
 * 1), at most 2 and less than half of its length; NULL if there is none. Words beyond 63 bytes are
 * never near. */
const char *mr_nearest_word(const char *typed, const char *const *words, size_t count);

#endif
