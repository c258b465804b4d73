#include "edge-client/session/cancel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "edge-client/files/files.h"

int mr_cancel_init(struct mr_cancel *cancel)
{
    atomic_init(&cancel->asked, false);
    cancel->fd = mr_fd_above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (cancel->fd < 0) {
        cancel->fd = 0;
        return -1;
    }
    return 0;
}

void mr_cancel_fini(struct mr_cancel *cancel)
{
    if (cancel->fd) {
        close(cancel->fd);
    }
    cancel->fd = 0;
}

/* The flag first: whoever is woken finds it. */
void mr_cancel_ask(struct mr_cancel *cancel)
{
    const int before = errno;
    const uint64_t one = 1;
    atomic_store(&cancel->asked, true);
    if (cancel->fd) {
        const ssize_t written = write(cancel->fd, &one, sizeof one);
        (void)written; /* it fails only where it is readable already */
    }
    errno = before;
}

bool mr_cancel_asked(const struct mr_cancel *cancel)
{
    return cancel && atomic_load(&cancel->asked);
}

/* The descriptor first: an asking between the two is found by the flag, one after them wakes. */
bool mr_cancel_take(struct mr_cancel *cancel)
{
    uint64_t count;
    if (!cancel) {
        return false;
    }
    if (cancel->fd) {
        const ssize_t drained = read(cancel->fd, &count, sizeof count);
        (void)drained; /* nothing may be in it */
    }
    return atomic_exchange(&cancel->asked, false);
}
