/* audit_file.c - each chain by itself: whose it is, signed from end to end, nothing missing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "appliance/storage/append_log.h"

int mr_audit_wrong(struct audit *audit, const struct audit_chain *chain,
                   const struct audit_record *record, const char *format, ...)
{
    struct mr_audit_result *result = audit->result;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->what, sizeof result->what, format, arguments);
    va_end(arguments);
    result->hub = chain ? chain->owner.hub : -1;
    if (chain) {
        memcpy(result->task, chain->owner.task, sizeof result->task);
    }
    if (record) {
        result->file = record->file;
        result->sequence = record->at.sequence;
        result->round = record->at.round;
    }
    return -1;
}

int mr_audit_no_memory(struct audit *audit)
{
    return mr_error_set(audit->error, "out of memory");
}

const uint8_t *mr_audit_key_of(const struct audit *audit, uint16_t hub)
{
    for (unsigned i = 0; i < audit->keys_count; i++) {
        if (audit->keys[i].hub == hub) {
            return audit->keys[i].public_key;
        }
    }
    return NULL;
}

/* --- heads of files -------------------------------------------------------------------------- */

/* The hub was killed while it began the file: nothing in it was ever spoken of. */
static bool is_begun_only(const struct mr_audit_file *file)
{
    const uint8_t *entry;
    size_t at = 0, entry_bytes;
    return file->length < MR_EVIDENCE_HEADER_MAX &&
           mr_append_log_next(file->bytes, file->length, &at, &entry, &entry_bytes) <= 0;
}

static int read_head(struct audit *audit, const struct mr_audit_file *file,
                     struct mr_evidence_header *header, size_t *at)
{
    const uint8_t *entry;
    size_t entry_bytes;
    struct mr_error why = {.text = "it is no transcript, or its head is cut off or changed"};
    audit->result->file = file->name;
    *at = 0;
    if (mr_append_log_next(file->bytes, file->length, at, &entry, &entry_bytes) <= 0 ||
        mr_evidence_header_decode(header, entry, entry_bytes, &why) != 0) {
        return mr_audit_wrong(audit, NULL, NULL, "%s", why.text);
    }
    const struct audit_chain named = {.owner = header->owner};
    const uint8_t *key = mr_audit_key_of(audit, header->owner.hub);
    if (!key) {
        return mr_audit_wrong(audit, &named, NULL, "no key of hub %u was given", header->owner.hub);
    }
    if (memcmp(key, header->owner.public_key, MR_PUBLIC_KEY_BYTES) != 0) {
        return mr_audit_wrong(audit, &named, NULL, "it is made with another key than hub %u's",
                              header->owner.hub);
    }
    return mr_evidence_header_verify(entry, entry_bytes, key) == 0
               ? 0
               : mr_audit_wrong(audit, &named, NULL, "its head is not signed by hub %u",
                                header->owner.hub);
}

static int compare_owner(const struct mr_evidence_owner *a, const struct mr_evidence_owner *b)
{
    const int task = strcmp(a->task, b->task);
    return task != 0 ? task : (int)a->hub - (int)b->hub;
}

struct headed {
    struct mr_evidence_header header;
    const struct mr_audit_file *file;
    size_t at; /* behind the head */
};

static int compare_headed(const void *a, const void *b)
{
    const struct headed *left = a, *right = b;
    const int owner = compare_owner(&left->header.owner, &right->header.owner);
    return owner != 0 ? owner
                      : (left->header.number > right->header.number) -
                            (left->header.number < right->header.number);
}

/* --- records --------------------------------------------------------------------------------- */

static int add_record(struct audit *audit, struct audit_chain *chain, const char *file,
                      const uint8_t *entry, size_t length)
{
    struct mr_error why;
    if (chain->records_count == chain->records_room) {
        const size_t room = 2 * chain->records_room + 64;
        struct audit_record *records = realloc(chain->records, room * sizeof *records);
        if (!records) {
            return mr_audit_no_memory(audit);
        }
        chain->records = records;
        chain->records_room = room;
    }
    struct audit_record *record = &chain->records[chain->records_count];
    record->file = file;
    if (mr_evidence_record_decode(&record->at, entry, length, &why) != 0) {
        audit->result->file = file;
        return mr_audit_wrong(audit, chain, NULL, "%s", why.text);
    }
    chain->records_count++;
    return 0;
}

/* A link does not hold, or the signature at the end: the first record that was changed, if one was.
 */
static int find_changed(struct audit *audit, const struct audit_chain *chain)
{
    for (size_t i = 0; i < chain->records_count; i++) {
        if (mr_evidence_record_verify(&chain->records[i].at, chain->owner.public_key) != 0) {
            return mr_audit_wrong(audit, chain, &chain->records[i],
                                  "the record was changed: its signature by hub %u does not hold",
                                  chain->owner.hub);
        }
    }
    return 0;
}

/* Every head covers all before it: where the links hold, one signature at the end is all that is
 * needed. */
static int check_link(struct audit *audit, const struct audit_chain *chain, uint64_t sequence,
                      const uint8_t head[MR_HASH_BYTES])
{
    const struct audit_record *record = &chain->records[chain->records_count - 1];
    const bool follows = record->at.sequence == sequence;
    if (follows && memcmp(record->at.before, head, MR_HASH_BYTES) == 0) {
        return 0;
    }
    if (find_changed(audit, chain) != 0) {
        return -1;
    }
    return follows
               ? mr_audit_wrong(audit, chain, record,
                                "it follows another record than the one before it here: hub %u has "
                                "signed two chains",
                                chain->owner.hub)
               : mr_audit_wrong(audit, chain, record,
                                "record %llu stands where record %llu belongs: taken out, doubled "
                                "or moved",
                                (unsigned long long)record->at.sequence,
                                (unsigned long long)sequence);
}

/* All records of one file; what follows the last whole one is a torn end. */
static int read_records(struct audit *audit, struct audit_chain *chain, const struct headed *from,
                        uint8_t head[MR_HASH_BYTES])
{
    const struct mr_audit_file *file = from->file;
    const uint8_t *entry;
    size_t at = from->at, entry_bytes;
    uint64_t sequence = from->header.sequence;
    int got;
    while ((got = mr_append_log_next(file->bytes, file->length, &at, &entry, &entry_bytes)) > 0) {
        if (add_record(audit, chain, file->name, entry, entry_bytes) != 0 ||
            check_link(audit, chain, sequence, head) != 0) {
            return -1;
        }
        memcpy(head, chain->records[chain->records_count - 1].at.head, MR_HASH_BYTES);
        sequence++;
    }
    chain->torn = got < 0;
    return 0;
}

static int check_end(struct audit *audit, const struct audit_chain *chain)
{
    if (chain->records_count == 0) {
        return 0;
    }
    const struct audit_record *last = &chain->records[chain->records_count - 1];
    return mr_evidence_record_verify(&last->at, chain->owner.public_key) == 0
               ? 0
               : find_changed(audit, chain);
}

/* The chain may begin anywhere: older files may be elsewhere. From there on none may be missing. */
static int read_chain(struct audit *audit, struct audit_chain *chain, const struct headed *list,
                      unsigned count)
{
    uint8_t head[MR_HASH_BYTES];
    chain->owner = list[0].header.owner;
    chain->from_start = list[0].header.number == 1;
    if (chain->from_start) {
        audit->result->file = list[0].file->name;
        if (mr_evidence_begin(head, &chain->owner) != 0 || list[0].header.sequence != 1 ||
            memcmp(head, list[0].header.before, MR_HASH_BYTES) != 0) {
            return mr_audit_wrong(audit, chain, NULL, "the first file does not begin the chain");
        }
    }
    memcpy(head, list[0].header.before, MR_HASH_BYTES);
    for (unsigned i = 0; i < count; i++) {
        const struct mr_evidence_header *header = &list[i].header;
        const uint64_t next = list[0].header.sequence + (uint64_t)chain->records_count;
        audit->result->file = list[i].file->name;
        if (i > 0 && header->number != list[i - 1].header.number + 1) {
            return mr_audit_wrong(audit, chain, NULL, "file %u follows file %u: %s", header->number,
                                  list[i - 1].header.number,
                                  header->number == list[i - 1].header.number
                                      ? "the same file is there twice"
                                      : "one in between is missing");
        }
        if (header->sequence != next || memcmp(header->before, head, MR_HASH_BYTES) != 0) {
            if (find_changed(audit, chain) != 0) {
                return -1;
            }
            return mr_audit_wrong(
                audit, chain, NULL,
                "file %u does not go on where file %u ends: the end of that one was "
                "cut off or changed",
                header->number, header->number - 1);
        }
        if (read_records(audit, chain, &list[i], head) != 0) {
            return -1;
        }
    }
    return check_end(audit, chain);
}

int mr_audit_read(struct audit *audit, const struct mr_audit_file *files, unsigned count)
{
    struct headed *list = calloc((size_t)count + 1, sizeof *list);
    audit->chains = calloc((size_t)count + 1, sizeof *audit->chains);
    const unsigned given = count;
    int result = 0;
    if (!list || !audit->chains) {
        free(list);
        return mr_audit_no_memory(audit);
    }
    count = 0;
    for (unsigned i = 0; result == 0 && i < given; i++) {
        if (is_begun_only(&files[i])) {
            audit->result->torn++;
            continue;
        }
        list[count].file = &files[i];
        result = read_head(audit, &files[i], &list[count].header, &list[count].at);
        count++;
    }
    if (result == 0) {
        qsort(list, count, sizeof *list, compare_headed);
    }
    for (unsigned i = 0, more; result == 0 && i < count; i += more) {
        for (more = 1; i + more < count &&
                       compare_owner(&list[i].header.owner, &list[i + more].header.owner) == 0;
             more++) {
        }
        result = read_chain(audit, &audit->chains[audit->chains_count++], &list[i], more);
    }
    free(list);
    return result;
}
