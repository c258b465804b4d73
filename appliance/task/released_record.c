#include "appliance/task/released_record.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

#define VERSION     2
#define ROUND_AT    (1 + MR_HASH_BYTES)
#define HASHES_AT   (ROUND_AT + 8)
#define DEBIT_AT    (HASHES_AT + 2 * MR_HASH_BYTES)
#define DEBIT_BYTES (8 + 8 + 8 + 4 + 4 + 1)
#define TASK_AT     (DEBIT_AT + DEBIT_BYTES)
#define FIXED_BYTES (TASK_AT + 1 + 1 + 4) /* with empty texts and no clients */

size_t mr_released_record_bytes(const char *task, const char *pool, uint32_t count)
{
    return FIXED_BYTES + strlen(task) + strlen(pool) + (size_t)count * MR_CLIENT_ID_BYTES;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const size_t length = strlen(text);
    *at = (uint8_t)length;
    for (size_t i = 0; i < length; i++) {
        at[1 + i] = (uint8_t)text[i];
    }
    return at + 1 + length;
}

static void put_debit(uint8_t *at, const struct mr_budget_debit *debit)
{
    mr_be64_put(at, debit->unix_ms);
    mr_be64_put(at + 8, debit->rho);
    mr_be64_put(at + 16, debit->budget);
    uint32_t bits;
    memcpy(&bits, &debit->delta, sizeof bits);
    mr_be32_put(at + 24, debit->horizon_s);
    mr_be32_put(at + 28, bits);
    at[32] = debit->noise_kind;
}

void mr_released_record_encode(uint8_t *out, const struct mr_released_record *record)
{
    out[0] = VERSION;
    memcpy(out + 1, record->parent, MR_HASH_BYTES);
    mr_be64_put(out + ROUND_AT, record->round);
    memcpy(out + HASHES_AT, record->announcement_hash, MR_HASH_BYTES);
    memcpy(out + HASHES_AT + MR_HASH_BYTES, record->set_hash, MR_HASH_BYTES);
    put_debit(out + DEBIT_AT, &record->debit);
    uint8_t *at = put_text(put_text(out + TASK_AT, record->task), record->debit.pool);
    mr_be32_put(at, record->count);
    memcpy(at + 4, record->clients, (size_t)record->count * MR_CLIENT_ID_BYTES);
}

/* A task's name, or nothing where `may_be_empty`. NULL: it is none, or cut off. */
static const uint8_t *get_text(char text[MR_TASK_NAME_MAX + 1], const uint8_t *at,
                               const uint8_t *end, bool may_be_empty)
{
    const size_t length = at < end ? *at : SIZE_MAX;
    if (length > MR_TASK_NAME_MAX || (size_t)(end - at) < 1 + length) {
        return NULL;
    }
    memcpy(text, at + 1, length);
    text[length] = '\0';
    const bool good = strlen(text) == length && (length == 0 || mr_task_name_valid(text));
    return good && (length > 0 || may_be_empty) ? at + 1 + length : NULL;
}

static void get_debit(struct mr_budget_debit *debit, const uint8_t *at)
{
    debit->unix_ms = mr_be64_get(at);
    debit->rho = mr_be64_get(at + 8);
    debit->budget = mr_be64_get(at + 16);
    const uint32_t bits = mr_be32_get(at + 28);
    debit->horizon_s = mr_be32_get(at + 24);
    memcpy(&debit->delta, &bits, sizeof bits);
    debit->noise_kind = at[32];
}

static int check_clients(const struct mr_released_record *record, struct mr_error *error)
{
    for (uint32_t i = 1; i < record->count; i++) {
        const uint8_t *at = record->clients + (size_t)i * MR_CLIENT_ID_BYTES;
        if (memcmp(at - MR_CLIENT_ID_BYTES, at, MR_CLIENT_ID_BYTES) >= 0) {
            return mr_error_set(error, "the released set does not rise strictly");
        }
    }
    return 0;
}

int mr_released_record_parse(struct mr_released_record *record, const uint8_t *bytes, size_t length,
                             struct mr_error *error)
{
    const uint8_t *end = bytes + length;
    if (length < FIXED_BYTES || bytes[0] != VERSION) {
        return mr_error_set(error, "no released set of this version");
    }
    *record = (struct mr_released_record){
        .round = mr_be64_get(bytes + ROUND_AT),
        .parent = bytes + 1,
        .announcement_hash = bytes + HASHES_AT,
        .set_hash = bytes + HASHES_AT + MR_HASH_BYTES,
    };
    get_debit(&record->debit, bytes + DEBIT_AT);
    const uint8_t *at = get_text(record->task, bytes + TASK_AT, end, false);
    at = at ? get_text(record->debit.pool, at, end, true) : NULL;
    if (!at || end - at < 4) {
        return mr_error_set(error, "the released set is cut off, or a name in it is none");
    }
    record->count = mr_be32_get(at);
    record->clients = at + 4;
    if ((uint64_t)(end - record->clients) != (uint64_t)record->count * MR_CLIENT_ID_BYTES ||
        (record->debit.pool[0] == '\0') != (record->debit.rho == 0)) {
        return mr_error_set(error, "the released set has another form than it says");
    }
    return check_clients(record, error);
}
