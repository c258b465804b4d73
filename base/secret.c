#include "base/secret.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

/* At the start of the first page. */
struct head {
    _Alignas(64) uint8_t *base; /* of the mapping, its guards included */
    size_t mapped, bytes;
};

static struct head *head_of(void *secret)
{
    struct head *head = (struct head *)secret - 1;
    MR_ASSERT((uintptr_t)secret % 64 == 0 && head->base);
    return head;
}

void mr_secret_guard(void *base, size_t bytes)
{
    /* None of it can be insisted on: limits and old kernels differ. */
    (void)mlock2(base, bytes, 0); /* the address sanitizer makes nothing of mlock */
    (void)madvise(base, bytes, MADV_DONTDUMP);
    (void)madvise(base, bytes, MADV_WIPEONFORK);
}

void *mr_secret_new(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t inner = (sizeof(struct head) + bytes + page - 1) / page * page;
    uint8_t *base =
        mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(base + page, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, inner + 2 * page);
        return NULL;
    }
    mr_secret_guard(base + page, inner);
    struct head *head = (struct head *)(void *)(base + page);
    *head = (struct head){.base = base, .mapped = inner + 2 * page, .bytes = bytes};
    return head + 1;
}

void mr_secret_wipe(void *secret)
{
    OPENSSL_cleanse(secret, head_of(secret)->bytes);
}

void mr_secret_free(void *secret)
{
    if (!secret) {
        return;
    }
    const struct head head = *head_of(secret);
    mr_secret_wipe(secret);
    munmap(head.base, head.mapped);
}
