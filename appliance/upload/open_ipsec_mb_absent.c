/* Stands in for open_ipsec_mb.c where the build lacks the library. */
#include "appliance/upload/open_internal.h"

struct mr_opener *mr_opener_ipsec_mb(uint32_t keys, uint32_t cpu_levels, struct mr_error *error)
{
    (void)keys, (void)cpu_levels;
    mr_error_set(error, "this build lacks ipsec_mb");
    return NULL;
}
