/* config_change.h - what differs between two loaded configurations, key by key. */
#ifndef MR_CONFIG_CONFIG_CHANGE_H
#define MR_CONFIG_CONFIG_CHANGE_H

#include "appliance/config/hub_config.h"
#include "appliance/config/options.h"

struct mr_config_change {
    const char *key;              /* "log_level", "tasks.digits.round.quorum", "hubs.1.port" */
    const char *before, *after;   /* as in the file; "" where a task or hub is new or gone */
    enum mr_option_change change; /* what the table of options says of the key */
};
typedef void (*mr_config_change_fn)(void *context, const struct mr_config_change *change);

/* Tells of each difference. Tasks are known by name and hubs by index, whatever their order; one
 * that is new or gone is one change, of the key "tasks.NAME" or "hubs.INDEX". */
void mr_config_compare(const struct mr_hub_config *before, const struct mr_hub_config *after,
                       mr_config_change_fn tell, void *context);

#endif
