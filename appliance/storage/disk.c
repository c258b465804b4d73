#include "appliance/storage/disk.h"

#include <stdlib.h>

int mr_disk_settle(const struct mr_disk *disk, const char *name, struct mr_error *error)
{
    uint8_t *bytes;
    size_t length;
    const int got = disk->read(disk->context, name, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : mr_error_set(error, "%s in data_dir has gone", name);
    }
    const int result = disk->write(disk->context, name, bytes, length, error) != 0 ||
                               disk->sync(disk->context, name, error) != 0
                           ? -1
                           : 0;
    free(bytes);
    return result;
}
