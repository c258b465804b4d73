#include "appliance/round/drive/unopened.h"

#include <string.h>

#include "appliance/round/drive/older.h"
#include "appliance/task/released.h"
#include "wire/exchange.h"

bool mr_round_unopened(const struct mr_round_context *context,
                       const struct mr_round_summary *summary,
                       uint8_t signature[MR_SIGNATURE_BYTES])
{
    static const uint8_t unknown[MR_HASH_BYTES];
    struct mr_error error;
    if (mr_older(context)) {
        return false;
    }
    /* The record may be of a life that did not know of the opening: the ledger does. */
    if (mr_released_has(context->released, summary->announcement_hash, &error) != 0) {
        return false;
    }
    return strcmp(summary->state, "void") == 0 && !summary->opened &&
           memcmp(summary->announcement_hash, unknown, sizeof unknown) != 0 &&
           mr_unopened_sign(signature, summary->announcement_hash, context->private_key) == 0;
}
