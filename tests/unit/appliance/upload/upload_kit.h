/* upload_kit.h - devices for the tests of the upload plane: random shares, sealed datagrams, and
 * the plain sum that the plane must come to. Repeatable: everything is drawn from a seed. */
#ifndef MR_TEST_UPLOAD_UPLOAD_KIT_H
#define MR_TEST_UPLOAD_UPLOAD_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliance/ingest/packet_source.h"
#include "wire/announcement.h"
#include "wire/datagram.h"
#include "wire/messages.h"
#include "appliance/aggregate/sum.h"
#include "wire/share.h"

#define KIT_ROUND        7
#define KIT_DATAGRAM_MAX (MR_CHUNK_BYTES_MAX + MR_DATAGRAM_OVERHEAD)

uint64_t kit_random(uint64_t *seed);
void kit_fill(uint64_t *seed, void *bytes, size_t count);
/* A uniformly shuffled 0..count-1. */
void kit_shuffle(uint64_t *seed, uint32_t *order, uint32_t count);

/* Terms of round KIT_ROUND with that layout. */
void kit_terms(struct mr_round_terms *terms, uint8_t ring_bits, uint64_t dimension,
               uint32_t chunk_bytes);

/* A device with a random share, and an upload once it has an id. */
struct kit_device {
    const struct mr_layout *layout;
    uint64_t upload_id;
    uint64_t round;
    uint32_t attempt;
    struct mr_upload_keys keys;
    struct mr_aead *up;   /* seals */
    struct mr_aead *down; /* opens ACKs */
    uint8_t *share;       /* 64-byte aligned */
};
void kit_device_init(struct kit_device *device, const struct mr_layout *layout, uint64_t *seed);
void kit_device_fini(struct kit_device *device);

/* Seals a chunk; returns the datagram's length. */
uint32_t kit_seal(const struct kit_device *device, uint32_t chunk,
                  uint8_t datagram[KIT_DATAGRAM_MAX]);
/* Opens an ACK; returns its number, or -1. */
int64_t kit_open_ack(const struct kit_device *device, const uint8_t *datagram, size_t length,
                     struct mr_ack *ack);

/* True if this machine or process cannot have that packet source; says why. The test is skipped. */
bool kit_lacks_source(const char *kind);

struct mr_peer_address kit_address(uint32_t host, uint16_t port);

/* The sum by plain arithmetic, lane by lane. */
struct kit_sum {
    struct mr_layout layout;
    uint64_t *lanes;
    uint64_t trailer[MR_TRAILER_LANES];
};
void kit_sum_init(struct kit_sum *sum, const struct mr_layout *layout);
void kit_sum_fini(struct kit_sum *sum);
void kit_sum_share(struct kit_sum *sum, const uint8_t *share);
/* Adds a shard; NULL lanes count as nothing. */
void kit_sum_part(struct kit_sum *sum, const struct mr_vector_sum *part);
/* Fails the test unless both are equal modulo the ring. */
void kit_sum_equal(const struct kit_sum *a, const struct kit_sum *b);

#endif
