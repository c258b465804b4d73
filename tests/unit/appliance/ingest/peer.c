/* peer.c - the other end of a DPDK port, a process of its own: carries the datagrams of devices on
 * loopback to the port as frames, and the answers back.
 *
 *   dpdk_peer DEVICE HUB_MAC PORTS PORT_BASE    (the hub's upload ports)
 *
 * Prints the UDP port that stands for the hub's first upload port (the next stand for the next),
 * then serves until it is killed. Everything is sent by queue 0, whoever it is for. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "appliance/ingest/dpdk_env.h"
#include "appliance/ingest/dpdk_frame.h"
#include "peer.h"

#define PORTS_MAX 4
#define BURST     32

struct peer {
    uint16_t id, ports;
    uint16_t port_base; /* the hub's */
    int fds[PORTS_MAX];
    struct rte_mempool *pool;
    struct mr_frame_local self; /* the devices' side */
    struct mr_peer_address hub;
};

static void fail(const char *text)
{
    fprintf(stderr, "peer: %s\n", text);
    exit(1);
}

static void open_port(struct peer *peer, const char *device)
{
    struct mr_error error = {""};
    const struct rte_eth_conf conf = {0};
    struct rte_ether_addr mac;

    if (mr_dpdk_env_start(device, NULL, &error) != 0 ||
        mr_dpdk_env_attach(device, &peer->id, &error) != 0) {
        fail(error.text);
    }
    peer->pool =
        rte_pktmbuf_pool_create("peer", 8191, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!peer->pool || rte_eth_dev_configure(peer->id, peer->ports, peer->ports, &conf) != 0) {
        fail("the port cannot be configured");
    }
    for (uint16_t q = 0; q < peer->ports; q++) {
        if (rte_eth_rx_queue_setup(peer->id, q, 1024, 0, NULL, peer->pool) != 0 ||
            rte_eth_tx_queue_setup(peer->id, q, 1024, 0, NULL) != 0) {
            fail("a queue cannot be set up");
        }
    }
    if (rte_eth_macaddr_get(peer->id, &mac) != 0) {
        fail("the port has no MAC address");
    }
    memcpy(peer->self.mac, mac.addr_bytes, 6);
}

/* A memif that calls fails as long as nobody listens. */
static void start_port(const struct peer *peer)
{
    while (rte_eth_dev_start(peer->id) != 0) {
        usleep(20000);
    }
}

static void open_sockets(struct peer *peer)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;

    for (unsigned i = 0; i < peer->ports; i++) {
        peer->fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (peer->fds[i] < 0 || bind(peer->fds[i], (struct sockaddr *)&name, sizeof name) != 0 ||
            getsockname(peer->fds[i], (struct sockaddr *)&name, &length) != 0) {
            fail("no sockets");
        }
        printf("%u\n", ntohs(name.sin_port));
        name.sin_port = 0;
    }
    fflush(stdout);
}

/* Devices to the hub. The device's port on loopback is its port in the frame. */
static void carry_in(struct peer *peer, unsigned index)
{
    uint8_t datagram[2048];
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    struct rte_mbuf *mbuf;
    ssize_t length;

    for (int i = 0; i < BURST; i++) {
        length = recvfrom(peer->fds[index], datagram, sizeof datagram, 0, (struct sockaddr *)&from,
                          &from_bytes);
        if (length < 0 || (mbuf = rte_pktmbuf_alloc(peer->pool)) == NULL) {
            return;
        }
        peer->hub.port = (uint16_t)(peer->port_base + index);
        mbuf->data_len =
            (uint16_t)mr_frame_build(rte_pktmbuf_mtod(mbuf, uint8_t *), &peer->self,
                                     ntohs(from.sin_port), &peer->hub, datagram, (uint32_t)length);
        mbuf->pkt_len = mbuf->data_len;
        if (rte_eth_tx_burst(peer->id, 0, &mbuf, 1) != 1) {
            rte_pktmbuf_free(mbuf);
        }
    }
}

/* Answers to the devices: from the socket that stands for the hub's port. */
static void carry_out(struct peer *peer, uint16_t queue)
{
    struct rte_mbuf *mbufs[BURST];
    struct mr_frame frame;
    const unsigned n = rte_eth_rx_burst(peer->id, queue, mbufs, BURST);

    for (unsigned i = 0; i < n; i++) {
        if (mr_frame_parse(&frame, &peer->self, rte_pktmbuf_mtod(mbufs[i], uint8_t *),
                           rte_pktmbuf_data_len(mbufs[i]), false) == MR_FRAME_OURS) {
            const struct sockaddr_in to = {.sin_family = AF_INET,
                                           .sin_port = htons((uint16_t)(frame.port_index + 1)),
                                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            const unsigned index = (unsigned)(frame.from.port - peer->port_base);
            if (index < peer->ports) {
                (void)sendto(peer->fds[index], frame.payload, frame.length, 0,
                             (const struct sockaddr *)&to, sizeof to);
            }
        }
        rte_pktmbuf_free(mbufs[i]);
    }
}

static void v4_set(struct in6_addr *to, const char *text)
{
    memset(to, 0, sizeof *to);
    to->s6_addr[10] = to->s6_addr[11] = 0xff;
    inet_pton(AF_INET, text, &to->s6_addr[12]);
}

int main(int argc, char **argv)
{
    static struct peer peer;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 5) {
        fail("usage: dpdk_peer DEVICE HUB_MAC PORTS PORT_BASE");
    }
    peer.ports = (uint16_t)atoi(argv[3]);
    peer.port_base = (uint16_t)atoi(argv[4]);
    if (peer.ports < 1 || peer.ports > PORTS_MAX) {
        fail("1 to 4 ports");
    }
    uint8_t *mac = peer.hub.link.mac;
    if (sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5]) != 6) {
        fail("not a MAC address");
    }
    v4_set(&peer.self.v4, PEER_ADDRESS);
    v4_set(&peer.hub.host, PEER_HUB_ADDRESS);
    peer.self.port_base = 1;
    peer.self.ports = UINT16_MAX;
    open_port(&peer, argv[1]);
    open_sockets(&peer);
    start_port(&peer);
    for (;;) {
        for (unsigned i = 0; i < peer.ports; i++) {
            carry_in(&peer, i);
        }
        for (uint16_t q = 0; q < peer.ports; q++) {
            carry_out(&peer, q);
        }
        usleep(20);
    }
}
