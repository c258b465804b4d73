/* test_memif.c - the upload plane over a memif: the devices' datagrams come through another
 * process, all by queue 0, and that process may die.
 *
 *   test_memif DPDK_PEER client|server uploads|death|silent|tolls    (the hub's role) */
#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"
#include "tests/unit/appliance/upload/plane_fixture.h"
#include "tests/unit/appliance/upload/forbidden_calls.h"

#define WORKERS 2

static const char *peer_program;
static pid_t peer;
static uint16_t peer_ports[WORKERS]; /* on loopback */
static char socket_name[64];

/* Starts the peer and reads the ports it listens on. */
static void peer_start(const char *role)
{
    char device[256], line[16], ports[8], port_base[8];
    int pipe_fds[2];

    snprintf(device, sizeof device, "net_memif9,role=%s,id=0,socket=%s,socket-abstract=yes", role,
             socket_name);
    snprintf(ports, sizeof ports, "%d", WORKERS);
    snprintf(port_base, sizeof port_base, "%d", PEER_PORT_BASE);
    assert_int_equal(pipe(pipe_fds), 0);
    peer = fork();
    if (peer == 0) {
        dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        execl(peer_program, peer_program, device, PEER_HUB_MAC, ports, port_base, (char *)NULL);
        _exit(127);
    }
    assert_true(peer > 0);
    close(pipe_fds[1]);
    FILE *told = fdopen(pipe_fds[0], "r");
    assert_non_null(told);
    for (int i = 0; i < WORKERS; i++) {
        if (!fgets(line, sizeof line, told)) {
            fail_msg("the peer did not start");
        }
        peer_ports[i] = (uint16_t)atoi(line);
    }
    fclose(told);
}

static void peer_kill(void)
{
    kill(peer, SIGKILL);
    waitpid(peer, NULL, 0);
}

static int connect_to(int fd, uint16_t port)
{
    const struct sockaddr_in name = {.sin_family = AF_INET,
                                     .sin_port = htons(peer_ports[port - PEER_PORT_BASE]),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return connect(fd, (const struct sockaddr *)&name, sizeof name);
}

static int device_connect(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && port >= PEER_PORT_BASE && port < PEER_PORT_BASE + WORKERS);
    assert_int_equal(connect_to(fd, port), 0);
    return fd;
}

static void network_set(const char *role, bool zero_copy)
{
    static char device[256];

    snprintf(device, sizeof device,
             "net_memif0,role=%s,id=0,socket=%s,socket-abstract=yes,mac=%s%s", role, socket_name,
             PEER_HUB_MAC, zero_copy ? ",zero-copy=yes" : "");
    fixture_source = "dpdk";
    fixture_network = (struct fixture_network){
        .dpdk = {.device = device, .addresses = PEER_HUB_ADDRESS, .nap_after_us = 1000},
        .port_base = PEER_PORT_BASE,
        .connect = device_connect,
    };
}

static double metric(const struct fixture *fixture, const char *name, const char *labels)
{
    struct mr_metrics metrics;
    char sample[160];
    double value = -1;

    mr_metrics_init(&metrics);
    mr_upload_plane_metrics(fixture->plane, &metrics);
    snprintf(sample, sizeof sample, "\n%s{%s} ", name, labels);
    const char *at = strstr(metrics.text, sample);
    if (at) {
        value = atof(at + strlen(sample));
    }
    mr_metrics_fini(&metrics);
    return value;
}

static void finish(struct fixture *fixture, unsigned devices)
{
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, devices);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    fixture_check_sum(fixture);
}

/* Uploads of both workers, all frames by queue 0: what is worker 1's is handed over. */
static void round_over(const char *role, const char *peer_role)
{
    network_set(role, strcmp(role, "client") == 0);
    peer_start(peer_role);
    struct fixture *fixture = fixture_open(16, 20000, WORKERS, 16, 600000);
    for (int i = 0; i < 12; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, until_staged);
    finish(fixture, 12);
    assert_true(metric(fixture, "millrace_upload_handed_over_total", "worker=\"0\"") > 0);
    fixture_close(fixture);
    peer_kill();
}

static void test_uploads(void **state)
{
    round_over(*state, strcmp(*state, "client") == 0 ? "server" : "client");
}

static uint32_t milestone; /* chunks of the first upload */

static bool until_milestone(struct fixture *fixture)
{
    (void)until_staged(fixture);
    return fixture->uploads[0].ack.base >= milestone;
}

/* The peer dies by SIGKILL between two packets, and another comes: the devices only see loss. */
static void peer_dies(const char *role, const char *peer_role)
{
    network_set(role, false);
    peer_start(peer_role);
    struct fixture *fixture = fixture_open(16, 200000, WORKERS, 16, 600000);
    for (int i = 0; i < 4; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    for (int deaths = 0; deaths < 3; deaths++) {
        milestone = fixture->terms.layout.chunks * (uint32_t)(deaths + 1) / 5;
        fixture_run(fixture, until_milestone);
        peer_kill();
        peer_start(peer_role);
        for (unsigned i = 0; i < fixture->count; i++) {
            assert_int_equal(connect_to(fixture->uploads[i].fd,
                                        (uint16_t)(PEER_PORT_BASE +
                                                   (fixture->uploads[i].device.upload_id >> 56))),
                             0);
        }
    }
    assert_false(fixture->uploads[0].staged);
    fixture_run(fixture, until_staged);
    finish(fixture, 4);
    fixture_close(fixture);
    peer_kill();
}

static void test_peer_dies(void **state)
{
    peer_dies(*state, strcmp(*state, "client") == 0 ? "server" : "client");
}

/* The thread of worker 0. */
static int worker_thread(void)
{
    char path[300], name[32];
    DIR *tasks = opendir("/proc/self/task");
    int found = -1;

    assert_non_null(tasks);
    for (struct dirent *task; found < 0 && (task = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "re");
        if (!file) {
            continue;
        }
        if (fgets(name, sizeof name, file) && strcmp(name, "mr-upload-0\n") == 0) {
            found = atoi(task->d_name);
        }
        fclose(file);
    }
    closedir(tasks);
    assert_true(found > 0);
    return found;
}

static bool is_traced(int thread)
{
    char path[64], line[128];
    int tracer = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "TracerPid:", 10) == 0) {
            tracer = atoi(line + 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return tracer > 0;
}

/* What a thread calls from now on goes to `path`, a line a call. -1 where that is not allowed. */
static pid_t trace_start(int thread, const char *path)
{
    char number[16];
    const pid_t tracer = fork();

    snprintf(number, sizeof number, "%d", thread);
    if (tracer == 0) {
        execlp("strace", "strace", "-q", "-o", path, "-p", number, (char *)NULL);
        _exit(127);
    }
    while (!is_traced(thread)) {
        if (waitpid(tracer, NULL, WNOHANG) == tracer) {
            return -1;
        }
        usleep(1000);
    }
    return tracer;
}

/* Calls in the trace. What strace says of itself does not count, but a call does that it was
 * watching when it let go: " <detached ...>" stands behind it then, else alone. */
static unsigned trace_end(pid_t tracer, const char *path)
{
    char line[512];
    unsigned calls = 0;

    kill(tracer, SIGINT);
    waitpid(tracer, NULL, 0);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "---", 3) != 0 && line[strspn(line, " ")] != '<') {
            print_message("%s", line);
            calls++;
        }
    }
    fclose(file);
    return calls;
}

/* While packets of uploads flow, and ACKs go out, the worker's thread makes no system call at all;
 * the end of an upload, told to the control thread, makes one: so the trace sees what there is. */
static void test_silent(void **state)
{
    char path[] = "/tmp/millrace-trace-XXXXXX";

    network_set(*state, false);
    fixture_network.dpdk.nap_after_us = 0;
    peer_start(strcmp(*state, "client") == 0 ? "server" : "client");
    struct fixture *fixture = fixture_open(16, 200000, WORKERS, 16, 600000);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    milestone = 8; /* it flows */
    fixture_run(fixture, until_milestone);
    close(mkstemp(path));
    pid_t tracer = trace_start(worker_thread(), path);
    assert_true(tracer > 0);
    milestone = fixture->terms.layout.chunks / 2;
    const uint64_t acks = fixture->uploads[0].acks;
    fixture_run(fixture, until_milestone);
    assert_int_equal(trace_end(tracer, path), 0);
    assert_true(fixture->uploads[0].acks > acks);
    tracer = trace_start(worker_thread(), path);
    assert_true(tracer > 0);
    fixture_run(fixture, until_staged);
    assert_true(trace_end(tracer, path) > 0);
    unlink(path);
    finish(fixture, 1);
    fixture_close(fixture);
    peer_kill();
}

/* Nor does it allocate or lock, from the first chunks to the last ACK; worker 1's frames are handed
 * over by worker 0. */
static void test_tolls(void **state)
{
    network_set(*state, strcmp(*state, "client") == 0);
    peer_start(strcmp(*state, "client") == 0 ? "server" : "client");
    struct fixture *fixture = fixture_open(16, 100000, WORKERS, 8, 600000);
    for (int i = 0; i < 8; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    milestone = 8;
    fixture_run(fixture, until_milestone);
    assert_false(fixture->uploads[0].staged);
    const uint64_t acks = fixture->uploads[0].acks;
    tolls_begin();
    fixture_run(fixture, until_staged);
    finish(fixture, 8);
    tolls_end();
    assert_true(fixture->uploads[0].acks > acks);
    assert_true(metric(fixture, "millrace_upload_handed_over_total", "worker=\"0\"") > 0);
    tolls_assert_none();
    fixture_close(fixture);
    peer_kill();
}

/* Why that case cannot be had here; NULL: it can. */
static const char *lacks(const char *what)
{
    if (strcmp(what, "tolls") == 0 && !tolls_are_counted()) {
        return "a sanitizer owns the allocator and the locks";
    }
    if (strcmp(what, "silent") != 0) {
        return NULL;
    }
    const pid_t tracer = trace_start(getpid(), "/dev/null");
    if (tracer < 0) {
        return "strace is not here or may not trace";
    }
    (void)trace_end(tracer, "/dev/null");
    return NULL;
}

/* A case a process, as a hub opens its port once: the PMD of a memif server leaves its listener
 * behind in EAL when it is closed. */
int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s DPDK_PEER client|server uploads|death|silent|tolls\n", argv[0]);
        return 2;
    }
    const struct CMUnitTest uploads[] = {cmocka_unit_test_prestate(test_uploads, argv[2])};
    const struct CMUnitTest death[] = {cmocka_unit_test_prestate(test_peer_dies, argv[2])};
    const struct CMUnitTest silent[] = {cmocka_unit_test_prestate(test_silent, argv[2])};
    const struct CMUnitTest tolls[] = {cmocka_unit_test_prestate(test_tolls, argv[2])};
    const char *lack = lacks(argv[3]);
    if (lack) {
        fprintf(stderr, "skipped: %s\n", lack);
        return 77;
    }
    peer_program = argv[1];
    snprintf(socket_name, sizeof socket_name, "millrace-test-memif-%ld", (long)getpid());
    if (strcmp(argv[3], "silent") == 0) {
        return cmocka_run_group_tests(silent, NULL, NULL);
    }
    if (strcmp(argv[3], "tolls") == 0) {
        return cmocka_run_group_tests(tolls, NULL, NULL);
    }
    return strcmp(argv[3], "death") == 0 ? cmocka_run_group_tests(death, NULL, NULL)
                                         : cmocka_run_group_tests(uploads, NULL, NULL);
}
