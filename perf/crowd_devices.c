#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "perf/crowd_internal.h"

#define SILENCE_US (60 * 1000000ull)
#define EVENTS     256
#define LOOK_MS    5 /* timers of the senders are looked at so often */
#define ACK_ROOM   2048

void mr_crowd_fail(const char *text)
{
    fprintf(stderr, "crowd: %s\n", text);
    exit(1);
}

void *mr_crowd_need(void *memory)
{
    if (!memory) {
        mr_crowd_fail("out of memory");
    }
    return memory;
}

uint64_t mr_crowd_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

double mr_crowd_clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* xorshift64* (Vigna 2016). */
uint64_t mr_crowd_draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* --- a thread of devices ---------------------------------------------------------------------- */

/* What the network makes of a batch: fills `out` (twice the batch and one more). */
static unsigned spoil(const struct mr_crowd_config *config, struct mr_crowd_device *device,
                      const struct iovec *batch, unsigned count, struct iovec *out)
{
    const bool held = device->late_bytes > 0;
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++) {
        const unsigned luck = (unsigned)(mr_crowd_draw(&device->seed) >> 32) % 100;
        unsigned below = config->loss_percent;
        if (luck < below) {
            continue;
        }
        if (luck < (below += config->late_percent) && device->late_bytes == 0) {
            memcpy(device->late, batch[i].iov_base, batch[i].iov_len);
            device->late_bytes = batch[i].iov_len;
            continue;
        }
        out[n++] = batch[i];
        if (luck >= below && luck < below + config->twice_percent) {
            out[n++] = batch[i];
        }
    }
    if (held) {
        out[n++] = (struct iovec){.iov_base = device->late, .iov_len = device->late_bytes};
        device->late_bytes = 0;
    }
    return n;
}

static void send_due(struct mr_crowd_part *part, struct mr_crowd_device *device)
{
    struct iovec batch[MR_CROWD_BATCH], spoiled[2 * MR_CROWD_BATCH + 1];
    unsigned n;

    do {
        for (n = 0; n < MR_CROWD_BATCH; n++) {
            const size_t length = mr_sender_next(device->sender, mr_crowd_now_us(), part->room[n]);
            if (length == 0) {
                break;
            }
            batch[n] = (struct iovec){.iov_base = part->room[n], .iov_len = length};
        }
        const unsigned out = spoil(part->config, device, batch, n, spoiled);
        if (n > 0 && out > 0) {
            mr_udp_link_send(&device->link, spoiled, out);
        }
    } while (n == MR_CROWD_BATCH);
}

/* Sends what is due and looks whether that was all. */
static void serve(struct mr_crowd_part *part, struct mr_crowd_device *device)
{
    send_due(part, device);
    *device->wake_us = mr_sender_wake_us(device->sender, mr_crowd_now_us());
    if (!device->ended && mr_sender_phase(device->sender) != MR_SENDER_SENDING) {
        device->ended = true;
        part->left--;
    }
}

/* Takes in what has come; a device that has ended reads no more than the socket was said to have.
 */
static void hear(struct mr_crowd_part *part, struct mr_crowd_device *device)
{
    uint8_t ack[ACK_ROOM];
    size_t length;

    do {
        length = mr_udp_link_receive(&device->link, ack, sizeof ack, 0);
        if (length > 0) {
            (void)mr_sender_receive(device->sender, mr_crowd_now_us(), ack, length);
        }
    } while (length > 0 && mr_sender_phase(device->sender) == MR_SENDER_SENDING);
    serve(part, device);
}

/* --- grants, from the loop's thread to its own --------------------------------------------------
 */

void mr_crowd_part_grant(struct mr_crowd_part *part, struct mr_crowd_device *device)
{
    const unsigned count = atomic_load_explicit(&part->granted_count, memory_order_relaxed);

    part->granted[count] = device;
    atomic_store_explicit(&part->granted_count, count + 1, memory_order_release);
}

void mr_crowd_part_wake(struct mr_crowd_part *part)
{
    const uint64_t one = 1;
    const unsigned count = atomic_load_explicit(&part->granted_count, memory_order_relaxed);

    if (count == part->told) {
        return;
    }
    part->told = count;
    if (write(part->wake_fd, &one, sizeof one) != sizeof one) {
        mr_crowd_fail("a thread of devices cannot be woken");
    }
}

static void start(const struct mr_crowd_part *part, struct mr_crowd_device *device)
{
    const struct mr_sender_config config = {.layout = part->layout,
                                            .share = device->share,
                                            .upload_id = device->grant.upload_id,
                                            .round = MR_CROWD_ROUND,
                                            .attempt = MR_CROWD_ATTEMPT,
                                            .keys = &device->keys,
                                            .window = device->grant.window,
                                            .silence_us = SILENCE_US};

    device->sender = mr_crowd_need(mr_sender_open(&config, mr_crowd_now_us()));
    *device->wake_us = 0;
}

void mr_crowd_part_start(struct mr_crowd_part *part)
{
    const unsigned count = atomic_load_explicit(&part->granted_count, memory_order_relaxed);

    while (part->started < count) {
        start(part, part->granted[part->started++]);
    }
}

static void serve_granted(struct mr_crowd_part *part)
{
    const unsigned count = atomic_load_explicit(&part->granted_count, memory_order_acquire);

    while (part->started < count) {
        struct mr_crowd_device *device = part->granted[part->started++];
        start(part, device);
        serve(part, device);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void watch(const struct mr_crowd_part *part, int fd, void *device)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};

    if (fd < 0 || epoll_ctl(part->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        mr_crowd_fail("epoll takes no more sockets");
    }
}

void mr_crowd_part_prepare(struct mr_crowd_part *part)
{
    part->left = part->count;
    part->epoll = epoll_create1(EPOLL_CLOEXEC);
    part->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    part->wake_us = mr_crowd_need(calloc(part->count, sizeof *part->wake_us));
    part->granted = mr_crowd_need(calloc(part->count, sizeof(struct mr_crowd_device *)));
    watch(part, part->wake_fd, NULL);
    for (unsigned i = 0; i < part->count; i++) {
        struct mr_crowd_device *device = &part->devices[i];
        device->part = part;
        device->wake_us = &part->wake_us[i];
        *device->wake_us = UINT64_MAX;
        watch(part, device->link.fd, device);
    }
}

void mr_crowd_part_free(struct mr_crowd_part *part)
{
    close(part->epoll);
    close(part->wake_fd);
    free(part->wake_us);
    free(part->granted);
}

static void serve_late(struct mr_crowd_part *part, uint64_t now_us)
{
    for (unsigned i = 0; i < part->count; i++) {
        if (part->wake_us[i] <= now_us) {
            hear(part, &part->devices[i]);
        }
    }
}

void *mr_crowd_part_run(void *context)
{
    struct mr_crowd_part *part = context;
    struct epoll_event events[EVENTS];
    uint64_t look_us = 0, woken;

    while (part->left > 0) {
        const uint64_t now_us = mr_crowd_now_us();
        if (now_us >= look_us) {
            serve_late(part, now_us);
            look_us = now_us + LOOK_MS * 1000;
        }
        const int n = epoll_wait(part->epoll, events, EVENTS, LOOK_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                hear(part, events[i].data.ptr);
            } else if (read(part->wake_fd, &woken, sizeof woken) > 0) {
                serve_granted(part);
            }
        }
    }
    part->end_us = mr_crowd_now_us();
    part->cpu_s = mr_crowd_clock_s(CLOCK_THREAD_CPUTIME_ID);
    atomic_fetch_sub(part->running, 1);
    return NULL;
}
