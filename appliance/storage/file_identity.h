/* file_identity.h - which file or folder it is, by what a copy of it does not bring along: its
 * number, when it was made, and the file system that it is on. A reboot, another mode or owner, a
 * move within the file system change none of it. What a copy of the whole file system or of its
 * disk brings along is told by nothing here. */
#ifndef MR_STORAGE_FILE_IDENTITY_H
#define MR_STORAGE_FILE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct mr_file_identity {
    uint64_t inode;
    uint64_t born_s; /* Unix time when the file was made; 0: its file system does not say */
    uint64_t born_ns;
    /* By the file system's UUID, on btrfs also by the subvolume; 0 where the kernel's number for it
     * may be another one after a reboot. */
    uint64_t filesystem;
};

/* Of an open file or folder. 0 or -1. */
int mr_file_identity_of(int fd, struct mr_file_identity *identity, struct mr_error *error);

/* What only one of the two knows is not compared. */
bool mr_file_identity_same(const struct mr_file_identity *a, const struct mr_file_identity *b);

#endif
