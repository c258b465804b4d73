/* receiver.h - a lead's receiving end in miniature, for tests: opens chunks, asserts that a
 * repeated datagram is byte-identical, makes ACKs. */
#ifndef MRE_TEST_RECEIVER_H
#define MRE_TEST_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/datagram.h"
#include "wire/keys.h"
#include "wire/layout.h"

struct receiver {
    const struct mr_layout *layout;
    uint64_t upload_id, round;
    uint32_t attempt;
    struct mr_upload_keys keys;
    uint32_t window;
    uint8_t *share;         /* what has arrived */
    uint8_t *seen;          /* a byte per chunk */
    uint8_t (*digests)[32]; /* SHA-256 of each chunk's datagram */
    uint32_t received;
    uint32_t base;
    uint32_t ack_number;
    uint8_t state, reason;
    struct mr_aead *up, *down;
};

void receiver_init(struct receiver *r, const struct mr_layout *layout, uint64_t upload_id,
                   uint64_t round, uint32_t attempt, const struct mr_upload_keys *keys,
                   uint32_t window);
void receiver_fini(struct receiver *r);
/* Takes a datagram as sent; fails the test if it is not valid, or differs from its first sending.
 */
void receiver_take(struct receiver *r, const uint8_t *bytes, size_t length);
/* Writes a sealed ACK; returns its length. */
size_t receiver_ack(struct receiver *r, uint8_t *out);
/* Seals any ACK with any number (forgeries and replays). */
size_t receiver_seal(struct receiver *r, uint32_t number, const struct mr_ack *ack, uint8_t *out);

#endif
