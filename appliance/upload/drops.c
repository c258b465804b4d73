#include "appliance/upload/drops.h"

#include "base/assert.h"

const char *mr_upload_verdict_name(enum mr_upload_verdict verdict)
{
    static const char *const names[MR_UPLOAD_VERDICTS] = {
        [MR_UPLOAD_ACCEPTED] = "accepted",
#define MR_UPLOAD_DROP(name, sentence) [MR_UPLOAD_DROP_##name] = #name,
#include "appliance/upload/upload_drops.def"
#undef MR_UPLOAD_DROP
    };

    MR_ASSERT((unsigned)verdict < MR_UPLOAD_VERDICTS);
    return names[verdict];
}
