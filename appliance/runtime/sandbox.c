#include "appliance/runtime/sandbox.h"

#include <errno.h>
#include <fts.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "appliance/runtime/sandbox_internal.h"

/* A sanitizer's own threads, files and signals are in no list of what a hub needs; nor are the
 * files into which a process of `./run coverage` writes at its end which branches it took. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MR_COVERAGE)
static const bool is_instrumented = true;
#else
static const bool is_instrumented = false;
#endif

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

void sandbox_tell(struct mr_sandbox *sandbox, enum mr_sandbox_part part, bool in_force,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sandbox->parts[part].in_force = in_force;
    vsnprintf(sandbox->parts[part].why, sizeof sandbox->parts[part].why, format, arguments);
    va_end(arguments);
}

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
                                part_names[i], sandbox->parts[i].why);
        }
    }
    return 0;
}

/* --- the user -------------------------------------------------------------------------------- */

int mr_sandbox_check_user(const char *user, const char *group, struct mr_error *error)
{
    if (!user || !*user) {
        return 0;
    }
    if (!getpwnam(user)) {
        return mr_error_set(error,
                            "sandbox.user: there is no user %s: make one with `adduser --system "
                            "--group %s`",
                            user, user);
    }
    if (group && *group && !getgrnam(group)) {
        return mr_error_set(error, "sandbox.group: there is no group %s", group);
    }
    return 0;
}

static int find_user(struct mr_sandbox *sandbox, struct mr_error *error)
{
    const char *user = sandbox->plan.user, *group = sandbox->plan.group;
    if (!user || !*user) {
        return 0;
    }
    if (geteuid() != 0) {
        return mr_error_set(error,
                            "sandbox.user: only root can become %s: start the hub as root, or as "
                            "%s without this key",
                            user, user);
    }
    const struct passwd *entry = getpwnam(user);
    if (!entry) {
        return mr_sandbox_check_user(user, group, error);
    }
    sandbox->uid = entry->pw_uid;
    sandbox->gid = entry->pw_gid;
    const struct group *named = group && *group ? getgrnam(group) : NULL;
    if (group && *group && !named) {
        return mr_sandbox_check_user(user, group, error);
    }
    sandbox->gid = named ? named->gr_gid : sandbox->gid;
    sandbox->drops_user = sandbox->uid != 0;
    return 0;
}

/* Made now, so that there is something for the rules on files to speak of. */
static int make_data_dir(const struct mr_sandbox *sandbox, struct mr_error *error)
{
    const char *path = sandbox->plan.data_dir;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return mr_error_set(error, "data_dir %s: %s", path, strerror(errno));
    }
    return 0;
}

/* --- begin ----------------------------------------------------------------------------------- */

static void forbid_dumps(struct mr_sandbox *sandbox)
{
    const struct rlimit none = {0, 0};
    struct rlimit locked;
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
        sandbox_tell(sandbox, MR_SANDBOX_DUMPS, false, "%s", strerror(errno));
        return;
    }
    /* As much room for keys as the limit has. */
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
        locked.rlim_cur = locked.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &locked);
    }
    sandbox_tell(sandbox, MR_SANDBOX_DUMPS, true,
                 locked.rlim_cur == RLIM_INFINITY ? "keys are locked in memory"
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
            sandbox_tell(sandbox, i, false, "%s",
                         is_instrumented ? "built with a sanitizer or for coverage"
                                         : "sandbox.mode is off");
        }
        return 0;
    }
    if (find_user(sandbox, error) != 0 || make_data_dir(sandbox, error) != 0) {
        return -1;
    }
    const bool kept = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    sandbox_tell(sandbox, MR_SANDBOX_NO_NEW_PRIVILEGES, kept, "%s", kept ? "" : strerror(errno));
    sandbox_landlock(sandbox);
    return insist(sandbox, MR_SANDBOX_DUMPS, MR_SANDBOX_PORTS, error);
}

/* --- finish ---------------------------------------------------------------------------------- */

int mr_sandbox_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {0};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

/* What set-up made as root belongs to the user from here on. */
static int hand_over_data(const struct mr_sandbox *sandbox)
{
    char *const paths[] = {(char *)sandbox->plan.data_dir, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    int result = walk ? 0 : -1;
    for (FTSENT *entry; result == 0 && (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            errno = entry->fts_errno;
            result = -1;
        } else if (entry->fts_info != FTS_DP && entry->fts_statp->st_uid == 0) {
            result = lchown(entry->fts_accpath, sandbox->uid, sandbox->gid);
        }
    }
    const int problem = errno;
    if (walk) {
        fts_close(walk);
    }
    errno = problem;
    return result;
}

/* All threads: the C library passes it on, and with root's number go root's capabilities. */
static int become_user(struct mr_sandbox *sandbox, struct mr_error *error)
{
    if (!sandbox->drops_user) {
        const bool root = geteuid() == 0;
        sandbox_tell(sandbox, MR_SANDBOX_USER, !root,
                     root ? "runs as root: set sandbox.user, or start it as another user"
                          : "already user %u",
                     (unsigned)geteuid());
        return 0;
    }
    const struct mr_sandbox_plan *plan = &sandbox->plan;
    if (hand_over_data(sandbox) != 0) {
        return mr_error_set(error, "data_dir %s: cannot hand it to %s: %s", plan->data_dir,
                            plan->user, strerror(errno));
    }
    if (setgroups(0, NULL) != 0 || setresgid(sandbox->gid, sandbox->gid, sandbox->gid) != 0 ||
        setresuid(sandbox->uid, sandbox->uid, sandbox->uid) != 0) {
        return mr_error_set(error, "sandbox.user: cannot become %s: %s", plan->user,
                            strerror(errno));
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* a change of user sets it anew */
    sandbox_tell(sandbox, MR_SANDBOX_USER, true, "%s (%u:%u)", plan->user, (unsigned)sandbox->uid,
                 (unsigned)sandbox->gid);
    return 0;
}

int mr_sandbox_finish(struct mr_sandbox *sandbox, struct mr_error *error)
{
    if (sandbox->plan.mode == MR_SANDBOX_OFF) {
        return 0;
    }
    if (become_user(sandbox, error) != 0) {
        return -1;
    }
    const bool dropped = mr_sandbox_drop_capabilities() == 0;
    sandbox_tell(sandbox, MR_SANDBOX_CAPABILITIES, dropped, "%s", dropped ? "" : strerror(errno));
    sandbox_seccomp(sandbox);
    return insist(sandbox, MR_SANDBOX_CAPABILITIES, MR_SANDBOX_WORKERS, error);
}
