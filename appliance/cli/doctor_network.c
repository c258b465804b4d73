/* doctor_network.c - how datagrams can come in. */
#include "appliance/cli/doctor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/ingest/dpdk.h"
#include "appliance/ingest/packet_source.h"

#define RECEIVE_BUFFER_BYTES (8 << 20) /* the default of upload.receive_buffer_bytes */

/* The very source a worker would open, on a free port of the loopback. */
void mr_doctor_io_uring(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    const struct mr_packet_source_config config = {
        .kind = "io_uring",
        .listen_host = "127.0.0.1",
        .receive_buffer_bytes = 1 << 20,
    };
    char why[160] = "";
    struct mr_error error = {""};
    struct mr_packet_source *source = mr_packet_source_open(&config, why, &error);
    if (!source) {
        mr_finding_set(
            finding, MR_FINDING_WARN,
            "uploads are received by recvmmsg, which is slower; io_uring needs Linux 6.0, "
            "sysctl kernel.io_uring_disabled=0, and a container profile that allows it",
            "%s", error.text);
        return;
    }
    source->ops->close(source);
    mr_finding_set(finding, MR_FINDING_OK, NULL, "a ring receives datagrams");
}

void mr_doctor_receive_buffer(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    const uint32_t wanted =
        subject->config ? subject->config->upload.receive_buffer_bytes : RECEIVE_BUFFER_BYTES;
    const struct mr_packet_source_config config = {
        .kind = "recvmmsg",
        .listen_host = "127.0.0.1",
        .receive_buffer_bytes = wanted,
    };
    char why[160] = "";
    struct mr_error error = {""};
    struct mr_packet_source *source = mr_packet_source_open(&config, why, &error);
    if (!source) {
        mr_finding_set(finding, MR_FINDING_MISSING,
                       "a hub must be able to bind UDP ports: see what forbids it here (seccomp, a "
                       "container's profile)",
                       "%s", error.text);
        return;
    }
    const uint32_t granted = source->receive_buffer_bytes;
    source->ops->close(source);
    if (granted < wanted) {
        char remedy[96];
        snprintf(remedy, sizeof remedy,
                 "sysctl -w net.core.rmem_max=%u, or give the hub CAP_NET_ADMIN", wanted);
        mr_finding_set(finding, MR_FINDING_WARN, remedy,
                       "the kernel grants %u bytes of %u: bursts are lost", granted, wanted);
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "%u bytes granted", granted);
}

/* Whether a UDP socket takes the option. */
static int try_udp_option(int option, int value)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    const int failed = setsockopt(fd, IPPROTO_UDP, option, &value, sizeof value) != 0 ? errno : 0;
    close(fd);
    return failed;
}

void mr_doctor_gro(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    const int failed = try_udp_option(UDP_GRO, 1);
    if (failed != 0) {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "run Linux 5.0 or newer: without UDP_GRO every datagram passes through the "
                       "kernel's network stack by itself",
                       "UDP_GRO: %s", strerror(failed));
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "datagrams are received in trains");
}

void mr_doctor_gso(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    const int failed = try_udp_option(UDP_SEGMENT, 1400);
    if (failed != 0) {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "run Linux 4.18 or newer; only programs that send much lose by it",
                       "UDP_SEGMENT: %s", strerror(failed));
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "datagrams are sent in trains");
}

/* Optional: nothing that is missing for it is amiss, so its remedies stand with what was found. */
void mr_doctor_dpdk(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    struct mr_error error = {""};
    const int xdp = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    const int refused = xdp < 0 ? errno : 0;
    const bool huge = mr_doctor_number("/proc/meminfo", "HugePages_Free:", 10) > 0;

    if (xdp >= 0) {
        close(xdp);
    }
    /* A device without hardware: does EAL start here? */
    if (mr_dpdk_probe("net_null9", &error) != 0) {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "not used, and not here: %.280s", error.text);
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "starts on %s; AF_XDP: %s%s",
                   huge ? "hugepages"
                        : "ordinary pages (a physical NIC wants sysctl vm.nr_hugepages=256)",
                   refused == 0 ? "sockets are allowed" : strerror(refused),
                   refused == 0 ? "" : " (give the hub CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF)");
}
