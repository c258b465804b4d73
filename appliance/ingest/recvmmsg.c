/* The source that works everywhere: recvmmsg with UDP GRO, poll(2) when idle.
 *
 * Two banks of buffers: while one still holds the rest of a GRO train, the other is filled, so that
 * a burst is only short when the socket is dry. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "appliance/ingest/gro.h"
#include "appliance/ingest/send_queue.h"
#include "appliance/ingest/sources.h"
#include "appliance/runtime/pages.h"
#include "base/assert.h"

#define BANK_MESSAGES MR_BURST_MAX
#define BANKS         2

struct bank {
    struct mmsghdr messages[BANK_MESSAGES];
    struct iovec parts[BANK_MESSAGES];
    struct sockaddr_in6 names[BANK_MESSAGES];
    _Alignas(struct cmsghdr) uint8_t control[BANK_MESSAGES][MR_GRO_CONTROL_BYTES];
    struct mr_gro_buffer buffers[BANK_MESSAGES];
    unsigned filled;  /* buffers of the last recvmmsg */
    unsigned current; /* the first that still has something to hand out */
    unsigned lent;    /* packets handed out and not yet given back */
};

struct recvmmsg_source {
    struct mr_packet_source base;
    struct mr_udp_socket udp;
    int wake_fd;
    struct mr_send_queue *sends;
    struct mr_pages payloads;
    struct bank banks[BANKS];
    unsigned draining; /* the bank that packets are taken from */
};

static bool bank_fill(struct bank *bank, int fd)
{
    MR_ASSERT(bank->lent == 0 && bank->current == bank->filled);
    for (unsigned i = 0; i < BANK_MESSAGES; i++) {
        bank->messages[i].msg_hdr.msg_namelen = sizeof bank->names[i];
        bank->messages[i].msg_hdr.msg_controllen = sizeof bank->control[i];
    }
    const int n = recvmmsg(fd, bank->messages, BANK_MESSAGES, MSG_DONTWAIT, NULL);
    bank->current = 0;
    bank->filled = n > 0 ? (unsigned)n : 0;
    for (unsigned i = 0; i < bank->filled; i++) {
        struct msghdr *header = &bank->messages[i].msg_hdr;
        mr_gro_start(&bank->buffers[i], bank->parts[i].iov_base, bank->messages[i].msg_len,
                     mr_gro_segment(CMSG_FIRSTHDR(header)), &bank->names[i]);
    }
    return bank->filled > 0;
}

static unsigned bank_take(struct bank *bank, struct mr_packet *packets, unsigned max)
{
    unsigned n = 0;

    while (n < max && bank->current < bank->filled) {
        struct mr_gro_buffer *buffer = &bank->buffers[bank->current];
        n += mr_gro_take(buffer, packets + n, max - n);
        if (!buffer->pending) {
            bank->current++;
        }
    }
    bank->lent += n;
    return n;
}

/* Takes what is there without waiting. */
static unsigned take(struct recvmmsg_source *source, struct mr_packet *packets, unsigned max)
{
    unsigned n = bank_take(&source->banks[source->draining], packets, max);

    if (n == max) {
        return n;
    }
    source->draining = (source->draining + 1) % BANKS;
    struct bank *next = &source->banks[source->draining];
    if (next->lent == 0 && bank_fill(next, source->udp.fd)) {
        n += bank_take(next, packets + n, max - n);
    }
    return n;
}

static void wait_for_packets(struct recvmmsg_source *source, unsigned wait_us)
{
    struct pollfd fds[2] = {{.fd = source->udp.fd, .events = POLLIN},
                            {.fd = source->wake_fd, .events = POLLIN}};
    const struct timespec wait = {.tv_sec = wait_us / 1000000u,
                                  .tv_nsec = (long)(wait_us % 1000000u) * 1000};
    uint64_t woken;

    if (ppoll(fds, 2, &wait, NULL) > 0 && (fds[1].revents & POLLIN) != 0 &&
        read(source->wake_fd, &woken, sizeof woken) < 0) {
        /* Somebody else cannot have read it; an empty eventfd is as good as a read one. */
    }
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct recvmmsg_source *source = (struct recvmmsg_source *)base;

    base->unsent += mr_send_queue_flush(source->sends);
    unsigned n = take(source, packets, max);
    if (n == 0 && wait_us > 0) {
        wait_for_packets(source, wait_us);
        n = take(source, packets, max);
    }
    return n;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    struct recvmmsg_source *source = (struct recvmmsg_source *)base;

    for (unsigned i = 0; i < count; i++) {
        const struct mr_gro_buffer *buffer = packets[i].token;
        const bool second =
            buffer >= source->banks[1].buffers && buffer < source->banks[1].buffers + BANK_MESSAGES;
        source->banks[second ? 1 : 0].lent--;
        (void)mr_gro_give(packets[i].token);
    }
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    return mr_send_queue_put(((struct recvmmsg_source *)base)->sends, to, data, length);
}

static void source_flush(struct mr_packet_source *base)
{
    base->unsent += mr_send_queue_flush(((struct recvmmsg_source *)base)->sends);
}

static void source_wake(struct mr_packet_source *base)
{
    const uint64_t one = 1;

    /* Can only fail when the counter is full, and then the poll wakes as well. */
    if (write(((struct recvmmsg_source *)base)->wake_fd, &one, sizeof one) < 0) {
        return;
    }
}

static void source_close(struct mr_packet_source *base)
{
    struct recvmmsg_source *source = (struct recvmmsg_source *)base;

    mr_send_queue_close(source->sends);
    mr_udp_socket_close(&source->udp);
    if (source->wake_fd >= 0) {
        close(source->wake_fd);
    }
    mr_pages_unmap(&source->payloads);
    free(source);
}

static const struct mr_packet_source_ops recvmmsg_ops = MR_PACKET_SOURCE_OPS("recvmmsg");

static void bank_init(struct bank *bank, uint8_t *payloads)
{
    for (unsigned i = 0; i < BANK_MESSAGES; i++) {
        struct msghdr *header = &bank->messages[i].msg_hdr;
        bank->parts[i].iov_base = payloads + (size_t)i * MR_GRO_PAYLOAD_MAX;
        bank->parts[i].iov_len = MR_GRO_PAYLOAD_MAX;
        header->msg_iov = &bank->parts[i];
        header->msg_iovlen = 1;
        header->msg_name = &bank->names[i];
        header->msg_control = bank->control[i];
    }
}

struct mr_packet_source *mr_recvmmsg_source_open(const struct mr_packet_source_config *config,
                                                 struct mr_error *error)
{
    const size_t bank_bytes = (size_t)BANK_MESSAGES * MR_GRO_PAYLOAD_MAX;
    struct recvmmsg_source *source = calloc(1, sizeof *source);

    if (!source) {
        mr_error_set(error, "out of memory for a packet source");
        return NULL;
    }
    source->base.ops = &recvmmsg_ops;
    source->udp.fd = -1;
    source->wake_fd = -1;
    if (mr_udp_socket_open(&source->udp, config, error) != 0) {
        goto fail;
    }
    source->base.port = source->udp.port;
    source->base.receive_buffer_bytes = source->udp.receive_buffer_bytes;
    if (mr_pages_map(&source->payloads, BANKS * bank_bytes, "receive buffers", error) != 0) {
        goto fail;
    }
    for (unsigned i = 0; i < BANKS; i++) {
        bank_init(&source->banks[i], (uint8_t *)source->payloads.base + i * bank_bytes);
    }
    source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    source->sends = mr_send_queue_open(&source->udp);
    if (source->wake_fd < 0 || !source->sends) {
        mr_error_set(error, "out of memory or file descriptors for a packet source");
        goto fail;
    }
    return &source->base;

fail:
    source_close(&source->base);
    return NULL;
}
