/* log_place.h - where the tests of the logs work: a world's terms and keys, a folder, and a disk
 * that can be made to fail. */
#ifndef MR_TEST_ROUND_LOG_PLACE_H
#define MR_TEST_ROUND_LOG_PLACE_H

#include "appliance/storage/disk.h"
#include "parties.h"

/* A world for its terms and keys, and a folder. */
struct place {
    struct world *world;
    char *dir;
    struct mr_disk_file *file;
    const struct mr_disk *disk;
};

/* For cmocka's setup and teardown. */
int open_place(void **state);
int close_place(void **state);

struct failing {
    const struct mr_disk *under;
    unsigned good_syncs, good_writes; /* so many succeed */
};

struct mr_disk failing_disk(struct failing *failing);

#endif
