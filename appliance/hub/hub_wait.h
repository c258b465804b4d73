/* hub_wait.h - what a start waits for: addresses, ports and a disk that are not there yet, and the
 * clock.
 *
 * A machine that boots gets its addresses and its time a little later than its services, and a port
 * may be held by the process before. Waiting is bounded, and said in the log (`hub.waiting`). */
#ifndef MR_HUB_HUB_WAIT_H
#define MR_HUB_HUB_WAIT_H

#include "appliance/config/hub_config.h"
#include "appliance/observe/log.h"
#include "base/error.h"

#define MR_HUB_PATIENCE_MS 15000u

enum mr_hub_wait {
    MR_HUB_WAIT_READY,
    MR_HUB_WAIT_STOPPED, /* a signal that stops came */
    MR_HUB_WAIT_TOO_LONG,
};

struct mr_hub_waiting {
    struct mr_log *log;
    int signals; /* a signalfd of the signals that stop, and SIGHUP, which is passed over */
    unsigned patience_ms;
};

/* Until the control port and the upload ports can be bound (nothing stays bound). With _TOO_LONG
 * the error says which cannot, and why. */
enum mr_hub_wait mr_hub_wait_for_addresses(const struct mr_hub_waiting *waiting,
                                           const struct mr_hub_config *config,
                                           struct mr_error *error);

/* Until the folder is there that data_dir lies in: a disk that is mounted late. (An empty folder
 * under a mount point cannot be told from a new hub's.) */
enum mr_hub_wait mr_hub_wait_for_disk(const struct mr_hub_waiting *waiting, const char *data_dir,
                                      struct mr_error *error);

/* Until the hub's own certificate holds by the clock. */
enum mr_hub_wait mr_hub_wait_for_clock(const struct mr_hub_waiting *waiting,
                                       const char *certificate_file, struct mr_error *error);

#endif
