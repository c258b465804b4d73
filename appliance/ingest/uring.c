/* The io_uring source: one multishot recvmsg into a ring of provided buffers, UDP GRO.
 *
 * SINGLE_ISSUER and DEFER_TASKRUN: the ring is set up, driven and torn down by the worker's thread,
 * and the kernel delivers only when that thread asks, once a burst. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "appliance/ingest/gro.h"
#include "appliance/ingest/send_queue.h"
#include "appliance/ingest/sources.h"
#include "appliance/ingest/uring_restrict.h"
#include "appliance/runtime/pages.h"
#include "base/assert.h"

#define BUFFERS      64 /* as many as a burst has packets; more of them leave the near caches */
#define BUFFER_GROUP 0
/* The kernel puts its own header, the sender's name and the control message before the payload. */
#define HEAD_BYTES                                                                                 \
    (sizeof(struct io_uring_recvmsg_out) + sizeof(struct sockaddr_in6) + MR_GRO_CONTROL_BYTES)
#define BUFFER_BYTES ((MR_GRO_PAYLOAD_MAX + HEAD_BYTES + 63) / 64 * 64)

enum { ON_RECEIVE = 1, ON_WAKE = 2, ON_CANCEL = 3 };

struct uring_source {
    struct mr_packet_source base;
    struct mr_udp_socket udp;
    struct mr_send_queue *sends;
    struct io_uring ring;
    bool ring_open;
    bool receiving; /* the multishot recvmsg is armed */
    bool waking;    /* the read of wake_fd is armed */
    int wake_fd;
    uint64_t woken;      /* what that read fills */
    struct msghdr shape; /* how much room name and control take in each buffer */
    struct io_uring_buf_ring *buf_ring;
    struct mr_pages buf_ring_pages;
    struct mr_pages buffer_pages;
    struct mr_gro_buffer buffers[BUFFERS];
    unsigned current; /* the buffer being handed out; BUFFERS: none */
};

static uint8_t *buffer_base(const struct uring_source *source, unsigned id)
{
    return (uint8_t *)source->buffer_pages.base + (size_t)id * BUFFER_BYTES;
}

static void buffer_recycle(struct uring_source *source, unsigned id)
{
    io_uring_buf_ring_add(source->buf_ring, buffer_base(source, id), BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(source->buf_ring, 1);
}

/* Arms what is not armed; submitted with the next wait. The queue has room: at most two entries are
 * made between submissions. */
static void arm(struct uring_source *source)
{
    if (!source->receiving) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&source->ring);
        MR_ASSERT(sqe);
        io_uring_prep_recvmsg_multishot(sqe, source->udp.fd, &source->shape, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
        sqe->user_data = ON_RECEIVE;
        source->receiving = true;
    }
    if (!source->waking) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&source->ring);
        MR_ASSERT(sqe);
        io_uring_prep_read(sqe, source->wake_fd, &source->woken, sizeof source->woken, 0);
        sqe->user_data = ON_WAKE;
        source->waking = true;
    }
}

static void on_receive(struct uring_source *source, const struct io_uring_cqe *cqe)
{
    /* The kernel ends a multishot when buffers run out or on an empty datagram: armed again by the
     * next poll, after its packets were given back. */
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        source->receiving = false;
    }
    if ((cqe->flags & IORING_CQE_F_BUFFER) == 0) {
        return;
    }
    const unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    struct io_uring_recvmsg_out *out =
        cqe->res < 0 ? NULL
                     : io_uring_recvmsg_validate(buffer_base(source, id), cqe->res, &source->shape);
    if (!out) {
        buffer_recycle(source, id);
        return;
    }
    const struct cmsghdr *control = io_uring_recvmsg_cmsg_firsthdr(out, &source->shape);
    mr_gro_start(&source->buffers[id], io_uring_recvmsg_payload(out, &source->shape),
                 io_uring_recvmsg_payload_length(out, cqe->res, &source->shape),
                 mr_gro_segment(control), io_uring_recvmsg_name(out));
    source->current = id;
}

/* Hands out what the kernel has delivered already. */
static unsigned take(struct uring_source *source, struct mr_packet *packets, unsigned max)
{
    unsigned n = 0;

    while (n < max) {
        struct io_uring_cqe *cqe;
        if (source->current != BUFFERS) {
            struct mr_gro_buffer *buffer = &source->buffers[source->current];
            n += mr_gro_take(buffer, packets + n, max - n);
            if (!buffer->pending) {
                source->current = BUFFERS;
            }
            continue;
        }
        if (io_uring_peek_cqe(&source->ring, &cqe) != 0) {
            break;
        }
        if (cqe->user_data == ON_RECEIVE) {
            on_receive(source, cqe);
        } else if (cqe->user_data == ON_WAKE) {
            source->waking = false;
        }
        io_uring_cqe_seen(&source->ring, cqe);
    }
    return n;
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct uring_source *source = (struct uring_source *)base;

    base->unsent += mr_send_queue_flush(source->sends);
    unsigned n = take(source, packets, max);
    if (n == max) {
        return n;
    }
    arm(source);
    if (n > 0 || wait_us == 0) {
        (void)io_uring_submit_and_get_events(&source->ring);
    } else {
        struct __kernel_timespec wait = {.tv_sec = wait_us / 1000000u,
                                         .tv_nsec = (long long)(wait_us % 1000000u) * 1000};
        struct io_uring_cqe *cqe;
        (void)io_uring_submit_and_wait_timeout(&source->ring, &cqe, 1, &wait, NULL);
    }
    return n + take(source, packets + n, max - n);
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    struct uring_source *source = (struct uring_source *)base;

    for (unsigned i = 0; i < count; i++) {
        struct mr_gro_buffer *buffer = packets[i].token;
        if (mr_gro_give(buffer)) {
            buffer_recycle(source, (unsigned)(buffer - source->buffers));
        }
    }
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    return mr_send_queue_put(((struct uring_source *)base)->sends, to, data, length);
}

static void source_flush(struct mr_packet_source *base)
{
    base->unsent += mr_send_queue_flush(((struct uring_source *)base)->sends);
}

static void source_wake(struct mr_packet_source *base)
{
    const uint64_t one = 1;

    /* Can only fail when the counter is full, and then the read completes as well. */
    if (write(((struct uring_source *)base)->wake_fd, &one, sizeof one) < 0) {
        return;
    }
}

/* Ends the armed requests and waits for them, so that the port is free when close returns: the
 * kernel otherwise lets go of the socket some time after the ring. */
static void cancel_all(struct uring_source *source)
{
    struct __kernel_timespec wait = {.tv_nsec = 50 * 1000 * 1000};
    struct io_uring_sqe *sqe = io_uring_get_sqe(&source->ring);
    struct io_uring_cqe *cqe;

    if (!sqe) {
        return;
    }
    io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = ON_CANCEL;
    for (unsigned i = 0; i < 2 * BUFFERS && (source->receiving || source->waking); i++) {
        if (io_uring_submit_and_wait_timeout(&source->ring, &cqe, 1, &wait, NULL) < 0) {
            return;
        }
        while (io_uring_peek_cqe(&source->ring, &cqe) == 0) {
            if (cqe->user_data == ON_RECEIVE && (cqe->flags & IORING_CQE_F_MORE) == 0) {
                source->receiving = false;
            } else if (cqe->user_data == ON_WAKE) {
                source->waking = false;
            }
            io_uring_cqe_seen(&source->ring, cqe);
        }
    }
}

static void source_close(struct mr_packet_source *base)
{
    struct uring_source *source = (struct uring_source *)base;

    mr_send_queue_close(source->sends);
    if (source->ring_open) {
        cancel_all(source);
        if (source->buf_ring) {
            io_uring_unregister_buf_ring(&source->ring, BUFFER_GROUP);
        }
        io_uring_queue_exit(&source->ring);
    }
    mr_udp_socket_close(&source->udp);
    if (source->wake_fd >= 0) {
        close(source->wake_fd);
    }
    mr_pages_unmap(&source->buf_ring_pages);
    mr_pages_unmap(&source->buffer_pages);
    free(source);
}

static const struct mr_packet_source_ops uring_ops = MR_PACKET_SOURCE_OPS("io_uring");

static int open_ring(struct uring_source *source, struct mr_error *error)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_R_DISABLED,
        .cq_entries = 4 * BUFFERS,
    };
    const int failed = io_uring_queue_init_params(8, &source->ring, &params);

    if (failed == 0) {
        source->ring_open = true;
        return 0;
    }
    const char *why = failed == -EPERM    ? "io_uring is forbidden here (kernel.io_uring_disabled "
                                            "or a seccomp filter)"
                      : failed == -ENOSYS ? "this kernel has no io_uring"
                      : failed == -EINVAL ? "io_uring needs Linux 6.1 or later"
                                          : strerror(-failed);
    return mr_error_set(error, "%s", why);
}

static int open_buffers(struct uring_source *source, struct mr_error *error)
{
    struct io_uring_buf_reg registration = {.ring_entries = BUFFERS, .bgid = BUFFER_GROUP};

    if (mr_pages_map(&source->buffer_pages, (size_t)BUFFERS * BUFFER_BYTES, "receive buffers",
                     error) != 0 ||
        mr_pages_map(&source->buf_ring_pages, BUFFERS * sizeof(struct io_uring_buf),
                     "a buffer ring", error) != 0) {
        return -1;
    }
    registration.ring_addr = (uint64_t)(uintptr_t)source->buf_ring_pages.base;
    const int failed = io_uring_register_buf_ring(&source->ring, &registration, 0);
    if (failed != 0) {
        return mr_error_set(error, "io_uring refused the buffer ring: %s", strerror(-failed));
    }
    source->buf_ring = source->buf_ring_pages.base;
    io_uring_buf_ring_init(source->buf_ring);
    for (unsigned id = 0; id < BUFFERS; id++) {
        buffer_recycle(source, id);
    }
    return 0;
}

/* What arm() and cancel_all() ask for, and nothing else from here on. */
static int restrict_ring(struct uring_source *source, struct mr_error *error)
{
    static const uint8_t opcodes[] = {IORING_OP_RECVMSG, IORING_OP_READ, IORING_OP_ASYNC_CANCEL};

    return mr_uring_restrict(&source->ring, opcodes, sizeof opcodes, IOSQE_BUFFER_SELECT, error);
}

/* Arms the receive and sees whether the kernel takes it. */
static int probe(struct uring_source *source, struct mr_error *error)
{
    struct io_uring_cqe *cqe;

    arm(source);
    const int submitted = io_uring_submit_and_get_events(&source->ring);
    if (submitted < 0) {
        return mr_error_set(error, "io_uring refused a request: %s", strerror(-submitted));
    }
    if (io_uring_peek_cqe(&source->ring, &cqe) == 0 && cqe->user_data == ON_RECEIVE &&
        cqe->res < 0) {
        return mr_error_set(error, "io_uring refused a multishot receive: %s", strerror(-cqe->res));
    }
    return 0;
}

struct mr_packet_source *mr_uring_source_open(const struct mr_packet_source_config *config,
                                              struct mr_error *error)
{
    struct uring_source *source = calloc(1, sizeof *source);

    if (!source) {
        mr_error_set(error, "out of memory for a packet source");
        return NULL;
    }
    source->base.ops = &uring_ops;
    source->current = BUFFERS;
    source->udp.fd = -1;
    /* Control data follows the name: a multiple of eight keeps it aligned. */
    source->shape.msg_namelen = (sizeof(struct sockaddr_in6) + 7) / 8 * 8;
    source->shape.msg_controllen = MR_GRO_CONTROL_BYTES;
    source->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (source->wake_fd < 0) {
        mr_error_set(error, "cannot make an eventfd: %s", strerror(errno));
        goto fail;
    }
    if (open_ring(source, error) != 0 || mr_udp_socket_open(&source->udp, config, error) != 0 ||
        open_buffers(source, error) != 0 || restrict_ring(source, error) != 0 ||
        probe(source, error) != 0) {
        goto fail;
    }
    source->base.port = source->udp.port;
    source->base.receive_buffer_bytes = source->udp.receive_buffer_bytes;
    source->sends = mr_send_queue_open(&source->udp);
    if (!source->sends) {
        mr_error_set(error, "out of memory for a send queue");
        goto fail;
    }
    return &source->base;

fail:
    source_close(&source->base);
    return NULL;
}
