/* ingest_load.h - devices for the ingest bench: sealed packets of many uploads in a shuffled order,
 * made a ring at a time (as a receive queue holds them), and the sum that they must come to.
 *
 * Repeatable: a pass makes the same packets each time. Where whole passes fit the ring they are
 * made once, several under different keys if they fit together (passes take them in turn, so that
 * the packets stay many), and no making of packets disturbs the caches between two passes. */
#ifndef MR_PERF_INGEST_LOAD_H
#define MR_PERF_INGEST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/ingest/packet_source.h"
#include "appliance/runtime/pages.h"
#include "wire/keys.h"
#include "wire/layout.h"
#include "appliance/aggregate/sum.h"
#include "wire/share.h"

#define MR_LOAD_ROUND          9
#define MR_LOAD_ATTEMPT        1
#define MR_LOAD_COUNT_LANE     1      /* of every share: what its admission says */
#define MR_LOAD_RING_PACKETS   16384u /* more than 16 MiB of distinct sealed packets */
#define MR_LOAD_PACKET_ROOM    1536u /* a packet's buffer, and its first bytes aligned as received */
#define MR_LOAD_PACKET_LEAD    42u   /* before it: Ethernet, IPv4 and UDP headers fit */
#define MR_LOAD_FAULTY_PACKETS (2 * MR_LOAD_RING_PACKETS)

struct mr_load_sum {
    uint16_t *main;
    uint32_t trailer[MR_TRAILER_LANES];
};

struct mr_load {
    struct mr_layout layout;
    uint32_t devices;
    uint32_t generations;        /* sets of keys and packets that passes take in turn */
    uint32_t generation;         /* of this pass */
    struct mr_upload_keys *keys; /* one a device and generation */
    struct mr_aead **aeads;
    uint8_t *pool; /* random bytes that plaintexts are taken from */
    uint32_t *order;
    uint64_t seed;
    struct mr_pages ring;
    struct mr_packet ring_packets[MR_LOAD_RING_PACKETS];
    uint32_t ring_owners[MR_LOAD_RING_PACKETS]; /* device and chunk of each packet */
    uint32_t ring_chunks[MR_LOAD_RING_PACKETS];
    const struct mr_packet *packets; /* what mr_load_next gave: count of them */
    const uint32_t *owners, *chunks;
    uint32_t count;
    uint32_t chunk, at;           /* where the pass stands */
    bool kept;                    /* the ring holds whole passes, one a generation, made once */
    bool given;                   /* … and this pass's was given */
    struct mr_load_sum *expected; /* one a generation: the plain sum of the pass so far */
    struct mr_packet faulty[MR_LOAD_FAULTY_PACKETS];
};

/* Exits with a message when memory is short. */
void mr_load_open(struct mr_load *load, const struct mr_layout *layout, uint32_t devices);
void mr_load_close(struct mr_load *load);

uint64_t mr_load_upload_id(uint32_t device);
const struct mr_upload_keys *mr_load_keys(const struct mr_load *load, uint32_t device);

/* A pass: every chunk of every device, once. Each step of chunks is in a new order of devices. */
void mr_load_begin(struct mr_load *load);
/* Gives the next packets; false when the pass is over. */
bool mr_load_next(struct mr_load *load);
/* What a bad network makes of the packets that were given: 5% of them are lost and sent again after
 * the others, 5% come twice, and one in four changes places with a near one. How many there are
 * then; they lie in load->faulty until the next call. */
uint32_t mr_load_spoil(struct mr_load *load);
/* Exits with a message unless that is the sum of the pass. */
void mr_load_check(const struct mr_load *load, const struct mr_vector_sum *sum);

#endif
