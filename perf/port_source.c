#include "perf/port_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define IDLE_US 100
#define LOST_S  10

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void end(struct mr_port_source *source)
{
    source->seconds = now_s() - source->began_s;
    atomic_store_explicit(&source->mode, MR_PORT_IDLE, memory_order_release);
}

/* The port's packets, given back at once. */
static void count_all(struct mr_port_source *source, struct mr_packet *packets, unsigned max)
{
    uint64_t bytes = 0;

    while (source->at < source->count) {
        const unsigned n = source->port->ops->poll(source->port, packets, max, 0);
        if (n == 0) {
            continue;
        }
        if (source->at == 0) {
            source->began_s = now_s();
        }
        for (unsigned i = 0; i < n; i++) {
            bytes += packets[i].length;
        }
        source->port->ops->release(source->port, packets, n);
        source->at += n;
        atomic_store_explicit(source->taken, source->at, memory_order_release);
    }
    source->bytes += bytes;
    end(source);
}

static unsigned take(struct mr_port_source *source, enum mr_port_mode mode,
                     struct mr_packet *packets, unsigned max)
{
    const uint32_t left = source->count - source->at;
    unsigned n = 0;

    if (mode == MR_PORT_INGEST) {
        n = source->port->ops->poll(source->port, packets, max, 0);
    } else {
        for (; n < max && n < left; n++) {
            packets[n] = source->packets[source->at + n];
        }
    }
    if (source->at == 0 && n > 0) {
        source->began_s = now_s();
    }
    source->at += n;
    source->ends = source->at == source->count && n < max;
    return n;
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct mr_port_source *source = (struct mr_port_source *)base;
    const enum mr_port_mode mode = atomic_load_explicit(&source->mode, memory_order_acquire);

    (void)wait_us;
    if (mode == MR_PORT_IDLE) {
        usleep(IDLE_US);
        return 0;
    }
    if (mode == MR_PORT_COUNT) {
        count_all(source, packets, max);
        return 0;
    }
    if (source->ends) { /* the turn after which everything is folded and acknowledged is over */
        end(source);
        return 0;
    }
    return take(source, mode, packets, max);
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    struct mr_port_source *source = (struct mr_port_source *)base;

    if (packets[0].token) {
        source->port->ops->release(source->port, packets, count);
    }
    atomic_store_explicit(source->taken, source->at, memory_order_release);
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    struct mr_port_source *source = (struct mr_port_source *)base;

    if (atomic_load_explicit(&source->mode, memory_order_relaxed) != MR_PORT_INGEST) {
        return 0;
    }
    return source->port->ops->send(source->port, to, data, length);
}

static void source_flush(struct mr_packet_source *base)
{
    struct mr_port_source *source = (struct mr_port_source *)base;

    source->port->ops->flush(source->port);
}

static void source_wake(struct mr_packet_source *base)
{
    (void)base; /* it never sleeps for long */
}

static void source_close(struct mr_packet_source *base)
{
    struct mr_port_source *source = (struct mr_port_source *)base;

    source->port->ops->close(source->port);
}

static const struct mr_packet_source_ops source_ops = MR_PACKET_SOURCE_OPS("bench");

struct mr_packet_source *mr_port_source_open(struct mr_port_source *source,
                                             struct mr_dpdk_port *port, struct mr_error *error)
{
    source->base.ops = &source_ops;
    source->port = mr_dpdk_source_open(port, 0, error);
    return source->port ? &source->base : NULL;
}

double mr_port_source_segment(struct mr_port_source *source, enum mr_port_mode mode,
                              const struct mr_packet *packets, uint32_t count)
{
    uint64_t seen = 0;
    double since = now_s();

    source->packets = packets;
    source->count = count;
    source->at = 0;
    source->ends = false;
    atomic_store(source->taken, 0);
    atomic_store_explicit(&source->mode, mode, memory_order_release);
    while (atomic_load_explicit(&source->mode, memory_order_acquire) != MR_PORT_IDLE) {
        const uint64_t taken = atomic_load(source->taken);
        if (taken != seen) {
            since = now_s();
        } else if (now_s() > since + LOST_S) {
            fprintf(stderr, "%llu of %u packets came: the others were lost on the way\n",
                    (unsigned long long)taken, count);
            exit(1);
        }
        seen = taken;
        usleep(500);
    }
    return source->seconds;
}
