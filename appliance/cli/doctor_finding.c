#include "appliance/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>

void mr_finding_set(struct mr_finding *finding, enum mr_finding_level level, const char *remedy,
                    const char *format, ...)
{
    va_list arguments;
    finding->level = level;
    va_start(arguments, format);
    vsnprintf(finding->detail, sizeof finding->detail, format, arguments);
    va_end(arguments);
    snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy ? remedy : "");
}
