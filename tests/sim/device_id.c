/* device_id.c - who a device is, and what it trains. */
#include <string.h>

#include "tests/sim/device.h"

void sim_device_id(uint8_t client_id[MR_CLIENT_ID_BYTES], unsigned device)
{
    for (unsigned i = 0; i < MR_CLIENT_ID_BYTES; i++) {
        client_id[i] = (uint8_t)(0xa5 + 37 * device + 11 * i);
    }
    client_id[MR_CLIENT_ID_BYTES - 1] = (uint8_t)device;
}

int sim_device_by_id(const struct sim *sim, const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    uint8_t expected[MR_CLIENT_ID_BYTES];
    const unsigned device = client_id[MR_CLIENT_ID_BYTES - 1];
    sim_device_id(expected, device);
    return device < sim->plan.devices && memcmp(client_id, expected, sizeof expected) == 0
               ? (int)device
               : -1;
}

int sim_device_value(const struct sim_task *task, unsigned device, uint64_t round)
{
    const int size = 1 + (int)((round * 7 + device * 3 + task->index * 5) % 9);
    return (round + device) % 2 ? -size : size;
}
