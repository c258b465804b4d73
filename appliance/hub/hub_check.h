/* hub_check.h - everything that a hub's start would refuse, asked without binding a port, making a
 * thread or writing a file. `millrace config check`, `millrace-hub --check`, the start and a reload
 * call this one function, so that what one refuses all refuse, in the same words. A library of its
 * own: the operator's command has no hub in it. */
#ifndef MR_HUB_HUB_CHECK_H
#define MR_HUB_HUB_CHECK_H

#include "appliance/config/hub_config.h"
#include "transport/tls.h"

/* Reads the file and checks it: keys and rules (hub_config.h), the files that it names, the
 * certificate with its key and the CA, each task's model (and sets its `dimension`), whether its
 * `privacy` can hold, the user and, as root, whether that user
 * can read what a hub reads again while it runs. 0, or -1 with an error and *config NULL. On
 * success mr_hub_config_free is owed. */
int mr_hub_check(struct mr_hub_config **config, const char *path, struct mr_error *error);
/* The same for a hub that runs. It has given up looking users up, and a change of sandbox.user
 * needs a restart, which asks. */
int mr_hub_check_again(struct mr_hub_config **config, const char *path, struct mr_error *error);

/* The files of a hub's TLS; borrowed from the configuration. */
struct mr_tls_files mr_hub_tls_files(const struct mr_config_identity *identity);

#endif
