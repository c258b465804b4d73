#include "appliance/ingest/replay.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct replay_source {
    struct mr_packet_source base;
    struct mr_replay replay;
    uint64_t next; /* the datagram to hand out next */
    bool ended;
    atomic_bool started;
    int wake_fd;
};

static void wait_for_wake(struct replay_source *source, unsigned wait_us)
{
    struct pollfd fd = {.fd = source->wake_fd, .events = POLLIN};
    const struct timespec wait = {.tv_sec = wait_us / 1000000u,
                                  .tv_nsec = (long)(wait_us % 1000000u) * 1000};
    uint64_t woken;

    if (ppoll(&fd, 1, &wait, NULL) > 0 && read(source->wake_fd, &woken, sizeof woken) < 0) {
        return;
    }
}

static unsigned take(struct replay_source *source, struct mr_packet *packets, unsigned max)
{
    const struct mr_replay *replay = &source->replay;
    unsigned n = 0;

    if (!atomic_load_explicit(&source->started, memory_order_acquire)) {
        return 0;
    }
    while (n < max && source->next < replay->count) {
        const uint64_t start = source->next == 0 ? 0 : replay->ends[source->next - 1];
        packets[n].data = replay->bytes + start;
        packets[n].length = (uint32_t)(replay->ends[source->next] - start);
        packets[n].from = replay->from[source->next];
        packets[n].token = NULL;
        source->next++;
        n++;
    }
    if (n == 0 && !source->ended) {
        source->ended = true;
        if (replay->on_end) {
            replay->on_end(replay->context);
        }
    }
    return n;
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct replay_source *source = (struct replay_source *)base;
    unsigned n = take(source, packets, max);

    if (n == 0 && wait_us > 0) {
        wait_for_wake(source, wait_us);
        n = take(source, packets, max);
    }
    return n;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    (void)base;
    (void)packets;
    (void)count;
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    const struct mr_replay *replay = &((struct replay_source *)base)->replay;

    if (replay->on_send) {
        replay->on_send(replay->context, to, data, length);
    }
    return 0;
}

static void source_flush(struct mr_packet_source *base)
{
    (void)base;
}

static void source_wake(struct mr_packet_source *base)
{
    const uint64_t one = 1;

    if (write(((struct replay_source *)base)->wake_fd, &one, sizeof one) < 0) {
        return;
    }
}

static void source_close(struct mr_packet_source *base)
{
    struct replay_source *source = (struct replay_source *)base;

    close(source->wake_fd);
    free(source);
}

static const struct mr_packet_source_ops replay_ops = MR_PACKET_SOURCE_OPS("replay");

struct mr_packet_source *mr_replay_source_open(const struct mr_replay *replay,
                                               struct mr_error *error)
{
    struct replay_source *source = calloc(1, sizeof *source);

    if (!source) {
        mr_error_set(error, "out of memory for a replay source");
        return NULL;
    }
    source->base.ops = &replay_ops;
    source->replay = *replay;
    source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->wake_fd < 0) {
        mr_error_set(error, "cannot make an eventfd for a replay source");
        free(source);
        return NULL;
    }
    return &source->base;
}

void mr_replay_start(struct mr_packet_source *base)
{
    struct replay_source *source = (struct replay_source *)base;

    atomic_store_explicit(&source->started, true, memory_order_release);
    source_wake(base);
}
