/* sandbox_landlock.c - the files and ports that a hub will ever need, by whatever version of
 * Landlock the kernel has. Debian 12's headers end at version 2: what came later is spelled out
 * here. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "appliance/runtime/sandbox_internal.h"

#define FS_TRUNCATE    (1ull << 14)
#define FS_IOCTL_DEV   (1ull << 15)
#define NET_BIND_TCP   (1ull << 0)
#define NET_DIAL_TCP   (1ull << 1)
#define RULE_NET_PORT  2
#define SCOPE_ABSTRACT (1ull << 0)
#define SCOPE_SIGNAL   (1ull << 1)

struct ruleset {
    uint64_t fs, net, scoped;
};

struct net_port {
    uint64_t access, port;
};

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                   \
    (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                    \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |   \
     LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
/* What a rule on a single file may speak of. */
#define FS_OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* What libraries read, each where it is there: configuration of OpenSSL, the loader, the number of
 * CPUs, names and their services. */
static const char *const of_libraries[] = {
    "/etc/ssl",
    "/usr/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/machine-id",
    "/sys/devices/system",
    "/dev/null",
    "/dev/urandom",
};

int mr_sandbox_landlock_version(void)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static uint64_t all_of_files(int version)
{
    uint64_t access = (1ull << 13) - 1;
    access |= version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
    access |= version >= 3 ? FS_TRUNCATE : 0;
    access |= version >= 5 ? FS_IOCTL_DEV : 0;
    return access;
}

/* 0 or -1 with errno. A path that is not there needs no rule. */
static int allow_path(int rules, uint64_t handled, const char *path, bool writes)
{
    struct stat about;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = (writes ? FS_WRITE : FS_READ) & handled,
        .parent_fd = open(path, O_PATH | O_CLOEXEC),
    };
    if (rule.parent_fd < 0) {
        return errno == ENOENT ? 0 : -1;
    }
    if (fstat(rule.parent_fd, &about) == 0 && !S_ISDIR(about.st_mode)) {
        rule.allowed_access &= FS_OF_FILES;
    }
    const int result =
        (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    const int problem = errno;
    close(rule.parent_fd);
    errno = problem;
    return result;
}

static int allow_port(int rules, uint64_t access, uint16_t port)
{
    const struct net_port rule = {.access = access, .port = port};
    return (int)syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &rule, 0);
}

static int add_rules(int rules, const struct ruleset *set, const struct mr_sandbox_plan *plan)
{
    int result = allow_path(rules, set->fs, plan->data_dir, true);
    for (size_t i = 0; result == 0 && i < sizeof of_libraries / sizeof *of_libraries; i++) {
        result = allow_path(rules, set->fs, of_libraries[i], false);
    }
    for (unsigned i = 0; result == 0 && i < plan->path_count; i++) {
        const struct mr_sandbox_path *path = &plan->paths[i];
        if (path->path && *path->path) {
            result = allow_path(rules, set->fs, path->path, path->writes);
        }
    }
    if (result == 0 && set->net) {
        result = allow_port(rules, NET_BIND_TCP, plan->listen_port);
    }
    for (unsigned i = 0; result == 0 && set->net && i < plan->dial_count; i++) {
        result = allow_port(rules, NET_DIAL_TCP, plan->dial_ports[i]);
    }
    if (result == 0 && set->net && plan->dial_count) {
        result =
            allow_port(rules, NET_DIAL_TCP, 53); /* an answer that was cut off is asked by TCP */
    }
    return result;
}

static int restrict_self(int version, const struct mr_sandbox_plan *plan)
{
    const struct ruleset set = {
        .fs = all_of_files(version),
        .net = version >= 4 ? NET_BIND_TCP | NET_DIAL_TCP : 0,
        .scoped = version >= 6 ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0,
    };
    const size_t known = version >= 6 ? sizeof set : version >= 4 ? 16 : 8;
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &set, known, 0);
    if (rules < 0) {
        return -1;
    }
    int result = add_rules(rules, &set, plan);
    if (result == 0) {
        result = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    }
    const int problem = errno;
    close(rules);
    errno = problem;
    return result;
}

void mr_sandbox_landlock(struct mr_sandbox *sandbox)
{
    const int version = mr_sandbox_landlock_version();
    const char *why = NULL;
    if (sandbox->plan.drives_hardware) {
        why = "the packet source is a driver that opens devices by itself";
    } else if (version == 0) {
        why = "this kernel has no Landlock (Linux 5.13, lsm=landlock)";
    } else if (restrict_self(version, &sandbox->plan) != 0) {
        why = strerror(errno);
    }
    if (why) {
        mr_sandbox_tell(sandbox, MR_SANDBOX_FILES, false, "%s", why);
        mr_sandbox_tell(sandbox, MR_SANDBOX_PORTS, false, "%s", why);
        return;
    }
    mr_sandbox_tell(sandbox, MR_SANDBOX_FILES, true, "Landlock version %d", version);
    if (version >= 4) {
        mr_sandbox_tell(sandbox, MR_SANDBOX_PORTS, true, "Landlock version %d, %u to dial", version,
                        sandbox->plan.dial_count);
    } else {
        mr_sandbox_tell(sandbox, MR_SANDBOX_PORTS, false,
                        "Landlock version %d knows no ports (Linux 6.7 does)", version);
    }
}
