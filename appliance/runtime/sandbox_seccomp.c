/* sandbox_seccomp.c - the system calls that are left, and what becomes of the others. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "appliance/runtime/sandbox_internal.h"
#include "base/assert.h"
#include "base/last_words.h"

#define BOTH   1u
#define HUB    2u
#define DIALS  4u
#define DRIVER 8u

static const struct {
    int number;
    unsigned who;
} calls[] = {
#define MR_SYSCALL(name, who) {SCMP_SYS(name), who},
#include "appliance/runtime/sandbox_syscalls.def"
};

/* --- the violation --------------------------------------------------------------------------- */

static size_t put_text(char *line, size_t at, const char *text)
{
    while (*text) {
        line[at++] = *text++;
    }
    return at;
}

static size_t put_number(char *line, size_t at, unsigned number)
{
    char digits[12];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count) {
        line[at++] = digits[--count];
    }
    return at;
}

/* Only what may be called in a handler. The call was not done. */
static void on_violation(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    char line[128];
    size_t at = put_text(line, 0, "millrace-hub: sandbox.violation syscall=");
    at = put_number(line, at, (unsigned)info->si_syscall);
    at = put_text(line, at, " thread=");
    at = put_number(line, at, (unsigned)syscall(SYS_gettid));
    at = put_text(line, at, ": not allowed after set-up, the hub dies (sandbox.mode)\n");
    mr_last_words(line, at); /* else the signal has to say it alone */
    signal(signal_number, SIG_DFL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal_number);
}

static int handle_violations(void)
{
    struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL);
}

/* --- the rules ------------------------------------------------------------------------------- */

struct rules {
    scmp_filter_ctx filter;
    int failed; /* the first error, negative */
};

static void rule(struct rules *rules, uint32_t action, int number, unsigned count,
                 const struct scmp_arg_cmp *arguments)
{
    const int result = seccomp_rule_add_array(rules->filter, action, number, count, arguments);
    if (result < 0 && result != -EDOM && !rules->failed) { /* EDOM: not on this architecture */
        rules->failed = result;
    }
}

static void allow_if(struct rules *rules, int number, struct scmp_arg_cmp argument)
{
    rule(rules, SCMP_ACT_ALLOW, number, 1, &argument);
}

/* Memory that is written is never code. Refused rather than deadly: a name service's library that
 * cannot be loaded is done without. */
static void rule_on_code(struct rules *rules, int number)
{
    const struct scmp_arg_cmp code = SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC);
    allow_if(rules, number, SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    rule(rules, SCMP_ACT_ERRNO(EPERM), number, 1, &code);
}

/* The resolver asks for these as well and lives without. */
static void rule_on_sockets(struct rules *rules)
{
    const struct scmp_arg_cmp local = SCMP_A0_64(SCMP_CMP_EQ, AF_UNIX);
    const struct scmp_arg_cmp netlink = SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK);
    allow_if(rules, SCMP_SYS(socket), SCMP_A0_64(SCMP_CMP_EQ, AF_INET));
    allow_if(rules, SCMP_SYS(socket), SCMP_A0_64(SCMP_CMP_EQ, AF_INET6));
    rule(rules, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, &local);
    rule(rules, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, &netlink);
}

/* A task that is added later has threads of its own: threads of this process, under these rules,
 * never a process. The newer call's flags cannot be looked at: refused, so that the C library takes
 * the older one. */
static void rule_on_threads(struct rules *rules)
{
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    allow_if(rules, SCMP_SYS(clone), SCMP_A0_64(SCMP_CMP_MASKED_EQ, thread, thread));
    rule(rules, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
}

static void rule_on_arguments(struct rules *rules, unsigned who)
{
    allow_if(rules, SCMP_SYS(tgkill), SCMP_A0_64(SCMP_CMP_EQ, (uint64_t)getpid()));
    allow_if(rules, SCMP_SYS(prctl), SCMP_A0_64(SCMP_CMP_EQ, PR_SET_NAME));
    allow_if(rules, SCMP_SYS(prctl), SCMP_A0_64(SCMP_CMP_EQ, PR_CAP_AMBIENT));
    allow_if(rules, SCMP_SYS(prlimit64), SCMP_A2_64(SCMP_CMP_EQ, 0)); /* looks only */
    if (who & DRIVER) {
        /* The calls are whole, by the table. AF_XDP's would take its program off the interface in
         * the end, and lives without: so the kernel would answer, the capabilities being gone. */
        rule(rules, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 0, NULL);
        return;
    }
    rule_on_code(rules, SCMP_SYS(mmap));
    rule_on_code(rules, SCMP_SYS(mprotect));
    allow_if(rules, SCMP_SYS(ioctl), SCMP_A1_64(SCMP_CMP_EQ, FIONREAD));
    if (who & HUB) {
        rule_on_threads(rules);
    }
    if (who & DIALS) {
        rule_on_sockets(rules);
    }
}

/* 0 or a negative errno. A worker closes its way to other threads' filters: on its own thread. */
static int load(unsigned who, bool all_threads)
{
    struct rules rules = {.filter = seccomp_init(SCMP_ACT_TRAP)};
    if (!rules.filter) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].who & who) {
            rule(&rules, SCMP_ACT_ALLOW, calls[i].number, 0, NULL);
        }
    }
    rule_on_arguments(&rules, who);
    int result = rules.failed;
    if (result == 0) {
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (result == 0) {
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    if (result == 0) {
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_NNP, 0); /* set at the beginning */
    }
    if (result == 0 && all_threads) {
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (result == 0) {
        result = seccomp_load(rules.filter);
    }
    seccomp_release(rules.filter);
    return result;
}

void mr_sandbox_seccomp(struct mr_sandbox *sandbox)
{
    const struct mr_sandbox_plan *plan = &sandbox->plan;
    const unsigned who =
        BOTH | HUB | (plan->dial_count ? DIALS : 0) | (plan->drives_hardware ? DRIVER : 0);
    int result = mr_sandbox_has_seccomp() ? 0 : -ENOSYS;
    if (result == 0 && handle_violations() != 0) {
        result = -errno;
    }
    if (result == 0) {
        result = load(who, true);
    }
    if (result != 0) {
        mr_sandbox_tell(sandbox, MR_SANDBOX_SYSTEM_CALLS, false, "%s",
                        result == -ENOSYS ? "this kernel has no seccomp filters"
                                          : strerror(-result));
        mr_sandbox_tell(sandbox, MR_SANDBOX_WORKERS, false, "there is no filter to narrow");
        return;
    }
    mr_sandbox_tell(sandbox, MR_SANDBOX_SYSTEM_CALLS, true, "seccomp, %s",
                    plan->drives_hardware ? "with what the driver needs"
                    : plan->dial_count    ? "with connections to other hubs"
                                          : "without a socket of its own making");
    mr_sandbox_tell(sandbox, MR_SANDBOX_WORKERS, !plan->drives_hardware, "%s",
                    plan->drives_hardware ? "the packet source is a driver"
                                          : "what is open is read and written, nothing is opened");
}

void mr_sandbox_confine_worker(void)
{
    sigset_t violation;
    sigemptyset(&violation);
    sigaddset(&violation, SIGSYS); /* blocked, it would kill without a word */
    pthread_sigmask(SIG_UNBLOCK, &violation, NULL);
    const int dropped = mr_sandbox_drop_capabilities();
    const int loaded = load(BOTH, false);
    MR_ASSERT(dropped == 0 && loaded == 0); /* the whole process took a wider one a moment ago */
}

bool mr_sandbox_has_seccomp(void)
{
    const uint32_t action = SCMP_ACT_TRAP;
    return syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action) == 0;
}
