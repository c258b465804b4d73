/* sandbox_user.c - whom the hub runs as once it is set up, and without which of root's rights. */
#include <errno.h>
#include <fts.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/runtime/sandbox_internal.h"

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

/* The plan's user and group by number. 0, or -1 with an error. */
static int look_up(struct mr_sandbox *sandbox, struct mr_error *error)
{
    const char *user = sandbox->plan.user, *group = sandbox->plan.group;
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

int mr_sandbox_find_user(struct mr_sandbox *sandbox, struct mr_error *error)
{
    const char *user = sandbox->plan.user;
    if (!user || !*user) {
        return 0;
    }
    if (geteuid() != 0) {
        return mr_error_set(error,
                            "sandbox.user: only root can become %s: start the hub as root, or as "
                            "%s without this key",
                            user, user);
    }
    if (look_up(sandbox, error) != 0) {
        return -1;
    }
    atomic_store(&sandbox->user_will_change, sandbox->drops_user);
    return 0;
}

/* All threads; 0 or -1 with errno. */
static int become(const struct mr_sandbox *sandbox)
{
    return setgroups(0, NULL) != 0 || setresgid(sandbox->gid, sandbox->gid, sandbox->gid) != 0 ||
                   setresuid(sandbox->uid, sandbox->uid, sandbox->uid) != 0
               ? -1
               : 0;
}

/* In a process of its own, which becomes the user: 0, or the errno of the first that it cannot
 * read, whose place comes through the pipe. */
static int try_files(const struct mr_sandbox *sandbox, const char *const *files, unsigned count,
                     int pipe_end)
{
    if (become(sandbox) != 0) {
        return 0; /* the start says so */
    }
    for (unsigned i = 0; i < count; i++) {
        if (*files[i] && access(files[i], R_OK) != 0) {
            const int problem = errno;
            return write(pipe_end, &i, sizeof i) == sizeof i ? problem : 0;
        }
    }
    return 0;
}

int mr_sandbox_check_files(const char *user, const char *group, const char *const *files,
                           unsigned count, struct mr_error *error)
{
    struct mr_sandbox sandbox = {.plan = {.user = user, .group = group}};
    int ends[2], status = 0;
    unsigned which = count;
    if (!user || !*user || geteuid() != 0) {
        return 0;
    }
    if (look_up(&sandbox, error) != 0) {
        return -1;
    }
    if (pipe(ends) != 0) {
        return mr_error_set(error, "sandbox.user: %s", strerror(errno));
    }
    const pid_t child = fork();
    if (child == 0) {
        _exit(try_files(&sandbox, files, count, ends[1]));
    }
    close(ends[1]);
    const bool told = read(ends[0], &which, sizeof which) == sizeof which && which < count;
    close(ends[0]);
    if (child > 0) {
        waitpid(child, &status, 0);
    }
    return told ? mr_error_set(error,
                               "sandbox.user: %s cannot read %s, which the hub reads again while "
                               "it runs (%s): give it to that user, with a way through its folders",
                               user, files[which], strerror(WEXITSTATUS(status)))
                : 0;
}

int mr_sandbox_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {0};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

void mr_sandbox_confine_job(void *context)
{
    const struct mr_sandbox *sandbox = context;
    if (!atomic_load(&sandbox->user_will_change)) {
        (void)mr_sandbox_drop_capabilities(); /* if there were any */
    }
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

int mr_sandbox_become_user(struct mr_sandbox *sandbox, struct mr_error *error)
{
    if (!sandbox->drops_user) {
        const bool root = geteuid() == 0;
        mr_sandbox_tell(sandbox, MR_SANDBOX_USER, !root,
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
    if (become(sandbox) != 0) {
        return mr_error_set(error, "sandbox.user: cannot become %s: %s", plan->user,
                            strerror(errno));
    }
    atomic_store(&sandbox->user_will_change, false);
    (void)prctl(PR_SET_DUMPABLE, 0); /* a change of user sets it anew */
    mr_sandbox_tell(sandbox, MR_SANDBOX_USER, true, "%s (%u:%u)", plan->user,
                    (unsigned)sandbox->uid, (unsigned)sandbox->gid);
    return 0;
}
