/* Stands in for open_ipsec_mb.c where the build lacks the library. */
#include "appliance/upload/open_internal.h"

struct mr_opener *mr_opener_ipsec_mb(uint32_t keys, struct mr_error *error)
{
    (void)keys;
    mr_error_set(error, "this build lacks ipsec_mb");
    return NULL;
}
