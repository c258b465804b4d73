/* mailbox.h - fixed messages between exactly two threads: a single-producer single-consumer ring.
 *
 * C11 acquire/release atomics rather than libck's ck_ring, whose inline assembly the thread
 * sanitizer cannot see (every message would look like a race), and messages are written and read in
 * place, so that key material is never copied and its cell can be wiped. */
#ifndef MR_UPLOAD_MAILBOX_H
#define MR_UPLOAD_MAILBOX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct mr_mailbox {
    uint8_t *cells;
    size_t cell_bytes;
    uint32_t mask;                       /* cells - 1 */
    _Alignas(128) _Atomic uint32_t tail; /* written by the producer */
    _Alignas(128) _Atomic uint32_t head; /* written by the consumer */
};

/* Room for at least `cells` messages of cell_bytes (a multiple of 8). 0, or -1 out of memory. */
int mr_mailbox_open(struct mr_mailbox *mailbox, uint32_t cells, size_t cell_bytes);
void mr_mailbox_close(struct mr_mailbox *mailbox); /* wipes; safe on a zeroed struct */

/* Producer: the next cell to fill (NULL: full), then send it. */
void *mr_mailbox_reserve(struct mr_mailbox *mailbox);
void mr_mailbox_send(struct mr_mailbox *mailbox);

/* Consumer: the oldest message (NULL: none), then free its cell. */
void *mr_mailbox_peek(struct mr_mailbox *mailbox);
void mr_mailbox_consume(struct mr_mailbox *mailbox);

#endif
