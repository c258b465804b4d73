#include "edge-client/trainer/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/files/files.h"

#define TELL_FD 3 /* of the pipe, in the watcher */

extern char **environ;

struct told {
    int end; /* enum mr_child_end */
    int value;
};

/* --- in the watcher: only what is safe after fork in a program with threads ------------------- */

static void reset_signals(void)
{
    struct sigaction action;
    sigset_t none;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &action, NULL); /* of those that cannot be changed: nothing happens */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
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

static void set_descriptors(int tell)
{
    if (tell != TELL_FD) {
        dup2(tell, TELL_FD);
    }
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

static void tell(enum mr_child_end end, int value)
{
    const struct told told = {(int)end, value};
    const ssize_t written = write(TELL_FD, &told, sizeof told);
    (void)written; /* nobody listens any more: nothing is left to be done */
}

_Noreturn static void run_program(char *const argv[])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    umask(S_IRWXG | S_IRWXO); /* what it writes tells of this device's data */
    execve(argv[0], argv, environ);
    tell(MR_CHILD_NOT_RUN, errno);
    _exit(127);
}

_Noreturn static void watch(char *const argv[], int tell_fd)
{
    int status = 0;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    reset_signals();
    set_descriptors(tell_fd);
    const pid_t program = fork();
    if (program == 0) {
        run_program(argv);
    }
    if (program < 0) {
        tell(MR_CHILD_NOT_RUN, errno);
        _exit(0);
    }
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
        ;
    }
    if (WIFSIGNALED(status)) {
        tell(MR_CHILD_KILLED, WTERMSIG(status));
    } else {
        tell(MR_CHILD_EXITED, WEXITSTATUS(status));
    }
    _exit(0);
}

/* --- in this process -------------------------------------------------------------------------- */

int mr_child_start(struct mr_child *child, char *const argv[], struct mr_error *error)
{
    int ends[2];
    sigset_t all, before;
    if (pipe2(ends, O_CLOEXEC)) {
        return mr_error_set(error, "%s cannot be run: %s", argv[0], strerror(errno));
    }
    ends[0] = mr_fd_above_standard(ends[0]);
    ends[1] = mr_fd_above_standard(ends[1]);
    /* No handler of the host may run in the watcher, which has reset none yet. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t watcher = ends[0] < 0 || ends[1] < 0 ? -1 : fork();
    if (watcher == 0) {
        watch(argv, ends[1]);
    }
    const int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (watcher < 0) {
        close(ends[0]);
        return mr_error_set(error, "%s cannot be run: %s", argv[0], strerror(why));
    }
    setpgid(watcher, watcher); /* here too: whoever of the two comes first */
    *child = (struct mr_child){.watcher = watcher, .ends = ends[0]};
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether the pipe has something to say in time. */
static bool is_told(int fd, int64_t limit_ms)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        const int64_t left_ms = limit_ms - now_ms();
        const int ready = poll(&entry, 1,
                               left_ms > INT_MAX ? INT_MAX
                               : left_ms > 0     ? (int)left_ms
                                                 : 0);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 && left_ms <= INT_MAX) {
            return false;
        }
    }
}

enum mr_child_end mr_child_await(struct mr_child *child, int64_t limit_ms, int *value)
{
    struct told told = {MR_CHILD_LATE, 0};
    if (is_told(child->ends, limit_ms)) {
        ssize_t got;
        do {
            got = read(child->ends, &told, sizeof told);
        } while (got < 0 && errno == EINTR);
        if (got != (ssize_t)sizeof told) {
            told = (struct told){MR_CHILD_LOST, 0};
        }
    }
    if (told.end == MR_CHILD_LATE || told.end == MR_CHILD_LOST) {
        kill(-child->watcher, SIGKILL);
    }
    /* Where the host has taken it from us, there is none to wait for any more. */
    while (waitpid(child->watcher, NULL, 0) < 0 && errno == EINTR) {
        ;
    }
    close(child->ends);
    *value = told.value;
    return (enum mr_child_end)told.end;
}
