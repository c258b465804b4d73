#include "appliance/ingest/send_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct mr_send_queue {
    int fd;
    sa_family_t family;
    unsigned count;
    struct mmsghdr messages[MR_SEND_QUEUE_MAX];
    struct iovec parts[MR_SEND_QUEUE_MAX];
    struct sockaddr_in6 names[MR_SEND_QUEUE_MAX];
    uint8_t data[MR_SEND_QUEUE_MAX][MR_SEND_BYTES_MAX];
};

struct mr_send_queue *mr_send_queue_open(const struct mr_udp_socket *udp)
{
    struct mr_send_queue *queue = calloc(1, sizeof *queue);

    if (!queue) {
        return NULL;
    }
    queue->fd = udp->fd;
    queue->family = udp->family;
    for (unsigned i = 0; i < MR_SEND_QUEUE_MAX; i++) {
        queue->parts[i].iov_base = queue->data[i];
        queue->messages[i].msg_hdr.msg_iov = &queue->parts[i];
        queue->messages[i].msg_hdr.msg_iovlen = 1;
        queue->messages[i].msg_hdr.msg_name = &queue->names[i];
    }
    return queue;
}

void mr_send_queue_close(struct mr_send_queue *queue)
{
    free(queue);
}

int mr_send_queue_put(struct mr_send_queue *queue, const struct mr_peer_address *to,
                      const uint8_t *data, uint32_t length)
{
    const unsigned i = queue->count;

    MR_ASSERT(length <= MR_SEND_BYTES_MAX);
    if (i == MR_SEND_QUEUE_MAX) {
        return -1;
    }
    memcpy(queue->data[i], data, length);
    queue->parts[i].iov_len = length;
    queue->messages[i].msg_hdr.msg_namelen =
        mr_peer_to_sockaddr(&queue->names[i], queue->family, to);
    queue->count = i + 1;
    return 0;
}

unsigned mr_send_queue_flush(struct mr_send_queue *queue)
{
    unsigned at = 0, unsent = 0;

    while (at < queue->count) {
        const int n = sendmmsg(queue->fd, queue->messages + at, queue->count - at, MSG_DONTWAIT);
        if (n > 0) {
            at += (unsigned)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            unsent += queue->count - at;
            break;
        } else if (errno != EINTR) {
            at++; /* this peer cannot be reached; the others may */
            unsent++;
        }
    }
    queue->count = 0;
    return unsent;
}
