#include "appliance/task/released.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/task/released_internal.h"
#include "base/assert.h"
#include "base/bytes.h"

static uint64_t tag(const uint8_t hash[MR_HASH_BYTES])
{
    return mr_be64_get(hash);
}

/* --- the index ------------------------------------------------------------------------------- */

static int add_entry(struct mr_released *ledger, const struct mr_released_record *record,
                     uint64_t offset, size_t length, struct mr_error *error)
{
    if (ledger->count == ledger->capacity) {
        const size_t capacity = 2 * ledger->capacity + 64;
        struct entry *entries = realloc(ledger->entries, capacity * sizeof *entries);
        if (!entries) {
            return mr_error_set(error, "out of memory for %zu released sets", capacity);
        }
        ledger->entries = entries;
        ledger->capacity = capacity;
    }
    ledger->entries[ledger->count++] =
        (struct entry){.parent = tag(record->parent),
                       .announcement = tag(record->announcement_hash),
                       .offset = offset,
                       .length = (uint32_t)length,
                       .count = record->count};
    return 0;
}

int mr_released_on_record(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                          struct mr_error *error)
{
    struct mr_released_record record = {.count = 0};
    return mr_released_record_parse(&record, bytes, length, error) != 0 ||
                   add_entry(context, &record, offset, length, error) != 0
               ? -1
               : mr_released_debit(context, &record, offset, length, error);
}

/* The record of an entry; *bytes is malloc'd. */
static int read_entry(const struct mr_released *ledger, const struct entry *entry,
                      struct mr_released_record *record, uint8_t **bytes, struct mr_error *error)
{
    *bytes = malloc(entry->length);
    if (!*bytes) {
        return mr_error_set(error, "out of memory for a released set of %u", entry->count);
    }
    if (mr_chain_read(mr_disk_file_ops(ledger->read), MR_RELEASED_NAME, entry->offset, *bytes,
                      entry->length, error) != 0 ||
        mr_released_record_parse(record, *bytes, entry->length, error) != 0) {
        free(*bytes);
        return -1;
    }
    return 0;
}

int mr_released_has(struct mr_released *ledger, const uint8_t announcement_hash[MR_HASH_BYTES],
                    struct mr_error *error)
{
    struct mr_released_record record = {.count = 0};
    bool found = false;
    for (size_t i = 0; i < ledger->count && !found; i++) {
        uint8_t *bytes = NULL;
        if (ledger->entries[i].announcement == tag(announcement_hash)) {
            if (read_entry(ledger, &ledger->entries[i], &record, &bytes, error) != 0) {
                return -1;
            }
            MR_ASSERT(record.announcement_hash);
            found = memcmp(record.announcement_hash, announcement_hash, MR_HASH_BYTES) == 0;
            free(bytes);
        }
    }
    return found;
}

uint64_t mr_released_sets(const struct mr_released *ledger)
{
    return ledger->count;
}

void mr_released_head(const struct mr_released *ledger, struct mr_released_head *head)
{
    *head = ledger->head;
}

/* --- the sets of a model --------------------------------------------------------------------- */

static struct mr_lineage *loaded(struct mr_released *ledger, const uint8_t *parent)
{
    for (unsigned i = 0; i < LINEAGES_MAX; i++) {
        struct mr_lineage *lineage = &ledger->lineages[i];
        if (lineage->used && memcmp(lineage->parent, parent, MR_HASH_BYTES) == 0) {
            lineage->used = ++ledger->uses;
            return lineage;
        }
    }
    return NULL;
}

static struct mr_lineage *oldest(struct mr_released *ledger)
{
    struct mr_lineage *found = &ledger->lineages[0];
    for (unsigned i = 1; i < LINEAGES_MAX; i++) {
        found = ledger->lineages[i].used < found->used ? &ledger->lineages[i] : found;
    }
    return found;
}

static int load(struct mr_released *ledger, struct mr_lineage *lineage, struct mr_error *error)
{
    struct mr_released_record record = {.count = 0};
    for (size_t i = 0; i < ledger->count; i++) {
        uint8_t *bytes = NULL;
        if (ledger->entries[i].parent != tag(lineage->parent)) {
            continue;
        }
        if (read_entry(ledger, &ledger->entries[i], &record, &bytes, error) != 0) {
            return -1;
        }
        MR_ASSERT(record.parent);
        const bool mine = memcmp(record.parent, lineage->parent, MR_HASH_BYTES) == 0;
        const int added = mine ? mr_lineage_add(lineage, &record) : 0;
        free(bytes);
        if (added != 0) {
            return mr_error_set(error, "out of memory for the released sets of a model");
        }
    }
    mr_lineage_sort(lineage);
    return 0;
}

/* NULL with an error: the ledger cannot be read, so that nothing may be counted. */
struct mr_lineage *mr_released_lineage(struct mr_released *ledger, const uint8_t *parent,
                                       struct mr_error *error)
{
    struct mr_lineage *lineage = loaded(ledger, parent);
    if (lineage) {
        return lineage;
    }
    lineage = oldest(ledger);
    mr_lineage_fini(lineage);
    memcpy(lineage->parent, parent, MR_HASH_BYTES);
    if (load(ledger, lineage, error) != 0) {
        mr_lineage_fini(lineage);
        mr_error_prefix(error, "the ledger of released sets");
        return NULL;
    }
    lineage->used = ++ledger->uses;
    return lineage;
}

int mr_released_note(struct mr_released *ledger, const struct mr_released_record *record,
                     uint64_t offset, size_t length, struct mr_error *error)
{
    struct mr_lineage *lineage = loaded(ledger, record->parent);
    if (add_entry(ledger, record, offset, length, error) != 0 ||
        mr_released_debit(ledger, record, offset, length, error) != 0) {
        return -1;
    }
    if (lineage && mr_lineage_insert(lineage, record) != 0) {
        mr_lineage_fini(lineage); /* it is read again when it is asked about */
    }
    return 0;
}

/* The newest entries of different models, the newest first; how many. */
static unsigned newest_models(const struct mr_released *ledger, size_t found[WARM_MAX])
{
    unsigned count = 0;
    for (size_t i = ledger->count; i-- > 0 && count < WARM_MAX;) {
        bool seen = false;
        for (unsigned j = 0; j < count && !seen; j++) {
            seen = ledger->entries[found[j]].parent == ledger->entries[i].parent;
        }
        if (!seen) {
            found[count++] = i;
        }
    }
    return count;
}

int mr_released_warm(struct mr_released *ledger, struct mr_error *error)
{
    size_t newest[WARM_MAX];
    for (unsigned i = newest_models(ledger, newest); i-- > 0;) {
        struct mr_released_record record = {.count = 0};
        uint8_t *bytes = NULL;
        if (read_entry(ledger, &ledger->entries[newest[i]], &record, &bytes, error) != 0) {
            return -1;
        }
        MR_ASSERT(record.parent);
        const struct mr_lineage *lineage = mr_released_lineage(ledger, record.parent, error);
        free(bytes);
        if (!lineage) {
            return -1;
        }
    }
    return 0;
}

uint32_t mr_released_devices(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES])
{
    struct mr_error error;
    const struct mr_lineage *lineage = mr_released_lineage(ledger, parent, &error);
    return lineage ? lineage->count : 0;
}

/* --- questions ------------------------------------------------------------------------------- */

void mr_released_say(struct mr_released_place *place, const struct mr_lineage_set *set)
{
    *place = (struct mr_released_place){.round = set->round, .released = true};
    memcpy(place->task, set->task, sizeof place->task);
}

void mr_released_say_claimed(struct mr_released_place *place, const struct claim *claim)
{
    *place = (struct mr_released_place){.round = claim->round};
    memcpy(place->task, claim->task, sizeof place->task);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES);
}

int mr_released_may_count(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES],
                          const uint8_t announcement_hash[MR_HASH_BYTES],
                          const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          struct mr_released_place *place, struct mr_error *error)
{
    const struct mr_lineage *lineage = mr_released_lineage(ledger, parent, error);
    if (!lineage) {
        return -1;
    }
    const struct mr_lineage_set *set = mr_lineage_find(lineage, client_id);
    if (set && memcmp(set->announcement_hash, announcement_hash, MR_HASH_BYTES) != 0) {
        mr_released_say(place, set);
        return 0;
    }
    for (const struct claim *claim = ledger->claims; claim; claim = claim->next) {
        if (memcmp(claim->parent, parent, MR_HASH_BYTES) == 0 &&
            memcmp(claim->announcement_hash, announcement_hash, MR_HASH_BYTES) != 0 &&
            bsearch(client_id, claim->clients, claim->count, MR_CLIENT_ID_BYTES, compare)) {
            mr_released_say_claimed(place, claim);
            return 0;
        }
    }
    return 1;
}
