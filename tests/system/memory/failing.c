#include "tests/system/memory/failing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#define NEVER INT64_MAX

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);

static bool json_fails;
static bool spared;

/* Allocations until one fails; others go on after it. */
static _Atomic int64_t left = NEVER;

static bool fails(void)
{
    if (spared || atomic_load(&left) == NEVER) {
        return false;
    }
    if (atomic_fetch_sub(&left, 1) != 0) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return fails() ? NULL : __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails() ? MAP_FAILED : __real_mmap64(at, bytes, protection, flags, fd, offset);
}

static void *openssl_malloc(size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    return bytes == 0 || fails() ? NULL : __real_malloc(bytes);
}

static void *openssl_realloc(void *memory, size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return fails() ? NULL : __real_realloc(memory, bytes);
}

static void openssl_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

static void *json_malloc(size_t bytes)
{
    return json_fails ? __wrap_malloc(bytes) : __real_malloc(bytes);
}

void failing_json(bool also)
{
    json_fails = also;
}

bool failing_spare(bool on)
{
    const bool before = spared;
    spared = on;
    return before;
}

void failing_install(void)
{
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        abort();
    }
    json_set_alloc_funcs(json_malloc, free);
}

void failing_now(void)
{
    atomic_store(&left, 0);
}

void failing_each(bool (*attempt)(void *context), void *context, const char *name)
{
    unsigned failed = 0;
    if (!attempt(context)) {
        fail_msg("%s fails with memory enough", name);
    }
    spared = false;
    for (int64_t n = 0;; n++) {
        atomic_store(&left, n);
        const bool done = attempt(context);
        spared = false;
        const bool reached = atomic_exchange(&left, NEVER) < 0;
        ERR_clear_error();
        if (!reached) { /* every allocation has had its turn */
            if (!done) {
                fail_msg("%s fails though nothing failed it", name);
            }
            break;
        }
        failed += !done;
    }
    if (failed == 0) {
        fail_msg("%s never saw a failure", name);
    }
}
