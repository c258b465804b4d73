/* last_words.h - what a process says when it dies by a bug. */
#ifndef MR_BASE_LAST_WORDS_H
#define MR_BASE_LAST_WORDS_H

#include <stddef.h>

/* Writes to standard error if it takes the text within a tenth of a second. A pipe that nobody
 * reads must not keep a process alive that is to die. Safe in a signal handler. At most 4096 bytes,
 * which a pipe that has room takes whole. */
void mr_last_words(const char *text, size_t length);

#endif
