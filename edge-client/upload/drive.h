/* drive.h - runs a sender over a env's UDP socket until it ends. */
#ifndef MR_UPLOAD_DRIVE_H
#define MR_UPLOAD_DRIVE_H

#include "edge-client/session/device_env.h"
#include "edge-client/upload/sender.h"

/* Sends and hears until the sender leaves MR_SENDER_SENDING or now_us passes until_us.
 * stop_after_chunks > 0 is the hook of tests and of the demo: after so many datagrams the process
 * says so on stderr and halts for ever. 0, or -1 when out of memory. Returns the phase in *phase.
 */
int mr_drive(const struct mr_device_env *env, void *udp, struct mr_sender *sender,
             size_t datagram_bytes_max, uint64_t until_us, unsigned stop_after_chunks);

#endif
