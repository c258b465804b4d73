/* crowd_internal.h - the inside of crowd.h: crowd.c is the hub's side, crowd_devices.c the devices'
 * threads, which only that calls. */
#ifndef MR_PERF_CROWD_INTERNAL_H
#define MR_PERF_CROWD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "appliance/upload/plane.h"
#include "edge-client/upload/sender.h"
#include "edge-client/upload/udp_link.h"
#include "perf/crowd.h"

#define MR_CROWD_ROUND   11
#define MR_CROWD_ATTEMPT 0
#define MR_CROWD_BATCH   64u

struct mr_crowd_part;

struct mr_crowd_device {
    struct mr_udp_link link;
    struct mr_sender *sender; /* NULL until its thread has taken its grant */
    struct mr_upload_keys keys;
    struct mr_upload_grant grant;
    struct mr_crowd_part *part;
    uint64_t seed;
    const uint8_t *share;
    uint64_t *wake_us; /* in its thread's list: when it is looked at, whatever comes */
    uint8_t late[MR_CHUNK_BYTES_DEFAULT + MR_DATAGRAM_OVERHEAD];
    size_t late_bytes; /* 0: nothing was held back */
    bool ended;
};

/* A thread, and the devices that it runs. */
struct mr_crowd_part {
    const struct mr_crowd_config *config;
    const struct mr_layout *layout;
    atomic_uint *running; /* threads */
    struct mr_crowd_device *devices;
    unsigned count;
    pthread_t thread;
    int epoll, wake_fd;
    unsigned left;     /* not ended yet */
    uint64_t *wake_us; /* of its devices, side by side */
    /* Written by the loop's thread in this order: who was admitted, then how many. */
    struct mr_crowd_device **granted;
    atomic_uint granted_count;
    unsigned told;    /* the loop's thread: of these its thread was woken for */
    unsigned started; /* its thread: of these have a sender */
    uint64_t end_us;
    double cpu_s;
    uint8_t room[MR_CROWD_BATCH][MR_CHUNK_BYTES_DEFAULT + MR_DATAGRAM_OVERHEAD];
};

void mr_crowd_fail(const char *text); /* does not return */
void *mr_crowd_need(void *memory);    /* or fails */
uint64_t mr_crowd_now_us(void);
double mr_crowd_clock_s(clockid_t clock);
uint64_t mr_crowd_draw(uint64_t *state);

/* Before the clock runs, once its devices have their sockets: what depends on how many there are.
 */
void mr_crowd_part_prepare(struct mr_crowd_part *part);
void mr_crowd_part_free(struct mr_crowd_part *part);
/* The loop's thread: a device of it was admitted; its thread hears of it with the next _wake. */
void mr_crowd_part_grant(struct mr_crowd_part *part, struct mr_crowd_device *device);
void mr_crowd_part_wake(struct mr_crowd_part *part);
/* Before its thread runs: gives those that were granted their senders. */
void mr_crowd_part_start(struct mr_crowd_part *part);
/* A thread's function: until all of its devices have ended. */
void *mr_crowd_part_run(void *part);

#endif
