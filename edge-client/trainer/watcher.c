#include "edge-client/trainer/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge-client/trainer/child.h"

#define LOCK_FD    3  /* inherited by the program */
#define TELL_FD    4  /* the watcher's own */
#define HIGH_FD    16 /* out of the way of these while they are put in place */
#define LIST_BYTES 4096

/* --- before the program ----------------------------------------------------------------------- */

static void reset_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &action, NULL); /* of those that cannot be changed: nothing happens */
    }
}

static void close_from(unsigned first)
{
    if (syscall(SYS_close_range, first, UINT_MAX, 0) == 0) {
        return;
    }
    for (unsigned fd = first; fd < 65536; fd++) { /* Linux before 5.9 */
        close((int)fd);
    }
}

static void set_descriptors(const struct mr_watcher_setup *setup)
{
    const int lock = fcntl(setup->lock, F_DUPFD, HIGH_FD);
    const int tell = fcntl(setup->socket, F_DUPFD, HIGH_FD);
    dup2(lock, LOCK_FD);
    dup2(tell, TELL_FD);
    fcntl(TELL_FD, F_SETFD, FD_CLOEXEC);
    close_from(TELL_FD + 1);
    close(0);
    const int input = open("/dev/null", O_RDONLY);
    if (input > 0) {
        dup2(input, 0);
        close(input);
    }
    if (fcntl(2, F_GETFD) < 0) { /* the host has closed its standard error */
        const int output = open("/dev/null", O_WRONLY);
        if (output >= 0 && output != 2) {
            dup2(output, 2);
            close(output);
        }
    }
    dup2(2, 1); /* our standard output carries results only */
}

static void tell(enum mr_child_end end, int value, bool none_left)
{
    const struct mr_watcher_told told = {(int)end, value, none_left};
    const ssize_t written = send(TELL_FD, &told, sizeof told, MSG_NOSIGNAL);
    (void)written; /* nobody listens any more: nothing is left to be done */
}

_Noreturn static void run_program(const struct mr_watcher_setup *setup, pid_t watcher)
{
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(077);
    if (getppid() == watcher && chdir(setup->folder) == 0) {
        execve(setup->argv[0], setup->argv, setup->environment);
    }
    tell(MR_CHILD_NOT_RUN, errno, true);
    _exit(127);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Kills every child of this process: those that the program left behind have become ours. False:
 * the kernel does not list them. */
static bool kill_children(void)
{
    char list[LIST_BYTES];
    const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t got = read(fd, list, sizeof list);
    close(fd);
    pid_t pid = 0;
    for (ssize_t i = 0; i < got;
         i++) { /* "12 345 ": a list that is cut off ends in the next turn */
        if (list[i] >= '0' && list[i] <= '9') {
            pid = 10 * pid + (list[i] - '0');
        } else {
            if (pid > 0) {
                kill(pid, SIGKILL);
            }
            pid = 0;
        }
    }
    return true;
}

/* Until nobody is left (true), or none that can be found. The program itself was not waited for
 * yet, so that its number and its group's are still its own. */
static bool end_all(pid_t program, int *status)
{
    kill(-program, SIGKILL);
    kill(program, SIGKILL);
    while (waitpid(program, status, 0) < 0 && errno == EINTR) {
        ;
    }
    for (;;) {
        const bool listed = kill_children();
        const pid_t gone = waitpid(-1, NULL, WNOHANG);
        if (gone < 0 && errno != EINTR) {
            return true;
        }
        if (gone == 0 && !listed) {
            return false;
        }
        if (gone == 0) { /* the list may have left one out that ends only when it is killed */
            (void)poll(NULL, 0, 1);
        }
    }
}

/* Whether the program has ended, which is left as it is; other children that have are waited for.
 */
static bool has_ended(pid_t program)
{
    for (;;) {
        siginfo_t child = {.si_pid = 0};
        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0 || child.si_pid == 0) {
            return false;
        }
        if (child.si_pid == program) {
            return true;
        }
        (void)waitpid(child.si_pid, NULL, WNOHANG);
    }
}

/* Until the program ends (true) or it is to be ended: the host has gone, or waits no longer. */
static bool await_program(pid_t program, int signals)
{
    struct pollfd events[2] = {{.fd = TELL_FD, .events = POLLIN | POLLHUP},
                               {.fd = signals, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo signal;
        if (has_ended(program)) {
            return true;
        }
        if (poll(events, 2, -1) < 0 && errno != EINTR) {
            return false;
        }
        if (events[0].revents) {
            return false;
        }
        if (events[1].revents && read(signals, &signal, sizeof signal) == sizeof signal &&
            signal.ssi_signo == SIGTERM) {
            return false;
        }
    }
}

/* Signals come by a descriptor: children's ends, and SIGTERM for the host's. */
static int open_signals(void)
{
    sigset_t heard;
    sigemptyset(&heard);
    sigaddset(&heard, SIGCHLD);
    sigaddset(&heard, SIGTERM);
    sigprocmask(SIG_SETMASK, &heard, NULL);
    return signalfd(-1, &heard, SFD_CLOEXEC);
}

_Noreturn void mr_watcher_main(const struct mr_watcher_setup *setup)
{
    int status = 0;
    const pid_t own = getpid();
    setpgid(0, 0);
    reset_signals();
    set_descriptors(setup);
    const int signals = open_signals();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != setup->host || signals < 0) { /* it died before that took effect */
        _exit(0);
    }
    const pid_t program = fork();
    if (program == 0) {
        run_program(setup, own);
    }
    if (program < 0) {
        tell(MR_CHILD_NOT_RUN, errno, true);
        _exit(0);
    }
    setpgid(program, program); /* here too: whoever of the two comes first */
    const bool ended = await_program(program, signals);
    const bool none_left = end_all(program, &status);
    if (!ended) {
        tell(MR_CHILD_LATE, 0, none_left);
    } else if (WIFSIGNALED(status)) {
        tell(MR_CHILD_KILLED, WTERMSIG(status), none_left);
    } else {
        tell(MR_CHILD_EXITED, WEXITSTATUS(status), none_left);
    }
    _exit(0);
}
