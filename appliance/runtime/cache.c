#include "appliance/runtime/cache.h"

#include <sched.h>
#include <stdio.h>

/* Linux: Documentation/ABI/testing/sysfs-devices-system-cpu. */
static uint64_t index_bytes(int cpu, int index)
{
    char path[96], unit = '\0';
    unsigned long long count = 0;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/size", cpu, index);
    FILE *file = fopen(path, "re");
    if (!file) {
        return 0;
    }
    const int read = fscanf(file, "%llu%c", &count, &unit);
    fclose(file);
    if (read != 2) {
        return 0;
    }
    return unit == 'K' ? count << 10 : unit == 'M' ? count << 20 : 0;
}

uint64_t mr_cache_bytes(void)
{
    const int cpu = sched_getcpu();
    uint64_t most = 0;

    for (int index = 0; index < 8; index++) {
        const uint64_t bytes = index_bytes(cpu < 0 ? 0 : cpu, index);
        most = bytes > most ? bytes : most;
    }
    return most;
}
