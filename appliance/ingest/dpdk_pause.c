/* Stopping the workers' polling for a moment. */
#include <unistd.h>

#include "appliance/ingest/dpdk_internal.h"

#define CHECK_US 20

void mr_dpdk_port_pause(struct mr_dpdk_port *port)
{
    atomic_store(&port->pausing, true);
    /* In this order: what a worker says from here on, it says of this pause. */
    for (unsigned i = 0; i < port->workers; i++) {
        atomic_store(&port->parked[i], false);
    }
    for (unsigned i = 0; i < port->workers; i++) {
        while (atomic_load(&port->open[i]) && !atomic_load(&port->parked[i])) {
            usleep(CHECK_US);
        }
    }
}

void mr_dpdk_port_resume(struct mr_dpdk_port *port)
{
    atomic_store(&port->pausing, false);
}
