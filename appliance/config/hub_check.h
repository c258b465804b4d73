/* hub_check.h - what no single value can tell: bounds between values, and the files they name. */
#ifndef MR_CONFIG_HUB_CHECK_H
#define MR_CONFIG_HUB_CHECK_H

#include "appliance/config/document.h"
#include "appliance/config/hub_config.h"

/* Both: 0, or -1 with "path:line: …". */

/* The rules between values; also resolves cohort_max 0 to what ring and weights hold. */
int mr_config_check_rules(struct mr_hub_config *config, struct mr_document *document,
                          struct mr_error *error);

/* Every file named is there, readable, of the right form; secrets are private; the signing key
 * belongs to this hub's public key. */
int mr_config_check_files(struct mr_hub_config *config, struct mr_document *document,
                          struct mr_error *error);

#endif
