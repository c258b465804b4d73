/* client_min.c - the oldest client that takes a release, as the configuration writes it. */
#include <stdbool.h>

#include "appliance/config/hub_config.h"

/* A whole number up to `most`; *at is behind it. */
static bool take_number(uint32_t *number, const char **at, uint32_t most)
{
    const char *first = *at;
    *number = 0;
    while (**at >= '0' && **at <= '9' && *number <= most) {
        *number = 10 * *number + (uint32_t)(*(*at)++ - '0');
    }
    return *at > first && *number <= most;
}

int mr_config_client_min(uint32_t *version, const char *text, struct mr_error *error)
{
    uint32_t major, minor, patch;
    const char *at = text ? text : "";
    *version = 0;
    if (*at == '\0') {
        return 0;
    }
    if (!take_number(&major, &at, UINT16_MAX) || *at++ != '.' ||
        !take_number(&minor, &at, UINT8_MAX) || *at++ != '.' ||
        !take_number(&patch, &at, UINT8_MAX) || *at != '\0') {
        return mr_error_set(error,
                            "must be a version of millrace-edge, such as \"1.4.0\" (`millrace-edge "
                            "version` on a device says its own), not '%s'",
                            text);
    }
    *version = major << 16 | minor << 8 | patch;
    return 0;
}
