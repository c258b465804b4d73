/* sender.h - sends one frozen share as sealed datagrams: which chunk when, again and for how long.
 *
 * Sans-IO: time and received bytes come in as arguments, datagrams go out; no clock, no socket, no
 * randomness. A chunk's datagram is a pure function of (share, keys, chunk), so a retransmission is
 * byte-identical. Times are microseconds of any monotonic clock. One thread. */
#ifndef MR_UPLOAD_SENDER_H
#define MR_UPLOAD_SENDER_H

#include <stddef.h>
#include <stdint.h>

#include "wire/datagram.h"
#include "wire/keys.h"
#include "wire/layout.h"

#define MR_SENDER_WINDOW_MAX   1024 /* a larger grant is not used in full */
#define MR_SENDER_WINDOW_FIRST 64   /* nor more than this of the first, until the hub was heard */
#define MR_SENDER_REORDER      8    /* sent so many after it were heard of: the chunk is lost */

/* Retransmission timeout: before the first round trip is known; bounds of the estimate; and what
 * doubling after timeouts stops at (the window shrinks as well), so that silence is a sure sign. */
#define MR_SENDER_RTO_FIRST_US   250000
#define MR_SENDER_RTO_MIN_US     30000
#define MR_SENDER_RTO_MAX_US     2000000
#define MR_SENDER_RTO_BACKOFF_US 500000

enum mr_sender_phase {
    MR_SENDER_SENDING,
    MR_SENDER_STAGED,    /* the hub has it all; committed is heard over the control connection */
    MR_SENDER_COMMITTED, /* durable */
    MR_SENDER_REFUSED,   /* mr_sender_reason says why */
    MR_SENDER_SILENT,    /* no valid ACK for silence_us: UDP does not get through */
};

struct mr_sender_config {
    const struct mr_layout *layout; /* must outlive the sender, as share must */
    const uint8_t *share;           /* frozen: must not change while the sender lives */
    uint64_t upload_id;
    uint64_t round;
    uint32_t attempt;
    const struct mr_upload_keys *keys; /* copied into the AEAD contexts */
    uint32_t window;                   /* from the grant */
    uint64_t silence_us;
};

struct mr_sender_counts {
    uint64_t datagrams; /* handed out, retransmissions included */
    uint64_t retransmitted;
    uint64_t acks;         /* accepted */
    uint64_t acks_ignored; /* forged, replayed, old, malformed or of another upload */
};

struct mr_sender;

/* Allocates. NULL when out of memory or when OpenSSL fails. */
struct mr_sender *mr_sender_open(const struct mr_sender_config *config, uint64_t now_us);
void mr_sender_close(struct mr_sender *sender); /* wipes; NULL allowed */

/* Writes the next datagram to send now into out (at least chunk_bytes + MR_DATAGRAM_OVERHEAD) and
 * returns its length, or 0 when there is none now. */
size_t mr_sender_next(struct mr_sender *sender, uint64_t now_us, uint8_t *out);

/* Takes in a received datagram: any bytes. Returns 0 if it was a valid new ACK, else -1 (counted).
 */
int mr_sender_receive(struct mr_sender *sender, uint64_t now_us, const uint8_t *bytes,
                      size_t length);

/* When to call mr_sender_next again if nothing is received before. After a phase other than
 * SENDING: UINT64_MAX. */
uint64_t mr_sender_wake_us(const struct mr_sender *sender, uint64_t now_us);

/* Chunks that the hub is known to have. */
uint32_t mr_sender_heard(const struct mr_sender *sender);

enum mr_sender_phase mr_sender_phase(const struct mr_sender *sender);
enum mr_upload_reason mr_sender_reason(const struct mr_sender *sender);
const struct mr_sender_counts *mr_sender_counts(const struct mr_sender *sender);

#endif
