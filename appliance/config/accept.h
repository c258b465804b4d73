/* accept.h - tasks.accept as numbers. Pure. */
#ifndef MR_CONFIG_ACCEPT_H
#define MR_CONFIG_ACCEPT_H

#include "appliance/config/hub_config.h"
#include "wire/acceptance.h"

/* What an option of a range says where it says no numbers: what this hub's own rule gives. */
#define MR_ACCEPT_RULE "rule"

struct mr_accept {
    struct mr_acceptance announced;
    bool scale_by_rule, step_max_by_rule; /* their ranges are any then */
};

/* Of a checked configuration, or of one made by hand, whose texts may be NULL. `accept` keeps the
 * text of training. */
void mr_config_accept_read(struct mr_accept *accept, const struct mr_config_accept *config);

#endif
