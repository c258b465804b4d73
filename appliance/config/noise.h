/* noise.h - the kind of noise that a task's `privacy:` section asks for. Pure. */
#ifndef MR_CONFIG_NOISE_H
#define MR_CONFIG_NOISE_H

#include "appliance/config/hub_config.h"
#include "wire/announcement.h"

/* Of a checked configuration; one made by hand, without a text: none. */
enum mr_noise_kind mr_config_noise(const struct mr_config_privacy *privacy);

#endif
