#include "edge-client/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int mr_fd_above_standard(int fd)
{
    if (fd < 0 || fd > 2) {
        return fd;
    }
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int why = errno;
    close(fd);
    errno = why;
    return moved;
}

int mr_file_create(const char *path)
{
    const int fd = mr_fd_above_standard(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd >= 0 && fchmod(fd, 0600)) { /* the umask may have taken bits; an old file, had more */
        const int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

FILE *mr_file_create_stream(const char *path)
{
    const int fd = mr_file_create(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !file) {
        close(fd);
    }
    return file;
}

int mr_folder_private(const char *path)
{
    if (mkdir(path, 0700) && errno != EEXIST) {
        return -1;
    }
    return chmod(path, 0700);
}

char *mr_path_absolute(const char *path)
{
    char *whole = NULL;
    if (!path || *path == '/') {
        return path ? strdup(path) : NULL;
    }
    char *folder = getcwd(NULL, 0);
    if (folder && asprintf(&whole, "%s/%s", strcmp(folder, "/") ? folder : "", path) < 0) {
        whole = NULL;
    }
    free(folder);
    return whole;
}
