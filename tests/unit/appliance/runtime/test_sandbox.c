/* A process under the sandbox: what it needs works, and everything forbidden really fails. Each
 * case is a child of its own that is confined and then tries one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/runtime/sandbox.h"

#define UNABLE 99 /* a child that could not be confined */

/* 0 where it worked, an errno where it did not. */
typedef int (*deed_fn)(void);

static struct scene {
    char dir[64], data[80], readable[80], outside[80];
    uint16_t dialled, other; /* ports: one in the plan */
    struct mr_sandbox_path paths[1];
    pid_t parent;
} scene;

static struct mr_sandbox_plan plan_of(void)
{
    scene.paths[0] = (struct mr_sandbox_path){.path = scene.readable};
    return (struct mr_sandbox_plan){.mode = MR_SANDBOX_AUTO,
                                    .user = "",
                                    .group = "",
                                    .data_dir = scene.data,
                                    .paths = scene.paths,
                                    .path_count = 1,
                                    .dial_ports = &scene.dialled,
                                    .dial_count = 1};
}

static void confine(const struct mr_sandbox_plan *plan, struct mr_sandbox *sandbox)
{
    struct mr_error error = {.text = ""};
    if (mr_sandbox_begin(sandbox, plan, &error) != 0 || mr_sandbox_finish(sandbox, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        _exit(UNABLE);
    }
}

/* The status of a child that did the deed, and what it wrote to standard error. */
static int status_of(const struct mr_sandbox_plan *plan, bool as_worker, deed_fn deed,
                     char said[512])
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct mr_sandbox sandbox;
        dup2(ends[1], STDERR_FILENO);
        confine(plan, &sandbox);
        if (as_worker) {
            mr_sandbox_confine_worker();
        }
        _exit(deed());
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t n; got < 511 && (n = read(ends[0], said + got, 511 - got)) > 0;) {
        got += (size_t)n;
    }
    said[got] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNABLE) {
        fail_msg("%s", said);
    }
    return status;
}

static void assert_result(const char *what, const struct mr_sandbox_plan *plan, bool as_worker,
                          deed_fn deed, int wanted)
{
    char said[512];
    const int status = status_of(plan, as_worker, deed, said);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted) {
        fail_msg("%s: status 0x%x where errno %d belongs; said: %s", what, status, wanted, said);
    }
}

/* Killed by SIGSYS, with a line that names the system call. */
static void assert_deadly(const char *what, const struct mr_sandbox_plan *plan, bool as_worker,
                          deed_fn deed, long number)
{
    char said[512], wanted[64];
    const int status = status_of(plan, as_worker, deed, said);
    snprintf(wanted, sizeof wanted, "sandbox.violation syscall=%ld ", number);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS || !strstr(said, wanted)) {
        fail_msg("%s: status 0x%x where SIGSYS belongs, or not said why: %s", what, status, said);
    }
}

/* --- deeds ----------------------------------------------------------------------------------- */

static int try_open(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int read_outside(void)
{
    return try_open(scene.outside, O_RDONLY);
}

static int read_passwords(void)
{
    return try_open("/etc/passwd", O_RDONLY);
}

static int read_allowed(void)
{
    return try_open(scene.readable, O_RDONLY);
}

static int write_readable(void)
{
    return try_open(scene.readable, O_WRONLY);
}

static int make_beside(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/new", scene.dir);
    return try_open(path, O_WRONLY | O_CREAT);
}

static int work_in_data(void)
{
    char made[96], moved[96];
    snprintf(made, sizeof made, "%s/made", scene.data);
    snprintf(moved, sizeof moved, "%s/moved", scene.data);
    const int fd = open(made, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool good = fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 &&
                      fdatasync(fd) == 0 && close(fd) == 0 && rename(made, moved) == 0 &&
                      unlink(moved) == 0;
    return good ? 0 : errno;
}

static int run_a_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, scene.parent, NULL, NULL) == 0 ? 0 : errno;
}

static int kill_parent(void)
{
    return kill(scene.parent, 0) == 0 ? 0 : errno;
}

static void *do_nothing(void *context)
{
    return context;
}

static int make_thread(void)
{
    pthread_t thread;
    const int problem = pthread_create(&thread, NULL, do_nothing, NULL);
    return problem ? problem : pthread_join(thread, NULL);
}

static int fork_once(void)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    return child < 0 ? errno : 0;
}

static int make_ring(void)
{
    char params[120] = {0};
    return syscall(SYS_io_uring_setup, 8, params) >= 0 ? 0 : errno;
}

static int socket_of(int family, int type)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

static int local_socket(void)
{
    return socket_of(AF_UNIX, SOCK_STREAM);
}

static int packet_socket(void)
{
    return socket_of(AF_PACKET, SOCK_RAW);
}

static int tcp_socket(void)
{
    return socket_of(AF_INET, SOCK_STREAM);
}

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
}

static int dial_a_hub(void)
{
    return dial(scene.dialled);
}

static int dial_another(void)
{
    return dial(scene.other);
}

static int listen_elsewhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(scene.other)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno;
}

static int resolve_a_name(void)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo("localhost", "80", &hints, &found) != 0) {
        return EADDRNOTAVAIL;
    }
    freeaddrinfo(found);
    return 0;
}

static int code_in_memory(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

static int raise_limit(void)
{
    return syscall(SYS_prlimit64, 0, 4 /* RLIMIT_CORE */, scene.dir, NULL) == 0 ? 0 : errno;
}

static int copy_a_descriptor(void)
{
    return dup(STDERR_FILENO) >= 0 ? 0 : errno;
}

static int worker_loop(void)
{
    void *memory = malloc(1 << 20);
    const bool good = memory && write(STDERR_FILENO, "", 0) == 0 && getpid() > 0;
    free(memory);
    return good ? 0 : errno;
}

static int privileges_are_gone(void)
{
    return setuid(0) == 0 ? 0 : errno;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_files(void **state)
{
    (void)state;
    const struct mr_sandbox_plan plan = plan_of();
    if (mr_sandbox_landlock_version() < 3) {
        print_message("Landlock version %d here\n", mr_sandbox_landlock_version());
        skip();
    }
    assert_int_equal(try_open(scene.outside, O_RDONLY), 0); /* it is there, without a sandbox */
    assert_result("a file outside", &plan, false, read_outside, EACCES);
    assert_result("/etc/passwd", &plan, false, read_passwords, EACCES);
    assert_result("writing a key file", &plan, false, write_readable, EACCES);
    assert_result("a new file outside", &plan, false, make_beside, EACCES);
    assert_result("a file of the plan", &plan, false, read_allowed, 0);
    assert_result("the data folder", &plan, false, work_in_data, 0);
}

static void test_deadly_calls(void **state)
{
    char said[512];
    (void)state;
    const struct mr_sandbox_plan plan = plan_of();
    assert_deadly("execve", &plan, false, run_a_program, SYS_execve);
    assert_deadly("ptrace", &plan, false, trace_parent, SYS_ptrace);
    assert_deadly("kill", &plan, false, kill_parent, SYS_kill);
    assert_deadly("fork", &plan, false, fork_once, SYS_clone);
    assert_result("a thread of a task that is added", &plan, false, make_thread, 0);
    const int status = status_of(&plan, true, make_thread, said);
    assert_true(WIFSIGNALED(status) &&
                WTERMSIG(status) == SIGSYS); /* signals are blocked: no line */
    assert_deadly("io_uring_setup", &plan, false, make_ring, SYS_io_uring_setup);
    assert_deadly("AF_PACKET", &plan, false, packet_socket, SYS_socket);
    assert_deadly("prlimit64", &plan, false, raise_limit, SYS_prlimit64);
    assert_result("code in memory", &plan, false, code_in_memory, EPERM);
    assert_result("AF_UNIX", &plan, false, local_socket, EAFNOSUPPORT);
}

static void test_connections(void **state)
{
    (void)state;
    struct mr_sandbox_plan plan = plan_of();
    assert_result("the resolver", &plan, false, resolve_a_name, 0);
    assert_result("another hub's port", &plan, false, dial_a_hub, ECONNREFUSED);
    if (mr_sandbox_landlock_version() >= 4) {
        assert_result("another port", &plan, false, dial_another, EACCES);
        assert_result("listening elsewhere", &plan, false, listen_elsewhere, EACCES);
    }
    plan.dial_count = 0; /* a helper */
    assert_deadly("a helper's socket", &plan, false, tcp_socket, SYS_socket);
}

static void test_workers(void **state)
{
    (void)state;
    const struct mr_sandbox_plan plan = plan_of();
    assert_result("what a loop does", &plan, true, worker_loop, 0);
    assert_deadly("a worker opens a file", &plan, true, read_allowed, SYS_openat);
    assert_deadly("a worker makes a socket", &plan, true, tcp_socket, SYS_socket);
    assert_deadly("a worker copies a descriptor", &plan, true, copy_a_descriptor, SYS_dup);
}

static int other_thread_status;

static void *other_thread(void *ready)
{
    sem_t *turn = ready;
    sem_wait(turn);
    other_thread_status = try_open(scene.readable, O_RDONLY) == 0 ? 0 : 1;
    run_a_program();
    return NULL;
}

/* The rules reach a thread that was there before them. */
static int a_thread_from_before(void)
{
    pthread_t thread;
    sem_t turn;
    struct mr_sandbox sandbox;
    const struct mr_sandbox_plan plan = plan_of();
    sem_init(&turn, 0, 0);
    if (pthread_create(&thread, NULL, other_thread, &turn) != 0) {
        return UNABLE;
    }
    confine(&plan, &sandbox);
    sem_post(&turn);
    pthread_join(thread, NULL);
    return 0;
}

static void test_all_threads(void **state)
{
    (void)state;
    int status;
    const pid_t child = fork();
    if (child == 0) {
        _exit(a_thread_from_before());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void test_another_user(void **state)
{
    (void)state;
    struct mr_sandbox_plan plan = plan_of();
    struct mr_sandbox sandbox;
    struct mr_error error = {.text = ""};
    plan.user = "nobody";
    if (geteuid() != 0) {
        assert_int_equal(mr_sandbox_begin(&sandbox, &plan, &error), -1);
        assert_non_null(strstr(error.text, "only root"));
        return;
    }
    assert_deadly("becoming root again", &plan, false, privileges_are_gone, SYS_setuid);
    struct stat about;
    assert_int_equal(stat(scene.data, &about), 0);
    assert_int_not_equal(about.st_uid, 0);
    assert_result("the data folder as that user", &plan, false, work_in_data, 0);
    plan.user = "there-is-no-such-user";
    const pid_t child = fork();
    if (child == 0) {
        _exit(mr_sandbox_begin(&sandbox, &plan, &error) == -1 &&
                      strstr(error.text, "there is no user")
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_off_and_driver(void **state)
{
    (void)state;
    struct mr_sandbox_plan plan = plan_of();
    plan.mode = MR_SANDBOX_OFF;
    assert_result("off: a file outside", &plan, false, read_outside, 0);
    assert_result("off: another family", &plan, false, local_socket, 0);
    plan.mode = MR_SANDBOX_REQUIRED;
    plan.drives_hardware = true;
    assert_result("a driver reads outside", &plan, false, read_outside, 0);
    assert_result("a driver makes threads", &plan, false, fork_once, 0);
    assert_deadly("a driver runs no program", &plan, false, run_a_program, SYS_execve);
}

static uint16_t closed_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t length = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static int set_up(void **state)
{
    (void)state;
    scene.parent = getpid();
    strcpy(scene.dir, "/tmp/mr-test-sandbox-XXXXXX");
    assert_non_null(mkdtemp(scene.dir));
    assert_int_equal(chmod(scene.dir, 0755), 0);
    snprintf(scene.data, sizeof scene.data, "%s/data", scene.dir);
    snprintf(scene.readable, sizeof scene.readable, "%s/readable", scene.dir);
    snprintf(scene.outside, sizeof scene.outside, "%s/outside", scene.dir);
    assert_int_equal(try_open(scene.readable, O_WRONLY | O_CREAT), 0);
    assert_int_equal(try_open(scene.outside, O_WRONLY | O_CREAT), 0);
    scene.dialled = closed_port();
    do {
        scene.other = closed_port();
    } while (scene.other == scene.dialled);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", scene.dir);
    return system(command);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_files),       T(test_deadly_calls), T(test_connections),    T(test_workers),
        T(test_all_threads), T(test_another_user), T(test_off_and_driver),
    };
    if (!mr_sandbox_has_seccomp()) {
        print_message("skipped: this kernel has no seccomp filters\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
