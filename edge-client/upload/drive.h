/* drive.h - runs a sender over a env's UDP socket until it ends. */
#ifndef MR_UPLOAD_DRIVE_H
#define MR_UPLOAD_DRIVE_H

#include "edge-client/session/device_env.h"
#include "edge-client/upload/sender.h"

struct mr_drive_plan {
    size_t datagram_bytes_max;
    uint64_t until_us;  /* by the env's now_us */
    uint64_t listen_us; /* for what becomes of a staged upload; 0: that is asked for elsewhere */
    unsigned stop_after_chunks;
    void (*moved)(void *context, const struct mr_sender *sender); /* now and then; NULL: nobody */
    void *context;
};

/* Sends and hears until the sender leaves MR_SENDER_SENDING or now_us passes until_us. Once all is
 * staged, hears on for listen_us: that it is committed comes as an ACK too, and saves a question.
 * stop_after_chunks > 0 is the hook of tests and of the demo: after so many datagrams the process
 * says so on stderr and halts for ever. Ends too once the env's cancel was asked. 0, or -1 when out
 * of memory. */
int mr_drive(const struct mr_device_env *env, void *udp, struct mr_sender *sender,
             const struct mr_drive_plan *plan);

#endif
