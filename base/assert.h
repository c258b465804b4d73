/* assert.h - always-on assertions: a failure is a bug of ours, never bad input. */
#ifndef MR_BASE_ASSERT_H
#define MR_BASE_ASSERT_H

/* Prints where and what to stderr, then aborts. */
_Noreturn void mr_assert_failed(const char *condition, const char *file, int line);

#define MR_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            mr_assert_failed(#condition, __FILE__, __LINE__);                                      \
    } while (0)

#endif
