#include "appliance/runtime/pages.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, <asm-generic/mman-common.h> */
#endif

#define HUGE_PAGE_BYTES (2u << 20)

static void touch_pages(uint8_t *base, size_t bytes)
{
    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0) {
        return;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += page) {
        *(volatile uint8_t *)(base + at) = 0;
    }
}

int mr_pages_map(struct mr_pages *pages, size_t bytes, const char *what, struct mr_error *error)
{
    const size_t unit = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    const size_t rounded = (bytes + unit - 1) / unit * unit;
    void *base = MAP_FAILED;

    pages->base = NULL;
    pages->bytes = 0;
    if (rounded >= bytes) { /* no overflow */
        base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (base == MAP_FAILED) {
        return mr_error_set(error, "cannot map %zu bytes for %s: %s", bytes, what, strerror(errno));
    }
    /* Both are advice: a kernel without them still works. */
    if (unit == HUGE_PAGE_BYTES) {
        (void)madvise(base, rounded, MADV_HUGEPAGE);
    }
    (void)madvise(base, rounded, MADV_DONTDUMP);
    touch_pages(base, rounded);
    pages->base = base;
    pages->bytes = rounded;
    return 0;
}

void mr_pages_unmap(struct mr_pages *pages)
{
    if (pages->base) {
        munmap(pages->base, pages->bytes);
    }
    pages->base = NULL;
    pages->bytes = 0;
}

void *mr_pages_buffer(size_t bytes)
{
    const size_t unit = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : 64;
    const size_t rounded = (bytes + unit - 1) / unit * unit;
    void *buffer = rounded >= bytes ? aligned_alloc(unit, rounded) : NULL;

    if (buffer && unit == HUGE_PAGE_BYTES) {
        (void)madvise(buffer, rounded, MADV_HUGEPAGE);
    }
    return buffer;
}
