/* schema_internal.h - what fill.c has of libcyaml. */
#ifndef MR_CONFIG_SCHEMA_INTERNAL_H
#define MR_CONFIG_SCHEMA_INTERNAL_H

#include "appliance/config/document.h"
#include "appliance/config/hub_config.h"

/* A new config of the values that the document gives; all others are 0 or NULL. 0, or -1 with an
 * error. On success mr_config_release (fill.h) is owed. */
int mr_config_parse(struct mr_hub_config **config, const struct mr_document *document,
                    struct mr_error *error);

#endif
