/* ingest_load.h - devices for the ingest bench: sealed packets of many uploads in a shuffled order,
 * made a ring at a time (as a receive queue holds them), and the sum that they must come to.
 *
 * Repeatable: a pass makes the same packets each time. Where a whole pass fits the ring it is made
 * once, and no making of packets disturbs the caches between two passes. */
#ifndef MR_PERF_INGEST_LOAD_H
#define MR_PERF_INGEST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/ingest/packet_source.h"
#include "appliance/runtime/pages.h"
#include "wire/keys.h"
#include "wire/layout.h"
#include "wire/share.h"

#define MR_LOAD_ROUND        9
#define MR_LOAD_ATTEMPT      1
#define MR_LOAD_RING_PACKETS 16384u /* more than 16 MiB of distinct sealed packets */
#define MR_LOAD_PACKET_ROOM  1536u  /* a packet's buffer, and its first bytes aligned as received */

struct mr_load {
    struct mr_layout layout;
    uint32_t devices;
    struct mr_upload_keys *keys; /* one a device */
    struct mr_aead **aeads;
    uint8_t *pool; /* random bytes that plaintexts are taken from */
    uint32_t *order;
    uint64_t seed;
    struct mr_pages ring;
    struct mr_packet packets[MR_LOAD_RING_PACKETS];
    uint32_t owners[MR_LOAD_RING_PACKETS]; /* device and chunk of each packet */
    uint32_t chunks[MR_LOAD_RING_PACKETS];
    uint32_t count;          /* packets in the ring */
    uint32_t chunk, at;      /* where the pass stands */
    bool kept, given;        /* the ring holds the whole pass; it was given in this one */
    uint16_t *expected_main; /* the plain sum of the pass so far */
    uint32_t expected_trailer[MR_TRAILER_LANES];
};

/* Exits with a message when memory is short. */
void mr_load_open(struct mr_load *load, const struct mr_layout *layout, uint32_t devices);
void mr_load_close(struct mr_load *load);

uint64_t mr_load_upload_id(uint32_t device);

/* A pass: every chunk of every device, once. Each step of chunks is in a new order of devices. */
void mr_load_begin(struct mr_load *load);
/* Fills the ring with the next packets; false when the pass is over. */
bool mr_load_next(struct mr_load *load);
/* Exits with a message unless that is the sum of the pass. */
void mr_load_check(const struct mr_load *load, const struct mr_vector_sum *sum);

#endif
