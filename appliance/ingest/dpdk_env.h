/* dpdk_env.h - EAL, DPDK's environment: started once per process, never ended. */
#ifndef MR_INGEST_DPDK_ENV_H
#define MR_INGEST_DPDK_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Starts EAL unless it runs: on hugepages where the kernel has free ones, on ordinary pages where
 * not; nothing of it is left in the file system. `device` matters for PCI only (the one device that
 * may be taken); `more` are further words for EAL. The calling thread keeps its CPUs. 0 or -1. */
int mr_dpdk_env_start(const char *device, const char *more, struct mr_error *error);

/* Adds the device and finds its port's number. 0 or -1 with what DPDK said. */
int mr_dpdk_env_attach(const char *device, uint16_t *port_id, struct mr_error *error);
void mr_dpdk_env_detach(uint16_t port_id);

/* Calls `action` (rte_eth_dev_stop and the like) on EAL's interrupt thread and waits: a PMD whose
 * control messages come in on that thread (memif) is in the midst of none meanwhile. What `action`
 * said. Not from that thread itself. */
int mr_dpdk_env_call(int (*action)(uint16_t port_id), uint16_t port_id);

/* Collects what DPDK logs from _begin to _end; _end puts the first line said into `text`. Outside,
 * it logs into nothing. */
struct mr_dpdk_ear {
    void *stream;
    char *heard;
    size_t bytes;
};
void mr_dpdk_ear_begin(struct mr_dpdk_ear *ear);
void mr_dpdk_ear_end(struct mr_dpdk_ear *ear, char text[160]);

#endif
