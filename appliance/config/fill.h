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
/* How many entries the section's list has; 1 for a section that is in none. */
unsigned mr_config_entries(const struct mr_hub_config *config, const char *section);
/* Where an option's value stands; `entry` counts the entries of the section's list. */
void *mr_config_option_at(const struct mr_hub_config *config, const struct mr_option *option,
                          unsigned entry);
void mr_config_release(struct mr_hub_config *config);

#endif
