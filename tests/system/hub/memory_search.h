/* memory_search.h - where a secret stands in the memory of another process. */
#ifndef MR_TEST_HUB_MEMORY_SEARCH_H
#define MR_TEST_HUB_MEMORY_SEARCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct found {
    unsigned guarded, bare; /* copies in locked pages that are left out of dumps, and elsewhere */
};

/* Reads all that a process has written to its memory. */
struct found memory_search(pid_t pid, const uint8_t *secret, size_t size);

#endif
