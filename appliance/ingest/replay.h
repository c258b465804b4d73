/* replay.h - a packet source that feeds datagrams from memory, for tests and benches.
 *
 * Packets are handed out in order and without a copy, so they must outlive the source and are only
 * given to a reader that does not open them in place. */
#ifndef MR_INGEST_REPLAY_H
#define MR_INGEST_REPLAY_H

#include "appliance/ingest/packet_source.h"

/* Datagrams lie one after the other in `bytes`: datagram i is bytes[ends[i - 1] .. ends[i]). */
struct mr_replay {
    uint8_t *bytes;
    const uint64_t *ends;
    const struct mr_peer_address *from; /* one a datagram */
    uint64_t count;
    /* Sees what the reader sends, on the reader's thread; NULL drops it. */
    void (*on_send)(void *context, const struct mr_peer_address *to, const uint8_t *data,
                    uint32_t length);
    /* Called once, on the reader's thread, by the first poll after everything was given back. */
    void (*on_end)(void *context);
    void *context;
};

/* The replay is copied, what it points at is borrowed. Starts feeding when mr_replay_start was
 * called, from any thread: so a test can first admit its uploads. NULL on failure. */
struct mr_packet_source *mr_replay_source_open(const struct mr_replay *replay,
                                               struct mr_error *error);
void mr_replay_start(struct mr_packet_source *source);

#endif
