/* peer.h - what dpdk_peer and its hub agree upon. */
#ifndef MR_TEST_INGEST_PEER_H
#define MR_TEST_INGEST_PEER_H

#define PEER_PORT_BASE   9443 /* in frames only: no socket has it */
#define PEER_HUB_ADDRESS "198.18.0.1"
#define PEER_HUB_MAC     "02:00:00:00:00:01"
#define PEER_ADDRESS     "198.18.0.2"

#endif
