/* fill.h - from checked YAML text into struct mr_hub_config (libcyaml), defaults included. */
#ifndef MR_CONFIG_FILL_H
#define MR_CONFIG_FILL_H

#include "appliance/config/document.h"
#include "appliance/config/hub_config.h"
#include "appliance/config/options.h"

/* Fills a new config from the document: every value given, every default for the rest, relative
 * paths made absolute. 0, or -1 with an error. On success mr_config_release is owed. */
int mr_config_fill(struct mr_hub_config **config, struct mr_document *document,
                   struct mr_error *error);
/* Where an option's value stands; `entry` counts the hubs and is ignored for other sections. */
void *mr_config_option_at(struct mr_hub_config *config, const struct mr_option *option,
                          unsigned entry);
void mr_config_release(struct mr_hub_config *config);

#endif
