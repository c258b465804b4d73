/* flood.c - forged upload datagrams from many addresses and ports, at a chosen rate, until standard
 * input ends. Their shapes are valid, or nearly; the upload ids are those of honest devices as the
 * relay saw them a moment ago (tests/system/net/headers.h); no seal of theirs holds.
 *
 *   net_flood HUB_HOST PORT SOURCES PACKETS_PER_SECOND HEADERS
 *
 * SOURCES is an IPv4 /16, every address of which is this namespace's own. Ends with one line of
 * JSON: packets sent, the seconds it took, and bytes that came back. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/net/headers.h"
#include "base/bytes.h"

#define PORTS   32u
#define BATCH   32u
#define PAYLOAD 1408u
#define BYTES   (PAYLOAD + MR_DATAGRAM_OVERHEAD)

/* What is wrong with a packet; the first is every second packet, for it costs the hub the most. */
enum forgery {
    BAD_TAG,
    UNKNOWN_UPLOAD,
    WRONG_ROUND,
    WRONG_ATTEMPT,
    BAD_CHUNK,
    BAD_LENGTH,
    BAD_MAGIC,
    BAD_VERSION,
    BAD_TYPE,
    BAD_FLAGS,
    TRUNCATED,
    OVERSIZED,
    FORGERIES,
};

struct flood {
    struct sockaddr_in hub;
    uint32_t network; /* of the sources, host order */
    const struct headers *headers;
    int fds[PORTS];
    uint64_t random, sent, back_bytes, ran_ns;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t bytes[BATCH][BYTES + 1];
};

static void fail(const char *what)
{
    fprintf(stderr, "net_flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* xorshift64 (Marsaglia 2003). */
static uint64_t draw(struct flood *flood)
{
    flood->random ^= flood->random << 13;
    flood->random ^= flood->random >> 7;
    flood->random ^= flood->random << 17;
    return flood->random;
}

/* A header of an honest device; before the first one, of nobody. */
static struct mr_datagram honest_header(struct flood *flood)
{
    const uint32_t written = flood->headers->written;
    struct mr_datagram header = {
        .type = MR_DATAGRAM_CHUNK, .length = PAYLOAD, .upload_id = draw(flood), .round = 1};
    const uint32_t kept = written < HEADERS_KEPT ? written : HEADERS_KEPT;

    if (kept > 0) {
        uint8_t packet[BYTES] = {0};
        struct mr_datagram seen;
        memcpy(packet, flood->headers->bytes[draw(flood) % kept], MR_DATAGRAM_HEADER_BYTES);
        const size_t total = (size_t)mr_be16_get(packet + 6) + MR_DATAGRAM_OVERHEAD;
        if (total <= sizeof packet && mr_datagram_decode(&seen, packet, total) == MR_DATAGRAM_OK) {
            header = seen;
        }
    }
    return header;
}

/* What a header's fields can say wrongly. */
static void forge_fields(struct flood *flood, struct mr_datagram *header, enum forgery forgery)
{
    switch (forgery) {
    case UNKNOWN_UPLOAD:
        header->upload_id = draw(flood);
        break;
    case WRONG_ROUND:
        header->round++;
        break;
    case WRONG_ATTEMPT:
        header->attempt++;
        break;
    case BAD_CHUNK:
        header->chunk |= 0x40000000;
        break;
    case BAD_LENGTH:
        header->length = 64;
        break;
    case BAD_TYPE:
        header->type = MR_DATAGRAM_ACK;
        break;
    default:
        break;
    }
}

/* One forged packet at bytes; its length. */
static size_t forge(struct flood *flood, uint8_t *bytes)
{
    const uint64_t choice = draw(flood);
    const enum forgery forgery =
        choice % 2 == 0 ? BAD_TAG : (enum forgery)(1 + choice / 2 % (FORGERIES - 1));
    struct mr_datagram header = honest_header(flood);

    forge_fields(flood, &header, forgery);
    mr_datagram_encode(bytes, &header);
    const size_t length = header.length + MR_DATAGRAM_OVERHEAD;
    for (size_t i = length - MR_TAG_BYTES - 8; i < length; i += 8) {
        const uint64_t noise = draw(flood);
        memcpy(bytes + i, &noise, sizeof noise);
    }
    if (forgery == BAD_MAGIC) {
        bytes[0] ^= 0x20;
    } else if (forgery == BAD_VERSION) {
        bytes[2]++;
    } else if (forgery == BAD_FLAGS) {
        bytes[5] = 1;
    }
    return forgery == TRUNCATED ? length - 1 : forgery == OVERSIZED ? length + 1 : length;
}

/* --- sending --------------------------------------------------------------------------------- */

static void prepare(struct flood *flood, unsigned i)
{
    struct msghdr *header = &flood->messages[i].msg_hdr;
    const struct in_pktinfo from = {
        .ipi_spec_dst.s_addr = htonl(flood->network | (uint32_t)(1 + draw(flood) % 65534))};

    flood->parts[i] =
        (struct iovec){.iov_base = flood->bytes[i], .iov_len = forge(flood, flood->bytes[i])};
    *header = (struct msghdr){.msg_name = &flood->hub,
                              .msg_namelen = sizeof flood->hub,
                              .msg_iov = &flood->parts[i],
                              .msg_iovlen = 1,
                              .msg_control = flood->control[i],
                              .msg_controllen = sizeof flood->control[i]};
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof from);
    memcpy(CMSG_DATA(control), &from, sizeof from);
}

static void listen_back(struct flood *flood)
{
    uint8_t bytes[2048];

    for (unsigned i = 0; i < PORTS; i++) {
        for (ssize_t n; (n = recv(flood->fds[i], bytes, sizeof bytes, MSG_DONTWAIT)) >= 0;) {
            flood->back_bytes += (uint64_t)n;
        }
    }
}

/* At the pace of a clock that began with the first packet, and never faster to catch up. */
static void send_all(struct flood *flood, uint64_t rate)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const uint64_t began_ns = now_ns();
    uint64_t due_ns = began_ns;

    while (poll(&input, 1, 0) == 0) {
        for (unsigned i = 0; i < BATCH; i++) {
            prepare(flood, i);
        }
        const int n =
            sendmmsg(flood->fds[draw(flood) % PORTS], flood->messages, BATCH, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
            fail("sendmmsg");
        }
        flood->sent += n > 0 ? (uint64_t)n : 0;
        due_ns += (uint64_t)BATCH * 1000000000 / rate;
        const uint64_t now = now_ns();
        if (due_ns > now) {
            const struct timespec wait = {.tv_nsec = (long)(due_ns - now) % 1000000000};
            nanosleep(&wait, NULL);
        } else if (now - due_ns > 50000000) {
            due_ns = now - 50000000;
        }
    }
    flood->ran_ns = now_ns() - began_ns;
}

static const struct headers *honest_headers(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const struct headers *headers =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *headers, PROT_READ, MAP_SHARED, fd, 0);

    if (headers == MAP_FAILED) {
        fail(path);
    }
    close(fd);
    return headers;
}

int main(int argc, char **argv)
{
    static struct flood flood = {.random = UINT64_C(0xd1b54a32d192ed03)};
    struct in_addr network;

    if (argc != 6 || inet_pton(AF_INET, argv[1], &flood.hub.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[3], &network) != 1 || strtoull(argv[4], NULL, 10) == 0) {
        fprintf(stderr, "usage: net_flood HUB_HOST PORT SOURCES PACKETS_PER_SECOND HEADERS\n");
        return 2;
    }
    flood.hub.sin_family = AF_INET;
    flood.hub.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    flood.network = ntohl(network.s_addr) & 0xffff0000;
    flood.headers = honest_headers(argv[5]);
    for (unsigned i = 0; i < PORTS; i++) {
        const struct sockaddr_in any = {.sin_family = AF_INET};
        flood.fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (flood.fds[i] < 0 ||
            bind(flood.fds[i], (const struct sockaddr *)&any, sizeof any) != 0) {
            fail("a socket");
        }
    }
    send_all(&flood, strtoull(argv[4], NULL, 10));
    listen_back(&flood);
    printf("{\"sent\": %" PRIu64 ", \"seconds\": %.6f, \"back_bytes\": %" PRIu64 "}\n", flood.sent,
           (double)flood.ran_ns * 1e-9, flood.back_bytes);
    return 0;
}
