/* afxdp_bench.c - ingest from an AF_XDP port on one end of a veth pair, fed by a packet socket on
 * the other: see port_bench.h. Both ends are in a network namespace of the bench's own.
 *
 * usage: afxdp_bench [--quick] [--json FILE] */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perf/port_bench.h"

#define HUB_END    "d2-hub"
#define DEVICE_END "d2-dev"
#define SKIPPED    77

static void fail(const char *text)
{
    fprintf(stderr, "the generator: %s: %s\n", text, strerror(errno));
    exit(1);
}

static void generator_open(void *context)
{
    int *fd = context;
    const int one = 1;
    const struct sockaddr_ll name = {.sll_family = AF_PACKET,
                                     .sll_ifindex = (int)if_nametoindex(DEVICE_END)};

    *fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: it hears nothing */
    if (*fd < 0 || bind(*fd, (const struct sockaddr *)&name, sizeof name) != 0 ||
        setsockopt(*fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0) {
        fail("no packet socket");
    }
}

static void generator_send(void *context, uint8_t *const *frames, const uint32_t *lengths,
                           unsigned count)
{
    const int fd = *(int *)context;
    struct mmsghdr messages[MR_BENCH_BURST] = {0};
    struct iovec parts[MR_BENCH_BURST];

    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){.iov_base = frames[i], .iov_len = lengths[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (unsigned sent = 0; sent < count;) {
        const int n = sendmmsg(fd, messages + sent, count - sent, 0);
        if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
            fail("cannot send");
        }
        sent += n > 0 ? (unsigned)n : 0;
    }
}

/* NULL, or what this process lacks. */
static const char *make_veth(void)
{
    const int fd = socket(AF_XDP, SOCK_RAW, 0);

    if (fd < 0) {
        return "no AF_XDP sockets here";
    }
    close(fd);
    if (unshare(CLONE_NEWNET) != 0) {
        return "needs root for a network namespace of its own";
    }
    /* NOLINTNEXTLINE(cert-env33-c): fixed words, and whoever runs this is root already */
    if (system("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; "
               "ip link add " HUB_END " address " MR_BENCH_HUB_MAC
               " type veth peer name " DEVICE_END " && ip link set " HUB_END
               " up && ip link set " DEVICE_END " up") != 0) {
        return "no veth pairs here";
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static int fd;
    const struct mr_port_bench bench = {.name = "afxdp",
                                        .device = "net_af_xdp0,iface=" HUB_END,
                                        .ahead = 128,
                                        .open = generator_open,
                                        .send = generator_send,
                                        .context = &fd};
    const char *lack = make_veth();

    if (lack) {
        fprintf(stderr, "%s: %s\n", lack, strerror(errno));
        return SKIPPED;
    }
    return mr_port_bench_run(&bench, argc, argv);
}
