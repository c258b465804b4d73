/* config_text.h - texts made from the table of options: the annotated sample (config/hub.yaml), the
 * table of docs/operations.md, and a loaded configuration with every value in force. */
#ifndef MR_CONFIG_CONFIG_TEXT_H
#define MR_CONFIG_CONFIG_TEXT_H

#include <stdio.h>

#include "appliance/config/hub_config.h"

void mr_config_write_sample(FILE *out);
/* Rows of Markdown, with their head. */
void mr_config_write_table(FILE *out);
/* One YAML document that loads as the same configuration: defaults written out, paths absolute. */
void mr_config_write_effective(FILE *out, const struct mr_hub_config *config);

#endif
