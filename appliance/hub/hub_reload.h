/* hub_reload.h - SIGHUP: the configuration is read and checked again, and what may change while a
 * hub runs is changed: policies, tasks that come and go, certificates, the log level. All or
 * nothing: where one key needs a restart, the file is wrong, or a task cannot be opened, all stays
 * as it was. */
#ifndef MR_HUB_HUB_RELOAD_H
#define MR_HUB_HUB_RELOAD_H

#include "appliance/hub/hub.h"

/* Logs each change as config.reloaded, with task.added, task.removed and certificate.loaded, or why
 * not as config.refused. The list of revoked
 * certificates is read again in any case. */
void mr_hub_reload(struct mr_hub *hub, const char *config_file);

#endif
