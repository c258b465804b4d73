/* sandbox_internal.h - the parts of the sandbox, for sandbox.c only. */
#ifndef MR_RUNTIME_SANDBOX_INTERNAL_H
#define MR_RUNTIME_SANDBOX_INTERNAL_H

#include "appliance/runtime/sandbox.h"

void sandbox_tell(struct mr_sandbox *sandbox, enum mr_sandbox_part part, bool in_force,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* sandbox_landlock.c: fills the parts FILES and PORTS. */
void sandbox_landlock(struct mr_sandbox *sandbox);

/* sandbox_seccomp.c: every thread of the process; fills SYSTEM_CALLS. */
void sandbox_seccomp(struct mr_sandbox *sandbox);

#endif
