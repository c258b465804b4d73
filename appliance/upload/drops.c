#include "appliance/upload/drops.h"

#include "base/assert.h"

const char *mr_drop_reason_name(enum mr_drop_reason reason)
{
    static const char *const names[MR_DROP_REASONS] = {
        [MR_UPLOAD_ACCEPTED] = "accepted",
#define MR_UPLOAD_DROP(name, sentence) [MR_UPLOAD_DROP_##name] = #name,
#include "appliance/upload/upload_drops.def"
#undef MR_UPLOAD_DROP
    };

    MR_ASSERT((unsigned)reason < MR_DROP_REASONS);
    return names[reason];
}
