#include "appliance/runtime/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int mr_standard_fds_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) {
            continue;
        }
        if (open("/dev/null", O_RDWR) != fd) { /* the lowest number that is free */
            return -1;
        }
    }
    return 0;
}
