/* forbidden_calls.h - counts what upload workers allocate and lock, between two marked points.
 *
 * A program that links this calls malloc, its kin and the locks of POSIX threads through it,
 * libraries included. (glibc's own locks, inside its functions, pass unseen; so do inline spin
 * locks.) Only threads that are named as workers are ("mr-upload-N") are counted. */
#ifndef MR_TEST_UPLOAD_FORBIDDEN_CALLS_H
#define MR_TEST_UPLOAD_FORBIDDEN_CALLS_H

#include <stdbool.h>

#define TOLLS_WORKERS_MAX 8

enum toll {
#define TOLL(name) TOLL_##name,
#include "tolls.def"
#undef TOLL
    TOLLS
};
const char *toll_name(enum toll toll);

/* False under a sanitizer, which owns the allocator and the locks. */
bool tolls_are_counted(void);

/* From here on they are counted, from zero. Any thread. */
void tolls_begin(void);
void tolls_end(void);
/* What that worker called between the two. */
unsigned tolls_paid(unsigned worker, enum toll toll);
/* Fails the test if any worker called anything of it, and says what. */
void tolls_assert_none(void);

#endif
