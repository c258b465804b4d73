/* plane_fixture.h - a whole upload plane with real sockets on loopback, a round on it (or several,
 * a fixture each), and devices that send to it. Everything runs on the test's thread inside the
 * loop, except the workers. */
#ifndef MR_TEST_UPLOAD_PLANE_FIXTURE_H
#define MR_TEST_UPLOAD_PLANE_FIXTURE_H

#include <stdbool.h>

#include "appliance/upload/plane.h"
#include "appliance/upload/plane_sources.h"
#include "upload_kit.h"

#define DEVICES_MAX 64

struct upload {
    struct kit_device device;
    int fd; /* connected to its worker; -1 for HTTP/2 */
    bool unsound, staged, revoked, not_revoked, expired, included;
    bool stopped;               /* sends no more by itself */
    enum mr_upload_state heard; /* the last state an ACK told */
    enum mr_upload_reason reason;
    struct mr_ack ack;
    uint64_t acks, ack_bytes, sent_bytes;
};

struct fixture {
    struct fixture *beside; /* another round on the same plane, whose devices run with this one's */
    struct mr_loop *loop;
    struct mr_upload_plane *plane;
    struct mr_plane_round *round;
    struct mr_round_terms terms;
    struct upload uploads[DEVICES_MAX];
    unsigned count;
    uint32_t uploads_max; /* of the next begin; 0: DEVICES_MAX */
    struct mr_collection *collection;
    struct kit_sum collected;
    bool (*until)(struct fixture *fixture);
    struct mr_timer *tick;
    uint64_t seed;
    unsigned ticks; /* milliseconds of the current wait, about */
};

/* "io_uring", "recvmmsg" or "dpdk". */
extern const char *fixture_source;

/* What a DPDK port needs, and how its devices reach it; or the workers' sources themselves: set
 * before fixture_open. */
struct fixture_network {
    struct mr_dpdk_config dpdk;
    uint16_t port_base;
    int (*connect)(uint16_t port); /* a device's socket to that port of the hub; NULL: loopback */
    mr_source_make_fn make_source; /* NULL: fixture_source */
};
extern struct fixture_network fixture_network;

/* Chunks in flight over all sessions of a worker; 0: 1024. */
extern uint32_t fixture_window_total;

/* How many rounds of the first one's size the accumulators hold; 0: one. */
extern unsigned fixture_rounds;

struct fixture *fixture_open(uint8_t ring_bits, uint64_t dimension, unsigned workers,
                             unsigned slots, uint32_t idle_timeout_ms);
/* Another round on the plane of `first`, whose shares must be as large: a fixture of its own,
 * closed with `first`. `number` is the round's. */
struct fixture *fixture_open_beside(struct fixture *first, uint64_t number, uint8_t ring_bits,
                                    uint64_t dimension, uint32_t chunk_bytes);
void fixture_close(struct fixture *fixture);

/* Begins a round with fixture->terms; the one before is ended. */
void fixture_begin(struct fixture *fixture);

/* Ends the round; devices stop. */
void fixture_end(struct fixture *fixture);

/* Runs the loop until the predicate holds; it is asked every millisecond and may send. Fails the
 * test after many seconds. */
void fixture_run(struct fixture *fixture, bool (*until)(struct fixture *fixture));

/* Admits a new device; NULL when the plane is full or closed. */
struct upload *fixture_admit(struct fixture *fixture, enum mr_transport transport);
/* The same over UDP, and what its grant said of a window. */
struct upload *fixture_admit_udp(struct fixture *fixture, uint32_t *window);
void fixture_send(struct upload *upload, uint32_t chunk);

/* Collects and adds to `collected`; the collection stays out. */
void fixture_collect(struct fixture *fixture, bool freeze);
void fixture_return(struct fixture *fixture, bool committed, enum mr_upload_reason reason);
/* What was collected is the plain sum of the devices that were listed, each once. */
void fixture_check_sum(struct fixture *fixture);

/* Predicates. Devices send what they lack an ACK for, in random order, with losses and repeats. */
bool until_staged(struct fixture *fixture);
/* Devices repeat a chunk from time to time until they hear the end. */
bool until_committed(struct fixture *fixture);
bool until_refused(struct fixture *fixture);
/* The revocation of the newest device was answered. */
bool until_answered(struct fixture *fixture);

#endif
