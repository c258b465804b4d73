#include "appliance/storage/chain.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/commit_log.h"
#include "base/assert.h"
#include "base/bytes.h"

#define MAGIC_BYTES  8
#define LENGTH_BYTES 4
#define UNIT_EXTRA   (LENGTH_BYTES + MR_CHAIN_HASH_BYTES)
#define HEAD_BYTES   (8 + 8 + MR_CHAIN_HASH_BYTES)

static const char magic[] = "MRCHAIN1";

/* Heads bear the version that the commit log of a round had when they were written; theirs has
 * never changed. */
static const struct mr_commit_log_form head_form = {.version = '6', .reads_versions = true};

/* How far the file goes. */
struct head {
    uint64_t bytes, records;
    uint8_t hash[MR_CHAIN_HASH_BYTES];
};

struct mr_chain {
    const struct mr_disk *disk;
    char name[MR_DISK_NAME_MAX + 1];
    struct mr_commit_log *log; /* the head's */
    struct head head;
    uint8_t *room; /* the hash before a unit, and … */
    uint8_t *unit; /* … the unit */
    size_t capacity;
    bool failed;
};

static void hash_magic(uint8_t hash[MR_CHAIN_HASH_BYTES])
{
    SHA256((const uint8_t *)magic, MAGIC_BYTES, hash);
}

/* Room for a unit of so many bytes behind the hash before it: so one hash is taken over both. */
static int reserve(struct mr_chain *chain, size_t bytes, struct mr_error *error)
{
    if (bytes > chain->capacity) {
        free(chain->room);
        chain->room = malloc(MR_CHAIN_HASH_BYTES + bytes);
        chain->capacity = chain->room ? bytes : 0;
    }
    if (!chain->room) {
        return mr_error_set(error, "%s: out of memory for %zu bytes", chain->name, bytes);
    }
    memcpy(chain->room, chain->head.hash, MR_CHAIN_HASH_BYTES);
    chain->unit = chain->room + MR_CHAIN_HASH_BYTES;
    return 0;
}

/* Of a unit whose hash before it lies in front. */
static void hash_unit(uint8_t hash[MR_CHAIN_HASH_BYTES], const uint8_t *before, size_t unit_bytes)
{
    SHA256(before, unit_bytes, hash); /* as many: one hash more in front, one less behind */
}

static int read_exactly(const struct mr_disk *disk, const char *name, uint64_t offset,
                        uint8_t *bytes, size_t length, struct mr_error *error)
{
    size_t got = length;
    if (disk->read_at(disk->context, name, offset, bytes, &got, error) != 0) {
        return -1;
    }
    return got == length ? 0 : 1;
}

/* --- the head -------------------------------------------------------------------------------- */

static int write_head(struct mr_chain *chain, const struct head *head, struct mr_error *error)
{
    uint8_t *at = mr_commit_log_reserve(chain->log, HEAD_BYTES, error);
    if (!at) {
        return -1;
    }
    mr_be64_put(at, head->bytes);
    mr_be64_put(at + 8, head->records);
    memcpy(at + 16, head->hash, MR_CHAIN_HASH_BYTES);
    return mr_commit_log_write(chain->log, error);
}

/* 0; 1: there is none; -1. */
static int read_head(struct mr_chain *chain, struct head *head, struct mr_error *error)
{
    uint8_t *content;
    size_t length;
    const int found = mr_commit_log_open(&chain->log, chain->disk, chain->name, &head_form,
                                         &content, &length, error);
    if (found != 0) {
        return found;
    }
    const bool good = length == HEAD_BYTES;
    if (good) {
        head->bytes = mr_be64_get(content);
        head->records = mr_be64_get(content + 8);
        memcpy(head->hash, content + 16, MR_CHAIN_HASH_BYTES);
    }
    free(content);
    return good ? 0 : mr_error_set(error, "%s: its head is none of this version", chain->name);
}

/* --- reading --------------------------------------------------------------------------------- */

/* A unit at the end of what was read so far, into chain->unit: 0 and *bytes; 1: no whole one; -1.
 */
static int read_unit(struct mr_chain *chain, size_t *bytes, struct mr_error *error)
{
    const struct mr_disk *disk = chain->disk;
    uint8_t length[LENGTH_BYTES], hash[MR_CHAIN_HASH_BYTES];
    int got = read_exactly(disk, chain->name, chain->head.bytes, length, sizeof length, error);
    if (got != 0) {
        return got;
    }
    const uint32_t record = mr_be32_get(length);
    uint8_t last;
    if (record > MR_CHAIN_RECORD_BYTES) {
        return 1;
    }
    *bytes = record + UNIT_EXTRA;
    /* The last byte first: a length that was torn must not ask for its memory. */
    got = read_exactly(disk, chain->name, chain->head.bytes + *bytes - 1, &last, 1, error);
    if (got != 0 || reserve(chain, *bytes, error) != 0) {
        return got != 0 ? got : -1;
    }
    got = read_exactly(disk, chain->name, chain->head.bytes, chain->unit, *bytes, error);
    if (got != 0) {
        return got;
    }
    hash_unit(hash, chain->room, *bytes);
    return memcmp(hash, chain->unit + *bytes - MR_CHAIN_HASH_BYTES, sizeof hash) == 0 ? 0 : 1;
}

/* The unit that lies in chain->unit is one of the file's. */
static int take_unit(struct mr_chain *chain, size_t bytes, mr_chain_fn fn, void *context,
                     struct mr_error *error)
{
    if (fn(context, chain->head.bytes, chain->unit + LENGTH_BYTES, bytes - UNIT_EXTRA, error) !=
        0) {
        return mr_error_prefix(error, "%s, byte %llu", chain->name,
                               (unsigned long long)chain->head.bytes);
    }
    memcpy(chain->head.hash, chain->unit + bytes - MR_CHAIN_HASH_BYTES, MR_CHAIN_HASH_BYTES);
    chain->head.bytes += bytes;
    chain->head.records++;
    return 0;
}

static int damaged(const struct mr_chain *chain, struct mr_error *error)
{
    return mr_error_set(error,
                        "%s in data_dir is damaged at byte %llu, or an older or shorter file was "
                        "put in its place",
                        chain->name, (unsigned long long)chain->head.bytes);
}

/* All that the head covers. */
static int read_covered(struct mr_chain *chain, const struct head *head, mr_chain_fn fn,
                        void *context, struct mr_error *error)
{
    uint8_t begin[MAGIC_BYTES];
    size_t bytes;
    const int got = read_exactly(chain->disk, chain->name, 0, begin, sizeof begin, error);
    if (got != 0 || memcmp(begin, magic, MAGIC_BYTES) != 0) {
        return got < 0 ? -1 : damaged(chain, error);
    }
    chain->head.bytes = MAGIC_BYTES;
    while (chain->head.bytes < head->bytes) {
        const int unit = read_unit(chain, &bytes, error);
        if (unit != 0 || chain->head.bytes + bytes > head->bytes) {
            return unit < 0 ? -1 : damaged(chain, error);
        }
        if (take_unit(chain, bytes, fn, context, error) != 0) {
            return -1;
        }
    }
    return memcmp(&chain->head, head, sizeof *head) == 0 ? 0 : damaged(chain, error);
}

/* Whole units behind the head: written once more, since nobody knows whether they were synced. */
static int read_behind(struct mr_chain *chain, mr_chain_fn fn, void *context,
                       struct mr_error *error)
{
    const struct mr_disk *disk = chain->disk;
    const uint64_t records = chain->head.records;
    size_t bytes;
    int unit;
    while ((unit = read_unit(chain, &bytes, error)) == 0) {
        if (disk->put_at(disk->context, chain->name, chain->head.bytes, chain->unit, bytes,
                         error) != 0 ||
            disk->sync(disk->context, chain->name, error) != 0 ||
            take_unit(chain, bytes, fn, context, error) != 0) {
            return -1;
        }
    }
    return unit < 0                         ? -1
           : chain->head.records == records ? 0
                                            : write_head(chain, &chain->head, error);
}

/* No head: nothing, or no more than the beginning that a crash left. */
static int make_new(struct mr_chain *chain, bool may_be_new, struct mr_error *error)
{
    const struct mr_disk *disk = chain->disk;
    uint8_t begin[MAGIC_BYTES + 1];
    size_t length = sizeof begin;
    if (disk->read_at(disk->context, chain->name, 0, begin, &length, error) != 0) {
        return -1;
    }
    if (length > MAGIC_BYTES || !may_be_new) {
        return mr_error_set(error, "%s in data_dir is missing%s", chain->name,
                            length > MAGIC_BYTES ? " its head" : "");
    }
    if (disk->put_at(disk->context, chain->name, 0, (const uint8_t *)magic, MAGIC_BYTES, error) !=
            0 ||
        disk->sync(disk->context, chain->name, error) != 0) {
        return -1;
    }
    chain->head.bytes = MAGIC_BYTES;
    return write_head(chain, &chain->head, error);
}

static int open_files(struct mr_chain *chain, bool may_be_new, mr_chain_fn fn, void *context,
                      struct mr_error *error)
{
    struct head head = {.bytes = 0};
    hash_magic(chain->head.hash);
    const int found = read_head(chain, &head, error);
    if (found != 0) {
        return found < 0 ? -1 : make_new(chain, may_be_new, error);
    }
    return read_covered(chain, &head, fn, context, error) != 0
               ? -1
               : read_behind(chain, fn, context, error);
}

int mr_chain_open(struct mr_chain **out, const struct mr_disk *disk, const char *name,
                  bool may_be_new, mr_chain_fn fn, void *context, struct mr_error *error)
{
    struct mr_chain *chain = calloc(1, sizeof *chain);
    if (!chain) {
        return mr_error_set(error, "out of memory");
    }
    MR_ASSERT(strlen(name) <= MR_DISK_NAME_MAX - 2);
    chain->disk = disk;
    snprintf(chain->name, sizeof chain->name, "%s", name);
    if (open_files(chain, may_be_new, fn, context, error) != 0) {
        mr_chain_close(chain);
        return -1;
    }
    *out = chain;
    return 0;
}

void mr_chain_close(struct mr_chain *chain)
{
    if (chain) {
        mr_commit_log_close(chain->log);
        free(chain->room);
        free(chain);
    }
}

int mr_chain_read(const struct mr_disk *disk, const char *name, uint64_t offset, uint8_t *record,
                  size_t length, struct mr_error *error)
{
    const bool first = offset == MAGIC_BYTES;
    const size_t bytes = length + UNIT_EXTRA;
    const size_t front = first ? 0 : MR_CHAIN_HASH_BYTES; /* of the file, what is read too */
    uint8_t hash[MR_CHAIN_HASH_BYTES];
    uint8_t *room = malloc(MR_CHAIN_HASH_BYTES + bytes);
    if (!room) {
        return mr_error_set(error, "%s: out of memory for %zu bytes", name, bytes);
    }
    uint8_t *unit = room + MR_CHAIN_HASH_BYTES;
    if (first) {
        hash_magic(room);
    }
    int got = read_exactly(disk, name, offset - front, unit - front, front + bytes, error);
    if (got == 0) {
        hash_unit(hash, room, bytes);
        got = mr_be32_get(unit) != length ||
              memcmp(hash, unit + bytes - sizeof hash, sizeof hash) != 0;
        memcpy(record, unit + LENGTH_BYTES, length);
    }
    free(room);
    return got > 0 ? mr_error_set(error, "%s in data_dir is damaged at byte %llu", name,
                                  (unsigned long long)offset)
                   : got;
}

/* --- writing --------------------------------------------------------------------------------- */

int mr_chain_append(struct mr_chain *chain, const uint8_t *record, size_t length, uint64_t *offset,
                    struct mr_error *error)
{
    const struct mr_disk *disk = chain->disk;
    const size_t bytes = length + UNIT_EXTRA;
    struct head next = chain->head;
    MR_ASSERT(length <= MR_CHAIN_RECORD_BYTES);
    if (chain->failed) {
        return mr_error_set(error, "%s: an earlier write has failed", chain->name);
    }
    if (reserve(chain, bytes, error) != 0) {
        return -1;
    }
    chain->failed = true; /* until all of it has succeeded */
    mr_be32_put(chain->unit, (uint32_t)length);
    memcpy(chain->unit + LENGTH_BYTES, record, length);
    hash_unit(next.hash, chain->room, bytes);
    memcpy(chain->unit + LENGTH_BYTES + length, next.hash, sizeof next.hash);
    next.bytes += bytes;
    next.records++;
    if (disk->put_at(disk->context, chain->name, chain->head.bytes, chain->unit, bytes, error) !=
            0 ||
        disk->sync(disk->context, chain->name, error) != 0 ||
        write_head(chain, &next, error) != 0) {
        return -1;
    }
    *offset = chain->head.bytes;
    chain->head = next;
    chain->failed = false;
    return 0;
}

const uint8_t *mr_chain_head(const struct mr_chain *chain, uint64_t *records)
{
    *records = chain->head.records;
    return chain->head.hash;
}
