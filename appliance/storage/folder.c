#include "appliance/storage/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

int mr_folder_list(const char *path, mr_folder_fn fn, void *context, struct mr_error *error)
{
    DIR *dir = opendir(path);
    if (!dir) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
        struct stat about;
        if (fstatat(dirfd(dir), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(about.st_mode)) {
            const struct mr_folder_file file = {
                .name = entry->d_name,
                .bytes = (uint64_t)about.st_size,
                .changed_ns = about.st_mtim.tv_sec * INT64_C(1000000000) + about.st_mtim.tv_nsec};
            fn(context, &file);
        }
    }
    const int why = errno;
    closedir(dir);
    return why == 0 ? 0 : mr_error_set(error, "%s: %s", path, strerror(why));
}

int mr_folder_space(const char *path, uint64_t *free_bytes, uint64_t *size_bytes,
                    struct mr_error *error)
{
    struct statvfs about;
    if (statvfs(path, &about) != 0) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    *free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
    *size_bytes = (uint64_t)about.f_blocks * about.f_frsize;
    return 0;
}
