/* uring_restrict.h - a ring that does only what its owner said beforehand.
 *
 * A request of io_uring is no system call of its own: a filter of system calls does not see it. So
 * each ring is made disabled, told its requests, and enabled; from then on every other request of
 * it fails with EACCES, whoever writes into its queue. (A new ring cannot be made after set-up: the
 * hub's filter has no io_uring_setup.) */
#ifndef MR_INGEST_URING_RESTRICT_H
#define MR_INGEST_URING_RESTRICT_H

#include <liburing.h>
#include <stdint.h>

#include "base/error.h"

/* `ring` was set up with IORING_SETUP_R_DISABLED, and everything that it registers is registered.
 * Requests with flags of `sqe_flags` (IOSQE_…) or none; of registrations only that of giving a
 * buffer ring back is left. Enables the ring; on the thread that will use it. 0 or -1. */
int mr_uring_restrict(struct io_uring *ring, const uint8_t *opcodes, unsigned count,
                      uint8_t sqe_flags, struct mr_error *error);

#endif
