#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void mr_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "millrace: bug: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
