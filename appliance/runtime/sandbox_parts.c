/* sandbox_parts.c - the names of the parts, and which of them are in force. */
#include <stdarg.h>
#include <stdio.h>

#include "appliance/runtime/sandbox_internal.h"

static const char *const part_names[MR_SANDBOX_PARTS] = {
    [MR_SANDBOX_DUMPS] = "no_dumps",
    [MR_SANDBOX_NO_NEW_PRIVILEGES] = "no_new_privileges",
    [MR_SANDBOX_FILES] = "files",
    [MR_SANDBOX_PORTS] = "ports",
    [MR_SANDBOX_USER] = "user",
    [MR_SANDBOX_CAPABILITIES] = "no_capabilities",
    [MR_SANDBOX_SYSTEM_CALLS] = "system_calls",
    [MR_SANDBOX_WORKERS] = "workers",
};

const char *mr_sandbox_part_name(enum mr_sandbox_part part)
{
    return part_names[part];
}

void mr_sandbox_tell(struct mr_sandbox *sandbox, enum mr_sandbox_part part, bool in_force,
                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sandbox->parts[part].in_force = in_force;
    vsnprintf(sandbox->parts[part].why, sizeof sandbox->parts[part].why, format, arguments);
    va_end(arguments);
}
