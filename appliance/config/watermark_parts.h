/* watermark_parts.h - the mark of a task's models as the configuration writes it. Pure. */
#ifndef MR_CONFIG_WATERMARK_PARTS_H
#define MR_CONFIG_WATERMARK_PARTS_H

#include "appliance/config/hub_config.h"
#include "wire/watermark_terms.h"

/* What rounds of a task with so many hubs announce: strength 0 where models are not marked. 0, or
 * -1 with an error of the form "must be …", which is about part_hashes. */
int mr_config_watermark(struct mr_watermark_terms *terms, const struct mr_config_watermark *config,
                        unsigned hubs, struct mr_error *error);

#endif
