#include "appliance/task/released.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/job.h"
#include "appliance/storage/chain.h"
#include "appliance/storage/disk.h"
#include "appliance/task/lineage.h"
#include "appliance/task/released_record.h"
#include "base/assert.h"
#include "base/bytes.h"

#define NAME "released"
/* Models whose sets are in memory: those of the rounds under way, and a few that were before. */
#define LINEAGES_MAX 80u

/* Where a record is, and enough of its hashes to find it. */
struct entry {
    uint64_t parent, announcement; /* their first eight bytes */
    uint64_t offset;
    uint32_t length, count;
};

struct claim {
    struct claim *next;
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t round;
    uint8_t parent[MR_HASH_BYTES], announcement_hash[MR_HASH_BYTES], set_hash[MR_HASH_BYTES];
    uint8_t *clients; /* count × MR_CLIENT_ID_BYTES, rising */
    uint32_t count;
    bool known;  /* the ledger has it */
    bool adding; /* it becomes a record, whatever its task wants by now */
};

/* A claim on its way into the file. */
struct adding {
    struct adding *next;
    struct mr_released *ledger;
    struct claim *claim;
    mr_released_fn fn; /* NULL: nobody wants to know any more */
    void *context;
    uint8_t *bytes;
    size_t length;
    uint64_t offset;
    int result;
    struct mr_error error;
};

struct mr_released {
    struct mr_disk_file *written, *read; /* the job thread's; the loop's */
    struct mr_chain *chain;              /* the job thread's once that runs */
    struct mr_job_thread *jobs;
    struct entry *entries;
    size_t count, capacity;
    struct mr_lineage lineages[LINEAGES_MAX];
    uint64_t uses;
    struct claim *claims;
    struct adding *adding;
};

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

static int on_record(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                     struct mr_error *error)
{
    struct mr_released_record record;
    return mr_released_record_parse(&record, bytes, length, error) != 0
               ? -1
               : add_entry(context, &record, offset, length, error);
}

/* The record of an entry; *bytes is malloc'd. */
static int read_entry(const struct mr_released *ledger, const struct entry *entry,
                      struct mr_released_record *record, uint8_t **bytes, struct mr_error *error)
{
    *bytes = malloc(entry->length);
    if (!*bytes) {
        return mr_error_set(error, "out of memory for a released set of %u", entry->count);
    }
    if (mr_chain_read(mr_disk_file_ops(ledger->read), NAME, entry->offset, *bytes, entry->length,
                      error) != 0 ||
        mr_released_record_parse(record, *bytes, entry->length, error) != 0) {
        free(*bytes);
        return -1;
    }
    return 0;
}

int mr_released_has(struct mr_released *ledger, const uint8_t announcement_hash[MR_HASH_BYTES],
                    struct mr_error *error)
{
    struct mr_released_record record;
    bool found = false;
    for (size_t i = 0; i < ledger->count && !found; i++) {
        uint8_t *bytes;
        if (ledger->entries[i].announcement == tag(announcement_hash)) {
            if (read_entry(ledger, &ledger->entries[i], &record, &bytes, error) != 0) {
                return -1;
            }
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
    struct mr_released_record record;
    for (size_t i = 0; i < ledger->count; i++) {
        uint8_t *bytes;
        if (ledger->entries[i].parent != tag(lineage->parent)) {
            continue;
        }
        if (read_entry(ledger, &ledger->entries[i], &record, &bytes, error) != 0) {
            return -1;
        }
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
static struct mr_lineage *lineage_of(struct mr_released *ledger, const uint8_t *parent,
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

uint32_t mr_released_devices(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES])
{
    struct mr_error error;
    const struct mr_lineage *lineage = lineage_of(ledger, parent, &error);
    return lineage ? lineage->count : 0;
}

/* --- questions ------------------------------------------------------------------------------- */

static void say_released(struct mr_released_place *place, const struct mr_lineage_set *set)
{
    *place = (struct mr_released_place){.round = set->round, .released = true};
    memcpy(place->task, set->task, sizeof place->task);
}

static void say_claimed(struct mr_released_place *place, const struct claim *claim)
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
    const struct mr_lineage *lineage = lineage_of(ledger, parent, error);
    if (!lineage) {
        return -1;
    }
    const struct mr_lineage_set *set = mr_lineage_find(lineage, client_id);
    if (set && memcmp(set->announcement_hash, announcement_hash, MR_HASH_BYTES) != 0) {
        say_released(place, set);
        return 0;
    }
    for (const struct claim *claim = ledger->claims; claim; claim = claim->next) {
        if (memcmp(claim->parent, parent, MR_HASH_BYTES) == 0 &&
            memcmp(claim->announcement_hash, announcement_hash, MR_HASH_BYTES) != 0 &&
            bsearch(client_id, claim->clients, claim->count, MR_CLIENT_ID_BYTES, compare)) {
            say_claimed(place, claim);
            return 0;
        }
    }
    return 1;
}

/* Whether the two have a device in common; both rise. */
static bool overlap(const struct claim *a, const struct claim *b)
{
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        const int order = memcmp(a->clients + (size_t)i * MR_CLIENT_ID_BYTES,
                                 b->clients + (size_t)j * MR_CLIENT_ID_BYTES, MR_CLIENT_ID_BYTES);
        if (order == 0) {
            return true;
        }
        i += order < 0;
        j += order > 0;
    }
    return false;
}

/* Against what was released. False with *place. */
static bool is_apart(const struct mr_lineage *lineage, struct claim *claim,
                     struct mr_released_place *place)
{
    for (uint32_t i = 0; i < claim->count; i++) {
        const struct mr_lineage_set *set =
            mr_lineage_find(lineage, claim->clients + (size_t)i * MR_CLIENT_ID_BYTES);
        const bool same =
            set && memcmp(set->set_hash, claim->set_hash, MR_HASH_BYTES) == 0 &&
            memcmp(set->announcement_hash, claim->announcement_hash, MR_HASH_BYTES) == 0;
        if (set && !same) {
            say_released(place, set);
            return false;
        }
        claim->known |= same;
    }
    return true;
}

/* Against the rounds that are under way. */
static bool is_free(const struct mr_released *ledger, const struct claim *claim,
                    struct mr_released_place *place)
{
    for (const struct claim *other = ledger->claims; other; other = other->next) {
        const bool own = strcmp(other->task, claim->task) == 0 && !other->adding;
        const bool same =
            memcmp(other->announcement_hash, claim->announcement_hash, MR_HASH_BYTES) == 0 &&
            memcmp(other->set_hash, claim->set_hash, MR_HASH_BYTES) == 0;
        if (!own && !same && memcmp(other->parent, claim->parent, MR_HASH_BYTES) == 0 &&
            overlap(other, claim)) {
            say_claimed(place, other);
            return false;
        }
    }
    return true;
}

/* --- claims ---------------------------------------------------------------------------------- */

static void claim_free(struct claim *claim)
{
    if (claim) {
        free(claim->clients);
    }
    free(claim);
}

static struct claim *claim_new(const struct mr_released_set *set)
{
    struct claim *claim = calloc(1, sizeof *claim);
    uint8_t *clients = malloc((size_t)set->count * MR_CLIENT_ID_BYTES + 1);
    if (!claim || !clients) {
        free(claim);
        free(clients);
        return NULL;
    }
    snprintf(claim->task, sizeof claim->task, "%s", set->task);
    claim->round = set->round;
    memcpy(claim->parent, set->parent, MR_HASH_BYTES);
    memcpy(claim->announcement_hash, set->announcement_hash, MR_HASH_BYTES);
    memcpy(claim->set_hash, set->set_hash, MR_HASH_BYTES);
    claim->clients = clients;
    claim->count = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        memcpy(clients + (size_t)i * MR_CLIENT_ID_BYTES, set->included[i].client_id,
               MR_CLIENT_ID_BYTES);
    }
    return claim;
}

static void take_out(struct mr_released *ledger, const struct claim *claim)
{
    struct claim **at = &ledger->claims;
    while (*at != claim) {
        at = &(*at)->next;
    }
    *at = claim->next;
}

static struct claim *claim_of(const struct mr_released *ledger, const char *task)
{
    struct claim *claim = ledger->claims;
    while (claim && (claim->adding || strcmp(claim->task, task) != 0)) {
        claim = claim->next;
    }
    return claim;
}

void mr_released_unclaim(struct mr_released *ledger, const char *task)
{
    struct claim *claim = claim_of(ledger, task);
    if (claim) {
        take_out(ledger, claim);
        claim_free(claim);
    }
}

enum mr_released_claim mr_released_claim(struct mr_released *ledger,
                                         const struct mr_released_set *set,
                                         struct mr_released_place *place, struct mr_error *error)
{
    const struct mr_lineage *lineage = lineage_of(ledger, set->parent, error);
    struct claim *claim = lineage ? claim_new(set) : NULL;
    *place = (struct mr_released_place){.round = 0};
    if (!claim) {
        if (lineage) {
            mr_error_set(error, "out of memory for a set of %u", set->count);
        }
        return MR_CLAIM_REFUSED;
    }
    if (!is_apart(lineage, claim, place) || !is_free(ledger, claim, place)) {
        claim_free(claim);
        return MR_CLAIM_REFUSED;
    }
    mr_released_unclaim(ledger, set->task);
    claim->next = ledger->claims;
    ledger->claims = claim;
    return claim->known ? MR_CLAIM_RELEASED : MR_CLAIM_TAKEN;
}

/* --- adding ---------------------------------------------------------------------------------- */

static void encode(struct adding *adding)
{
    const struct claim *claim = adding->claim;
    struct mr_released_record record = {.round = claim->round,
                                        .parent = claim->parent,
                                        .announcement_hash = claim->announcement_hash,
                                        .set_hash = claim->set_hash,
                                        .clients = claim->clients,
                                        .count = claim->count};
    memcpy(record.task, claim->task, sizeof record.task);
    adding->length = mr_released_record_bytes(record.task, record.count);
    adding->bytes = malloc(adding->length);
    MR_ASSERT(adding->bytes);
    mr_released_record_encode(adding->bytes, &record);
}

static void add_work(void *context)
{
    struct adding *adding = context;
    if (!adding->claim->known) {
        adding->result = mr_chain_append(adding->ledger->chain, adding->bytes, adding->length,
                                         &adding->offset, &adding->error);
    }
}

/* What is in the file is in the index, or nobody may go on. */
static int note(struct adding *adding)
{
    struct mr_released *ledger = adding->ledger;
    struct mr_released_record record;
    if (mr_released_record_parse(&record, adding->bytes, adding->length, &adding->error) != 0 ||
        add_entry(ledger, &record, adding->offset, adding->length, &adding->error) != 0) {
        return -1;
    }
    struct mr_lineage *lineage = loaded(ledger, record.parent);
    if (lineage && mr_lineage_add(lineage, &record) != 0) {
        mr_lineage_fini(lineage); /* it is read again when it is asked about */
    } else if (lineage) {
        mr_lineage_sort(lineage);
    }
    return 0;
}

static void add_done(void *context)
{
    struct adding *adding = context;
    struct mr_released *ledger = adding->ledger;
    struct adding **at = &ledger->adding;
    while (*at != adding) {
        at = &(*at)->next;
    }
    *at = adding->next;
    if (adding->result == 0 && !adding->claim->known) {
        adding->result = note(adding);
    }
    take_out(ledger, adding->claim);
    claim_free(adding->claim);
    if (adding->fn) {
        adding->fn(adding->context, adding->result, &adding->error);
    }
    free(adding->bytes);
    free(adding);
}

void mr_released_add(struct mr_released *ledger, const char *task, mr_released_fn fn, void *context)
{
    struct claim *claim = claim_of(ledger, task);
    struct adding *adding = calloc(1, sizeof *adding);
    MR_ASSERT(claim && adding && ledger->jobs);
    claim->adding = true;
    *adding = (struct adding){
        .next = ledger->adding, .ledger = ledger, .claim = claim, .fn = fn, .context = context};
    ledger->adding = adding;
    encode(adding);
    mr_job_run(ledger->jobs, add_work, add_done, adding);
}

void mr_released_leave(struct mr_released *ledger, const char *task, void *context)
{
    for (struct adding *adding = ledger->adding; adding; adding = adding->next) {
        if (adding->context == context) {
            adding->fn = NULL;
        }
    }
    mr_released_unclaim(ledger, task);
}

/* --- life ------------------------------------------------------------------------------------ */

static int open_parts(struct mr_released *ledger, const char *data_dir, bool may_be_new,
                      struct mr_loop *loop, struct mr_error *error)
{
    if (mr_disk_file_open(&ledger->written, data_dir, error) != 0 ||
        mr_disk_file_open(&ledger->read, data_dir, error) != 0) {
        return -1;
    }
    if (mr_chain_open(&ledger->chain, mr_disk_file_ops(ledger->written), NAME, may_be_new,
                      on_record, ledger, error) != 0) {
        const struct mr_error why = *error;
        return mr_error_set(
            error,
            "%.200s. " NAME " says which devices' sums this hub has opened: without it "
            "a second sum could give a device away. Put " NAME ", " NAME "-0 and " NAME
            "-1 back as they were last, or set this hub up anew with an "
            "empty data_dir and a new signing key",
            why.text);
    }
    return mr_job_thread_open(&ledger->jobs, loop, "released", error);
}

int mr_released_open(struct mr_released **out, const char *data_dir, bool may_be_new,
                     struct mr_loop *loop, struct mr_error *error)
{
    struct mr_released *ledger = calloc(1, sizeof *ledger);
    if (!ledger) {
        return mr_error_set(error, "out of memory");
    }
    if (open_parts(ledger, data_dir, may_be_new, loop, error) != 0) {
        mr_released_close(ledger);
        return -1;
    }
    *out = ledger;
    return 0;
}

void mr_released_stop(struct mr_released *ledger)
{
    if (ledger->jobs) {
        mr_job_thread_close(ledger->jobs);
    }
    ledger->jobs = NULL;
}

void mr_released_close(struct mr_released *ledger)
{
    if (!ledger) {
        return;
    }
    MR_ASSERT(!ledger->jobs && !ledger->adding);
    while (ledger->claims) {
        struct claim *claim = ledger->claims;
        ledger->claims = claim->next;
        claim_free(claim);
    }
    for (unsigned i = 0; i < LINEAGES_MAX; i++) {
        mr_lineage_fini(&ledger->lineages[i]);
    }
    mr_chain_close(ledger->chain);
    mr_disk_file_close(ledger->written);
    mr_disk_file_close(ledger->read);
    free(ledger->entries);
    free(ledger);
}
