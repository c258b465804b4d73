#include "appliance/task/released_record.h"

#include <string.h>

#include "base/bytes.h"

#define VERSION     1
#define ROUND_AT    (1 + MR_HASH_BYTES)
#define FIXED_BYTES (ROUND_AT + 8 + 2 * MR_HASH_BYTES + 1)

size_t mr_released_record_bytes(const char *task, uint32_t count)
{
    return FIXED_BYTES + strlen(task) + 4 + (size_t)count * MR_CLIENT_ID_BYTES;
}

void mr_released_record_encode(uint8_t *out, const struct mr_released_record *record)
{
    const size_t task_bytes = strlen(record->task);
    out[0] = VERSION;
    memcpy(out + 1, record->parent, MR_HASH_BYTES);
    mr_be64_put(out + ROUND_AT, record->round);
    memcpy(out + ROUND_AT + 8, record->announcement_hash, MR_HASH_BYTES);
    memcpy(out + ROUND_AT + 8 + MR_HASH_BYTES, record->set_hash, MR_HASH_BYTES);
    out[FIXED_BYTES - 1] = (uint8_t)task_bytes;
    memcpy(out + FIXED_BYTES, record->task, task_bytes);
    mr_be32_put(out + FIXED_BYTES + task_bytes, record->count);
    memcpy(out + FIXED_BYTES + task_bytes + 4, record->clients,
           (size_t)record->count * MR_CLIENT_ID_BYTES);
}

int mr_released_record_parse(struct mr_released_record *record, const uint8_t *bytes, size_t length,
                             struct mr_error *error)
{
    if (length < FIXED_BYTES + 4 || bytes[0] != VERSION) {
        return mr_error_set(error, "no released set of this version");
    }
    const size_t task_bytes = bytes[FIXED_BYTES - 1];
    if (task_bytes > MR_TASK_NAME_MAX || length < FIXED_BYTES + task_bytes + 4) {
        return mr_error_set(error, "the released set is cut off");
    }
    *record = (struct mr_released_record){
        .round = mr_be64_get(bytes + ROUND_AT),
        .parent = bytes + 1,
        .announcement_hash = bytes + ROUND_AT + 8,
        .set_hash = bytes + ROUND_AT + 8 + MR_HASH_BYTES,
        .clients = bytes + FIXED_BYTES + task_bytes + 4,
        .count = mr_be32_get(bytes + FIXED_BYTES + task_bytes),
    };
    memcpy(record->task, bytes + FIXED_BYTES, task_bytes);
    if (!mr_task_name_valid(record->task) || strlen(record->task) != task_bytes ||
        (length - FIXED_BYTES - task_bytes - 4) != (uint64_t)record->count * MR_CLIENT_ID_BYTES) {
        return mr_error_set(error, "the released set has another form than it says");
    }
    for (uint32_t i = 1; i < record->count; i++) {
        const uint8_t *at = record->clients + (size_t)i * MR_CLIENT_ID_BYTES;
        if (memcmp(at - MR_CLIENT_ID_BYTES, at, MR_CLIENT_ID_BYTES) >= 0) {
            return mr_error_set(error, "the released set does not rise strictly");
        }
    }
    return 0;
}
