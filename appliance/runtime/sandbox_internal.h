/* sandbox_internal.h - the parts of the sandbox. From below: sandbox_parts.c, sandbox_user.c,
 * sandbox_data_dir.c, sandbox_landlock.c, sandbox_seccomp.c, sandbox.c. */
#ifndef MR_RUNTIME_SANDBOX_INTERNAL_H
#define MR_RUNTIME_SANDBOX_INTERNAL_H

#include "appliance/runtime/sandbox.h"

/* sandbox_parts.c: notes how a part is in force, or why it is not (printf's format). */
void mr_sandbox_tell(struct mr_sandbox *sandbox, enum mr_sandbox_part part, bool in_force,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* sandbox_user.c. Looks the plan's user up before the rules on files hide /etc. 0, or -1 with an
 * error. */
int mr_sandbox_find_user(struct mr_sandbox *sandbox, struct mr_error *error);

/* sandbox_data_dir.c. Makes data_dir where it is missing, so that the user may write in it and
 * there is something for the rules on files to speak of. 0, or -1 with an error. */
int mr_sandbox_make_data_dir(const struct mr_sandbox *sandbox, struct mr_error *error);

/* sandbox_landlock.c: fills the parts FILES and PORTS. */
void mr_sandbox_landlock(struct mr_sandbox *sandbox);

/* sandbox_seccomp.c: every thread of the process; fills SYSTEM_CALLS and WORKERS. */
void mr_sandbox_seccomp(struct mr_sandbox *sandbox);

#endif
