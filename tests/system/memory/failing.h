/* failing.h - memory that runs out when a test says so.
 *
 * The linker puts these in front of malloc, calloc, realloc, aligned_alloc, strdup and mmap (which
 * is mmap64 there) of everything that is linked statically (tests/system/memory/meson.build);
 * OpenSSL and jansson get theirs by their own hooks. */
#ifndef MR_TEST_SYSTEM_MEMORY_FAILING_H
#define MR_TEST_SYSTEM_MEMORY_FAILING_H

#include <stdbool.h>

/* First thing in main: the hooks must stand before OpenSSL allocates. */
void failing_install(void);

/* Runs `attempt` once with memory enough, then with the first allocation failing, the second, …
 * until none is left to fail. It returns true when it did its work, and must clean up in every
 * case; what it returns with memory enough must be true, and of the others at least one must be
 * false. Fails the test otherwise. */
void failing_each(bool (*attempt)(void *context), void *context, const char *name);

/* Whether jansson's allocations fail too: while it writes, not while it reads (base/json_memory.h
 * says why). At first they do not. */
void failing_json(bool also);

/* While it is on nothing fails, nor is it counted: a test's own work in the midst of an attempt
 * that runs on one thread. Returns what it was; off again when the attempt is over. */
bool failing_spare(bool on);

/* From now on the next allocation fails; for a child that is to die of it. */
void failing_now(void);

#endif
