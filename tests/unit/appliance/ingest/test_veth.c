/* test_veth.c - the upload plane over a veth pair: the devices' sockets are in another network
 * namespace, the hub's end is driven by DPDK, and ping reaches the kernel by the exception path.
 *
 *   test_veth af_packet|af_xdp */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/appliance/upload/plane_fixture.h"

#define PORT_BASE 9443
#define SKIPPED   77

/* The driver of 22.11 does not give back what libxdp keeps of a port's memory: 80 bytes a port. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:xsk_umem__create\n";
}

/* In the devices' namespace: the same addresses do not bother anybody else. */
static int devices_ns, hub_ns;

static int run(const char *command)
{
    const int status = system(command);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int own_namespace(void)
{
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* 0, or -1 where this process may not. */
static int open_namespaces(void)
{
    char command[256];

    if (unshare(CLONE_NEWNET) != 0) {
        return -1;
    }
    devices_ns = own_namespace();
    if (unshare(CLONE_NEWNET) != 0) {
        return -1;
    }
    hub_ns = own_namespace();
    /* The pair is made in the devices' namespace, one end handed to ours. */
    if (setns(devices_ns, CLONE_NEWNET) != 0) {
        return -1;
    }
    snprintf(command, sizeof command,
             "ip link add dpdk-dev type veth peer name dpdk-hub netns /proc/%ld/fd/%d 2>/dev/null",
             (long)getpid(), hub_ns);
    if (run(command) != 0) {
        /* An older ip takes process ids only. */
        const pid_t holder = fork();
        if (holder == 0) {
            (void)setns(hub_ns, CLONE_NEWNET);
            pause();
        }
        usleep(100000);
        snprintf(command, sizeof command,
                 "ip link add dpdk-dev type veth peer name dpdk-hub netns %ld", (long)holder);
        const int failed = run(command);
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
        if (failed != 0) {
            return -1;
        }
    }
    if (run("ip addr add 198.18.1.2/24 dev dpdk-dev && ip addr add fd00:1::2/64 dev dpdk-dev nodad "
            "&& ip link set dpdk-dev up && ip link set lo up") != 0 ||
        setns(hub_ns, CLONE_NEWNET) != 0) {
        return -1;
    }
    /* af_packet takes copies: the kernel still sees every frame, and would refuse datagrams to the
     * tap's address as those of a port that nobody has. */
    return run("ip link set dpdk-hub up && ip link set lo up && "
               "echo 1 >/proc/sys/net/ipv4/conf/dpdk-hub/rp_filter && "
               "echo 1 >/proc/sys/net/ipv6/conf/dpdk-hub/disable_ipv6");
}

static int in_devices_namespace(const char *command)
{
    assert_int_equal(setns(devices_ns, CLONE_NEWNET), 0);
    const int status = run(command);
    assert_int_equal(setns(hub_ns, CLONE_NEWNET), 0);
    return status;
}

static int device_connect(uint16_t port)
{
    const struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in to = name;

    inet_pton(AF_INET, "198.18.1.1", &to.sin_addr);
    assert_int_equal(setns(devices_ns, CLONE_NEWNET), 0);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setns(hub_ns, CLONE_NEWNET), 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* The kernel's own address is on the tap, as an operator would put it on a NIC. */
static void address_tap(void)
{
    assert_int_equal(run("ip addr add 198.18.1.1/24 dev dpdk-tap && "
                         "ip addr add fd00:1::1/64 dev dpdk-tap nodad && "
                         "ip link set dpdk-tap up"),
                     0);
}

/* Uploads with the hub's address resolved by ARP through the exception path; then ping, whose
 * neighbours are found by ARP and by neighbour discovery. */
static void test_uploads_and_ping(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 20000, 1, 16, 600000);

    address_tap();
    for (int i = 0; i < 8; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, 8);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    fixture_check_sum(fixture);
    assert_int_equal(in_devices_namespace("ping -4 -c 3 -w 20 198.18.1.1 >/dev/null"), 0);
    assert_int_equal(in_devices_namespace("ping -6 -c 3 -w 20 fd00:1::1 >/dev/null"), 0);
    fixture_close(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_uploads_and_ping)};
    char device[64];

    if (argc < 2) {
        fprintf(stderr, "usage: %s af_packet|af_xdp\n", argv[0]);
        return 2;
    }
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || open_namespaces() != 0) {
        fprintf(stderr, "skipped: needs root, network namespaces, veth and /dev/net/tun (%s)\n",
                strerror(errno));
        return SKIPPED;
    }
    if (strcmp(argv[1], "af_xdp") == 0) {
        const int fd = socket(AF_XDP, SOCK_RAW, 0);
        if (fd < 0) {
            fprintf(stderr, "skipped: no AF_XDP sockets here: %s\n", strerror(errno));
            return SKIPPED;
        }
        close(fd);
    }
    snprintf(device, sizeof device, "net_%s0,iface=dpdk-hub", argv[1]);
    fixture_source = "dpdk";
    fixture_network = (struct fixture_network){
        .dpdk = {.device = device,
                 .addresses = "198.18.1.1,fd00:1::1",
                 .exception = "net_tap0,iface=dpdk-tap",
                 .nap_after_us = 1000},
        .port_base = PORT_BASE,
        .connect = device_connect,
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
