/* sources.h - the sources that mr_packet_source_open chooses from. Each fails with an error that
 * says why this machine or this process cannot have it. */
#ifndef MR_INGEST_SOURCES_H
#define MR_INGEST_SOURCES_H

#include "appliance/ingest/packet_source.h"

/* Needs Linux 6.1 (multishot recvmsg, DEFER_TASKRUN) and a process that may use io_uring. */
struct mr_packet_source *mr_uring_source_open(const struct mr_packet_source_config *config,
                                              struct mr_error *error);
/* Works everywhere. */
struct mr_packet_source *mr_recvmmsg_source_open(const struct mr_packet_source_config *config,
                                                 struct mr_error *error);

#endif
