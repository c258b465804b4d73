/* rollout.c - the steps of a roll-out as the configuration writes them. */
#include <stdlib.h>
#include <string.h>

#include "appliance/config/hub_config.h"

unsigned mr_config_rollout(uint8_t percent[MR_CONFIG_ROLLOUT_MAX], const char *text,
                           struct mr_error *error)
{
    unsigned count = 0;
    unsigned long last = 0;
    const char *at = text && *text ? text : "100";
    while (count < MR_CONFIG_ROLLOUT_MAX) {
        const size_t digits = strspn(at, "0123456789");
        const unsigned long step = digits >= 1 && digits <= 3 ? strtoul(at, NULL, 10) : 0;
        if (step <= last || step > 100) {
            break;
        }
        percent[count++] = (uint8_t)step;
        last = step;
        at += digits;
        if (*at == '\0' && last == 100) {
            return count;
        }
        if (*at++ != ',') {
            break;
        }
        at += strspn(at, " ");
    }
    mr_error_set(error,
                 "must be rising per cents with commas between, the last of them 100, such as "
                 "\"1,10,100\" (at most %d), not '%s'",
                 MR_CONFIG_ROLLOUT_MAX, text ? text : "");
    return 0;
}
