#include "edge-client/upload/udp_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A kernel without UDP GSO would take the control message for nothing and send the whole train as
 * one datagram: so it is asked first. */
static enum mr_udp_way best_way(int fd)
{
    int segment = 0;
    socklen_t length = sizeof segment;

    return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, &length) == 0 ? MR_UDP_TRAINS
                                                                        : MR_UDP_BATCHES;
}

int mr_udp_link_open(struct mr_udp_link *link, const char *host, uint16_t port,
                     struct mr_error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    const int why = getaddrinfo(host, service, &hints, &found);
    if (why != 0) {
        return mr_error_set(error, "the lead's upload address %s is not usable: %s", host,
                            gai_strerror(why));
    }
    link->fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, found->ai_addr, found->ai_addrlen) != 0) {
        mr_error_set(error, "no UDP socket to %s port %u: %s", host, port, strerror(errno));
        freeaddrinfo(found);
        mr_udp_link_close(link);
        return -1;
    }
    freeaddrinfo(found);
    link->way = best_way(link->fd);
    link->wake_fd = 0;
    return 0;
}

void mr_udp_link_close(struct mr_udp_link *link)
{
    if (link->fd >= 0) {
        close(link->fd);
    }
    link->fd = -1;
}

/* --- sending --------------------------------------------------------------------------------- */

/* How many of the datagrams make one train: as long as the first, and at most one shorter. */
static unsigned train_count(const struct iovec *datagrams, unsigned count)
{
    const size_t segment = datagrams[0].iov_len;
    size_t bytes = segment;
    unsigned n = 1;

    while (segment > 0 && n < count && n < MR_TRAIN_DATAGRAMS_MAX &&
           datagrams[n].iov_len <= segment && datagrams[n].iov_len > 0 &&
           bytes + datagrams[n].iov_len <= MR_TRAIN_BYTES_MAX) {
        bytes += datagrams[n].iov_len;
        if (datagrams[n++].iov_len < segment) {
            break;
        }
    }
    return n;
}

/* Each of these returns how many datagrams went out, or -1. */
static int send_train(int fd, const struct iovec *datagrams, unsigned count)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    const unsigned n = train_count(datagrams, count);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)datagrams, .msg_iovlen = n};

    if (n > 1) {
        const uint16_t segment = (uint16_t)datagrams[0].iov_len;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(header), &segment, sizeof segment);
    }
    return sendmsg(fd, &message, 0) < 0 ? -1 : (int)n;
}

static int send_batch(int fd, const struct iovec *datagrams, unsigned count)
{
    struct mmsghdr messages[MR_TRAIN_DATAGRAMS_MAX];
    const unsigned n = count < MR_TRAIN_DATAGRAMS_MAX ? count : MR_TRAIN_DATAGRAMS_MAX;

    memset(messages, 0, n * sizeof *messages);
    for (unsigned i = 0; i < n; i++) {
        messages[i].msg_hdr.msg_iov = (struct iovec *)(uintptr_t)&datagrams[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(fd, messages, n, 0);
}

static int send_one(int fd, const struct iovec *datagram)
{
    return send(fd, datagram->iov_base, datagram->iov_len, 0) < 0 ? -1 : 1;
}

/* Is it the way that failed, and not this datagram? A train is refused with EINVAL or EMSGSIZE
 * where a datagram is larger than the path's packets, EIO where the device cannot do checksums. */
static bool way_refused(enum mr_udp_way way, int why)
{
    switch (way) {
    case MR_UDP_TRAINS:
        return why == EINVAL || why == EMSGSIZE || why == EIO || why == EOPNOTSUPP;
    case MR_UDP_BATCHES:
        return why == ENOSYS || why == EPERM || why == EOPNOTSUPP;
    case MR_UDP_ONE_BY_ONE:
        break;
    }
    return false;
}

void mr_udp_link_send(struct mr_udp_link *link, const struct iovec *datagrams, unsigned count)
{
    for (unsigned at = 0; at < count;) {
        const struct iovec *next = datagrams + at;
        const int sent = link->way == MR_UDP_TRAINS    ? send_train(link->fd, next, count - at)
                         : link->way == MR_UDP_BATCHES ? send_batch(link->fd, next, count - at)
                                                       : send_one(link->fd, next);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (way_refused(link->way, errno)) {
            link->way--;
        } else if (errno != EINTR) {
            at++; /* an ICMP answer to an earlier datagram, say: reported once, then it clears */
        }
    }
}

/* --- receiving ------------------------------------------------------------------------------- */

size_t mr_udp_link_receive(struct mr_udp_link *link, uint8_t *out, size_t capacity,
                           uint64_t timeout_us)
{
    ssize_t got = recv(link->fd, out, capacity, MSG_DONTWAIT);

    if (got > 0 || timeout_us == 0) {
        return got > 0 ? (size_t)got : 0;
    }
    struct pollfd waits[2] = {{.fd = link->fd, .events = POLLIN},
                              {.fd = link->wake_fd, .events = POLLIN}};
    const struct timespec t = {.tv_sec = (time_t)(timeout_us / 1000000),
                               .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    if (ppoll(waits, link->wake_fd > 0 ? 2 : 1, &t, NULL) <= 0) {
        return 0;
    }
    got = recv(link->fd, out, capacity, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}
