/* option_value.h - values of options in a loaded configuration: as text, and compared. */
#ifndef MR_CONFIG_OPTION_VALUE_H
#define MR_CONFIG_OPTION_VALUE_H

#include <stdbool.h>

#include "appliance/config/options.h"

#define MR_OPTION_VALUE_MAX 4200 /* with the NUL; every value has room */

/* `at` points to the value in its struct (mr_config_option_at). As it would stand in the file, but
 * without quotes. */
void mr_option_value_text(char text[MR_OPTION_VALUE_MAX], const struct mr_option *option,
                          const void *at);
bool mr_option_value_equal(const struct mr_option *option, const void *a, const void *b);
/* The same as YAML: quoted where it has to be. */
void mr_option_value_yaml(char yaml[2 * MR_OPTION_VALUE_MAX], const struct mr_option *option,
                          const char *text);

#endif
