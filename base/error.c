#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mr_error_set(struct mr_error *error, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return -1;
}

int mr_error_prefix(struct mr_error *error, const char *format, ...)
{
    if (!error) {
        return -1;
    }
    struct mr_error old = *error;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (written < 0) {
        *error = old;
        return -1;
    }
    size_t used = strlen(error->text);
    size_t left = sizeof error->text - used;
    int tail = snprintf(error->text + used, left, ": %s", old.text);
    (void)tail; /* a text that does not fit is cut, as the header says */
    return -1;
}

const char *mr_error_disk_hint(int why)
{
    return why == ENOSPC || why == EFBIG ? " (is the disk full?)" : "";
}
