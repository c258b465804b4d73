#include "appliance/runtime/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "appliance/runtime/sandbox_internal.h"

/* A sanitizer's own threads, files and signals are in no list of what a hub needs; nor are the
 * files into which a process of `./run coverage` writes at its end which branches it took. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MR_COVERAGE)
static const bool is_instrumented = true;
#else
static const bool is_instrumented = false;
#endif

/* Required, and one of these parts is not in force. The driver's exceptions are the plan's own. */
static int insist(const struct mr_sandbox *sandbox, enum mr_sandbox_part first,
                  enum mr_sandbox_part last, struct mr_error *error)
{
    for (int i = first; sandbox->plan.mode == MR_SANDBOX_REQUIRED && i <= (int)last; i++) {
        const bool excepted =
            sandbox->plan.drives_hardware &&
            (i == MR_SANDBOX_FILES || i == MR_SANDBOX_PORTS || i == MR_SANDBOX_WORKERS);
        if (!sandbox->parts[i].in_force && !excepted) {
            return mr_error_set(error,
                                "sandbox.mode is required, but %s cannot be had: %s (auto takes "
                                "what there is)",
                                mr_sandbox_part_name(i), sandbox->parts[i].why);
        }
    }
    return 0;
}

/* --- begin ----------------------------------------------------------------------------------- */

static void forbid_dumps(struct mr_sandbox *sandbox)
{
    const struct rlimit none = {0, 0};
    struct rlimit locked;
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
        mr_sandbox_tell(sandbox, MR_SANDBOX_DUMPS, false, "%s", strerror(errno));
        return;
    }
    /* As much room for keys as the limit has. */
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
        locked.rlim_cur = locked.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &locked);
    }
    mr_sandbox_tell(sandbox, MR_SANDBOX_DUMPS, true,
                    locked.rlim_cur == RLIM_INFINITY
                        ? "keys are locked in memory"
                        : "up to %llu bytes of keys are locked in memory",
                    (unsigned long long)locked.rlim_cur);
}

int mr_sandbox_begin(struct mr_sandbox *sandbox, const struct mr_sandbox_plan *plan,
                     struct mr_error *error)
{
    *sandbox = (struct mr_sandbox){.plan = *plan};
    forbid_dumps(sandbox);
    if (is_instrumented && plan->mode == MR_SANDBOX_AUTO) {
        sandbox->plan.mode = MR_SANDBOX_OFF;
    }
    if (sandbox->plan.mode == MR_SANDBOX_OFF) {
        for (int i = MR_SANDBOX_NO_NEW_PRIVILEGES; i < MR_SANDBOX_PARTS; i++) {
            mr_sandbox_tell(sandbox, i, false, "%s",
                            is_instrumented ? "built with a sanitizer or for coverage"
                                            : "sandbox.mode is off");
        }
        return 0;
    }
    if (mr_sandbox_find_user(sandbox, error) != 0 ||
        mr_sandbox_make_data_dir(sandbox, error) != 0) {
        return -1;
    }
    const bool kept = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    mr_sandbox_tell(sandbox, MR_SANDBOX_NO_NEW_PRIVILEGES, kept, "%s", kept ? "" : strerror(errno));
    mr_sandbox_landlock(sandbox);
    return insist(sandbox, MR_SANDBOX_DUMPS, MR_SANDBOX_PORTS, error);
}

/* --- finish ---------------------------------------------------------------------------------- */

int mr_sandbox_finish(struct mr_sandbox *sandbox, struct mr_error *error)
{
    if (sandbox->plan.mode == MR_SANDBOX_OFF) {
        return 0;
    }
    if (mr_sandbox_become_user(sandbox, error) != 0) {
        return -1;
    }
    const bool dropped = mr_sandbox_drop_capabilities() == 0;
    mr_sandbox_tell(sandbox, MR_SANDBOX_CAPABILITIES, dropped, "%s",
                    dropped ? "" : strerror(errno));
    mr_sandbox_seccomp(sandbox);
    return insist(sandbox, MR_SANDBOX_CAPABILITIES, MR_SANDBOX_WORKERS, error);
}
