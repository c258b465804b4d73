#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/last_words.h"

void mr_assert_failed(const char *condition, const char *file, int line)
{
    char text[512];
    const int length = snprintf(text, sizeof text, "millrace: bug: assertion failed: %s (%s:%d)\n",
                                condition, file, line);
    mr_last_words(text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    abort();
}
