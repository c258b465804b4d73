/* datagram.h - the upload's UDP datagrams: 32-byte header, sealed payload, 16-byte tag.
 *
 * Header, network byte order: magic u16 "MR" | version u8 = 1 | type u8 | flags u16 = 0 |
 * length u16 (payload bytes, tag excluded) | upload_id u64 | round u64 | attempt u32 | chunk u32.
 * The whole header is AAD. A datagram is exactly 32 + length + 16 bytes. */
#ifndef MR_WIRE_DATAGRAM_H
#define MR_WIRE_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "wire/aead.h"

#define MR_DATAGRAM_MAGIC        0x4d52u /* "MR" */
#define MR_DATAGRAM_VERSION      1
#define MR_DATAGRAM_HEADER_BYTES 32
#define MR_DATAGRAM_OVERHEAD     (MR_DATAGRAM_HEADER_BYTES + MR_TAG_BYTES)

enum mr_datagram_type {
    MR_DATAGRAM_CHUNK = 1, /* device to hub: chunk = chunk number, payload = share bytes */
    MR_DATAGRAM_ACK = 2,   /* hub to device: chunk = ACK number, payload = struct mr_ack */
};

struct mr_datagram {
    uint8_t type;
    uint16_t length;
    uint64_t upload_id;
    uint64_t round;
    uint32_t attempt;
    uint32_t chunk;
};

/* Why a datagram's header was not accepted; the hub counts each by name. */
enum mr_datagram_verdict {
    MR_DATAGRAM_OK = 0,
    MR_DATAGRAM_TRUNCATED, /* shorter than header + tag, or than its length field says */
    MR_DATAGRAM_OVERSIZED, /* longer than its length field says */
    MR_DATAGRAM_BAD_MAGIC,
    MR_DATAGRAM_BAD_VERSION,
    MR_DATAGRAM_BAD_TYPE,
    MR_DATAGRAM_BAD_FLAGS,
};

void mr_datagram_encode(uint8_t header[MR_DATAGRAM_HEADER_BYTES],
                        const struct mr_datagram *datagram);

/* Reads the header of bytes[total]; checks form only (session, round, chunk are the caller's). */
enum mr_datagram_verdict mr_datagram_decode(struct mr_datagram *datagram, const uint8_t *bytes,
                                            size_t total);

/* State of an upload, as told in ACKs and over the control connection. */
enum mr_upload_state {
    MR_UPLOAD_RECEIVING = 1,
    MR_UPLOAD_STAGED = 2,    /* complete at the hub, not yet durable */
    MR_UPLOAD_COMMITTED = 3, /* durable: the device may forget its share */
    MR_UPLOAD_REFUSED = 4,   /* not counted; `reason` says why */
};

enum mr_upload_reason {
    MR_REASON_NONE = 0,
    MR_REASON_CLOSED = 1,     /* the round was frozen before the upload was complete */
    MR_REASON_SUPERSEDED = 2, /* a later attempt of the same device took its place */
    MR_REASON_VOID = 3,       /* the round was given up */
    MR_REASON_IDLE = 4,       /* nothing arrived for too long; the slot went to another device */
    MR_REASON_UNSOUND = 5,    /* its count lane does not open to 1: seed and share do not match */
};

#define MR_ACK_BITMAP_BYTES 32 /* 256 chunks */
#define MR_ACK_BYTES        (16 + MR_ACK_BITMAP_BYTES)

/* ACK payload: state u8 | reason u8 | zero u16 | received u32 | window u32 | base u32 | bitmap.
 * Every chunk below base has arrived; bit i of the bitmap (bit i % 8 of byte i / 8) says that chunk
 * base + i has. `window` is how many unacknowledged chunks the device may have in flight now. */
struct mr_ack {
    uint8_t state;
    uint8_t reason;
    uint32_t received;
    uint32_t window;
    uint32_t base;
    uint8_t bitmap[MR_ACK_BITMAP_BYTES];
};

void mr_ack_encode(uint8_t out[MR_ACK_BYTES], const struct mr_ack *ack);
/* 0, or -1 for an unknown state or reason, or a non-zero pad. */
int mr_ack_decode(struct mr_ack *ack, const uint8_t *bytes, size_t length);

#endif
