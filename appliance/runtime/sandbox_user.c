/* sandbox_user.c - whom the hub runs as once it is set up, and without which of root's rights. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <stdio.h>
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

/* --- as the user, in a process of its own ---------------------------------------------------- */

struct deed {
    mr_sandbox_deed_fn fn;
    void *context;
};

/* The child's part: its error goes through the pipe. */
static int do_as(const struct mr_sandbox *sandbox, const struct deed *deed, int pipe_end)
{
    struct mr_error error = {.text = ""};
    if (become(sandbox) != 0) {
        mr_error_set(&error, "sandbox.user: cannot become %s: %s", sandbox->plan.user,
                     strerror(errno));
    } else if (deed->fn(deed->context, &error) == 0) {
        return 0;
    }
    const ssize_t length = (ssize_t)strlen(error.text);
    return write(pipe_end, error.text, (size_t)length) == length ? 1 : 2;
}

static int read_text(int fd, char *text, size_t bytes)
{
    size_t got = 0;
    for (ssize_t n; got < bytes - 1 && (n = read(fd, text + got, bytes - 1 - got)) != 0;) {
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    text[got] = '\0';
    return 0;
}

static int in_a_child(const struct mr_sandbox *sandbox, const struct deed *deed,
                      struct mr_error *error)
{
    struct mr_error told = {.text = ""};
    int ends[2], status = 0;
    if (pipe(ends) != 0) {
        return mr_error_set(error, "sandbox.user: %s", strerror(errno));
    }
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(do_as(sandbox, deed, ends[1]));
    }
    const int problem = errno;
    close(ends[1]);
    (void)read_text(ends[0], told.text, sizeof told.text);
    close(ends[0]);
    if (child < 0) {
        return mr_error_set(error, "sandbox.user: %s", strerror(problem));
    }
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    return mr_error_set(error, "%s",
                        *told.text ? told.text : "sandbox.user: the process that tried has died");
}

int mr_sandbox_as_user(const char *user, const char *group, mr_sandbox_deed_fn fn, void *context,
                       struct mr_error *error)
{
    struct mr_sandbox sandbox = {.plan = {.user = user, .group = group}};
    const struct deed deed = {fn, context};
    if (!user || !*user || geteuid() != 0) {
        return fn(context, error);
    }
    return look_up(&sandbox, error) == 0 ? in_a_child(&sandbox, &deed, error) : -1;
}

struct files {
    const char *user;
    const char *const *list;
    unsigned count;
};

static int try_files(void *context, struct mr_error *error)
{
    const struct files *files = context;
    for (unsigned i = 0; i < files->count; i++) {
        if (*files->list[i] && access(files->list[i], R_OK) != 0) {
            return mr_error_set(error,
                                "sandbox.user: %s cannot read %s, which the hub reads again while "
                                "it runs (%s): give it to that user, with a way through its "
                                "folders",
                                files->user, files->list[i], strerror(errno));
        }
    }
    return 0;
}

int mr_sandbox_check_files(const char *user, const char *group, const char *const *files,
                           unsigned count, struct mr_error *error)
{
    struct files tried = {user, files, count};
    return !user || !*user || geteuid() != 0
               ? 0
               : mr_sandbox_as_user(user, group, try_files, &tried, error);
}

/* --- rights ---------------------------------------------------------------------------------- */

/* Of this thread: none but those of the mask. */
static int keep_capabilities(uint64_t mask)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        kept[i].effective = kept[i].permitted = (uint32_t)(mask >> 32 * i);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, kept);
}

int mr_sandbox_drop_capabilities(void)
{
    return keep_capabilities(0);
}

void mr_sandbox_confine_job(void *context)
{
    const struct mr_sandbox *sandbox = context;
    if (!atomic_load(&sandbox->user_will_change)) {
        (void)mr_sandbox_drop_capabilities(); /* if there were any */
    }
}

/* The control port may be one that only root may bind, and is bound after this. Only this thread
 * keeps the right, until _finish. */
static int become_but_for_port(const struct mr_sandbox *sandbox)
{
    const bool binds = sandbox->plan.listen_port != 0 && sandbox->plan.listen_port < 1024;
    if (!binds) {
        return become(sandbox);
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || become(sandbox) != 0) {
        return -1;
    }
    const int result = keep_capabilities(UINT64_C(1) << CAP_NET_BIND_SERVICE);
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
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
    if (geteuid() == sandbox->uid) {
        return 0; /* by an earlier call */
    }
    if (become_but_for_port(sandbox) != 0) {
        return mr_error_set(error, "sandbox.user: cannot become %s: %s", sandbox->plan.user,
                            strerror(errno));
    }
    atomic_store(&sandbox->user_will_change, false);
    (void)prctl(PR_SET_DUMPABLE, 0); /* a change of user sets it anew */
    mr_sandbox_tell(sandbox, MR_SANDBOX_USER, true, "%s (%u:%u)", sandbox->plan.user,
                    (unsigned)sandbox->uid, (unsigned)sandbox->gid);
    return 0;
}
