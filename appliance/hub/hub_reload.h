/* hub_reload.h - SIGHUP: the configuration is read and checked again, and what may change while a
 * hub runs is changed. All or nothing: where one key needs a restart, or the file is wrong, the
 * values in force stay as they were. */
#ifndef MR_HUB_HUB_RELOAD_H
#define MR_HUB_HUB_RELOAD_H

#include "appliance/hub/hub.h"

/* Logs each change as config.reloaded, or why not as config.refused. The list of revoked
 * certificates is read again in any case. */
void mr_hub_reload(struct mr_hub *hub, const char *config_file);

#endif
