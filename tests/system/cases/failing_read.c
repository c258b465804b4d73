/* failing_read.c - preloaded into a program, it lets the disk fail under the file that FAILING_READ
 * names: what is read of it after the first time is EIO. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_that_file(int fd)
{
    const char *name = getenv("FAILING_READ");
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path);
    return name && length == (ssize_t)strlen(name) && memcmp(path, name, (size_t)length) == 0;
}

__attribute__((visibility("default"))) ssize_t read(int fd, void *into, size_t bytes)
{
    ssize_t (*real)(int, void *, size_t);
    static int times;
    *(void **)&real = dlsym(RTLD_NEXT, "read");
    if (is_that_file(fd) && times++ > 0) {
        errno = EIO;
        return -1;
    }
    return real(fd, into, bytes);
}
