#include "appliance/storage/file_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* File systems whose number is made of their UUID. XFS and others take the device's, which may be
 * another after a reboot. */
static bool has_lasting_number(const struct statfs *about)
{
    return about->f_type == EXT4_SUPER_MAGIC || about->f_type == BTRFS_SUPER_MAGIC;
}

int mr_file_identity_of(int fd, struct mr_file_identity *identity, struct mr_error *error)
{
    struct statx file;
    struct statfs about;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &file) != 0 ||
        fstatfs(fd, &about) != 0) {
        return mr_error_set(error, "cannot tell which file it is: %s", strerror(errno));
    }
    *identity = (struct mr_file_identity){.inode = file.stx_ino};
    if (file.stx_mask & STATX_BTIME) {
        identity->born_s = (uint64_t)file.stx_btime.tv_sec;
        identity->born_ns = file.stx_btime.tv_nsec;
    }
    if (has_lasting_number(&about)) {
        memcpy(&identity->filesystem, &about.f_fsid, sizeof identity->filesystem);
    }
    return 0;
}

bool mr_file_identity_same(const struct mr_file_identity *a, const struct mr_file_identity *b)
{
    const bool both_born = a->born_s && b->born_s;
    const bool both_placed = a->filesystem && b->filesystem;
    return a->inode == b->inode &&
           (!both_born || (a->born_s == b->born_s && a->born_ns == b->born_ns)) &&
           (!both_placed || a->filesystem == b->filesystem);
}
