/* crowd.h - many devices that upload at the same time to a hub's upload plane, each over a socket
 * of its own on loopback, by the sender that a real device runs; on a network that may lose, repeat
 * and reorder what they send.
 *
 * For the benches and for tests: it ends the program with a message where something cannot be set
 * up or a sum is wrong. Device i's share and keys follow from i and the seed. */
#ifndef MR_PERF_CROWD_H
#define MR_PERF_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct mr_crowd_config {
    const char *source;     /* of the plane, "auto" */
    unsigned devices;       /* all ask for their upload at once, and are admitted as by a hub */
    bool all_admitted;      /* all of them before the first one sends, instead */
    unsigned threads;       /* that the devices are shared among */
    uint64_t dimension;     /* lanes of 16 bits */
    unsigned loss_percent;  /* of datagrams to the hub; ACKs are not touched */
    unsigned twice_percent; /* come twice */
    unsigned late_percent;  /* are overtaken by the next batch of their device */
    uint32_t receive_buffer_bytes;
    uint32_t window_total;
};

struct mr_crowd_result {
    double seconds;          /* from the first question, or datagram, to the last device's end */
    double hub_s, senders_s; /* CPU time meanwhile: of the plane, of the devices */
    double bytes;            /* of all shares */
    unsigned staged, refused, silent;  /* how the devices' senders ended: together all of them */
    unsigned folded;                   /* uploads in the sum, which was checked */
    uint64_t chunks;                   /* of all devices: what had to arrive */
    uint64_t datagrams, retransmitted; /* as the senders count */
    uint64_t acks;                     /* that they took in */
};

void mr_crowd_run(const struct mr_crowd_config *config, struct mr_crowd_result *result);

#endif
