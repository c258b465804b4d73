#include "appliance/storage/journal.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/journal_seal.h"
#include "base/secret.h"
#include "base/assert.h"
#include "base/bytes.h"

struct mr_journal {
    const struct mr_disk *disk;
    uint8_t private_key[32];
    uint64_t generation; /* of the newest file */
    uint64_t units;      /* in it, as this process wrote them; 0: it must not append */
    uint8_t head[MR_JOURNAL_HEAD_BYTES];
    uint8_t key[MR_JOURNAL_KEY_BYTES];
    bool other_version; /* there is a file of one */
    bool failed;        /* a write has: what the disk holds is unknown, and nobody may go on */
};

#define KEY_LABEL "millrace journal"

static const char magic[8] = {'M', 'R', 'J', 'O', 'U', 'R', 'N', MR_JOURNAL_VERSION};
static const char *const names[2] = {"journal-0", "journal-1"};

#define SALT_AT 16

/* --- reading --------------------------------------------------------------------------------- */

void mr_journal_content_fini(struct mr_journal_content *content)
{
    if (content->bytes) {
        OPENSSL_cleanse(content->bytes, content->length);
    }
    free(content->bytes);
    *content = (struct mr_journal_content){.bytes = NULL};
}

/* The units at `at`, opened in place: the records are moved together behind the snapshot. */
static int parse_units(struct mr_journal_content *content, const uint8_t *head, uint8_t *at,
                       size_t left, const uint8_t *key, struct mr_error *error)
{
    const uint8_t *plain;
    size_t length;
    int result = mr_journal_unseal(at, left, key, head, 0, &plain, &length);
    if (result > 0) {
        mr_error_set(error, "the snapshot is torn, damaged, or sealed under another key");
        return 1;
    }
    if (result < 0) {
        return mr_error_set(error, "the journal's snapshot: OpenSSL could not open");
    }
    content->snapshot = plain;
    content->snapshot_bytes = length;
    uint8_t *records = at + length + MR_JOURNAL_UNIT_EXTRA;
    content->records = records;
    for (uint64_t number = 1; left > length + MR_JOURNAL_UNIT_EXTRA; number++) {
        at += length + MR_JOURNAL_UNIT_EXTRA;
        left -= length + MR_JOURNAL_UNIT_EXTRA;
        result = mr_journal_unseal(at, left, key, head, number, &plain, &length);
        if (result > 0) {
            return 0; /* the write that the crash cut off: nobody was answered for it */
        }
        if (result < 0) {
            return mr_error_set(error, "the journal's records: OpenSSL could not open");
        }
        memmove(records + content->records_bytes, plain, length);
        content->records_bytes += length;
    }
    return 0;
}

int mr_journal_parse(struct mr_journal_content *content, uint64_t *generation, uint8_t *bytes,
                     size_t length, const uint8_t private_key[32], struct mr_error *error)
{
    uint8_t key[MR_JOURNAL_KEY_BYTES];
    *content = (struct mr_journal_content){.bytes = NULL};
    if (length < MR_JOURNAL_HEAD_BYTES || memcmp(bytes, magic, sizeof magic) != 0) {
        mr_error_set(error,
                     "no journal of this version (%.8s): end the round before you put "
                     "another version in",
                     magic);
        return 1;
    }
    *generation = mr_be64_get(bytes + 8);
    if (mr_journal_key_derive(key, private_key, bytes + SALT_AT, MR_JOURNAL_SALT_BYTES,
                              KEY_LABEL) != 0) {
        return mr_error_set(error, "the journal's key could not be derived");
    }
    const int result = parse_units(content, bytes, bytes + MR_JOURNAL_HEAD_BYTES,
                                   length - MR_JOURNAL_HEAD_BYTES, key, error);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

/* What another version of Millrace has written is no damage. */
static bool is_of_other_version(const uint8_t *bytes, size_t length)
{
    const size_t name = sizeof magic - 1; /* the last character is the version */
    return length >= MR_JOURNAL_HEAD_BYTES && memcmp(bytes, magic, name) == 0 &&
           bytes[name] != (uint8_t)magic[name];
}

/* Takes the file if it is whole and newer than the one that is there. */
static int read_one(struct mr_journal *journal, const char *name, struct mr_journal_content *newest,
                    struct mr_error *error)
{
    struct mr_journal_content content;
    uint64_t generation = 0;
    uint8_t *bytes;
    size_t length;
    const int got = journal->disk->read(journal->disk->context, name, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    journal->other_version |= is_of_other_version(bytes, length);
    const int parsed =
        mr_journal_parse(&content, &generation, bytes, length, journal->private_key, error);
    content.bytes = bytes;
    content.length = length;
    if (parsed != 0 || generation <= journal->generation) {
        mr_journal_content_fini(&content);
        return parsed < 0 ? mr_error_prefix(error, "%s", name) : 0;
    }
    mr_journal_content_fini(newest);
    *newest = content;
    journal->generation = generation;
    return 0;
}

int mr_journal_open(struct mr_journal **out, const struct mr_disk *disk,
                    const uint8_t private_key[32], struct mr_journal_content *newest,
                    struct mr_error *error)
{
    struct mr_journal *journal = mr_secret_new(sizeof *journal);
    *newest = (struct mr_journal_content){.bytes = NULL};
    if (!journal) {
        return mr_error_set(error, "out of memory");
    }
    journal->disk = disk;
    memcpy(journal->private_key, private_key, sizeof journal->private_key);
    /* A save wipes the file before the newest: the newest has to hold. */
    if (read_one(journal, names[0], newest, error) != 0 ||
        read_one(journal, names[1], newest, error) != 0 ||
        (journal->generation && mr_disk_settle(disk, names[journal->generation % 2], error) != 0)) {
        mr_journal_content_fini(newest);
        mr_journal_close(journal);
        return -1;
    }
    *out = journal;
    return journal->generation ? 0 : journal->other_version ? MR_JOURNAL_OTHER_VERSION : 1;
}

void mr_journal_close(struct mr_journal *journal)
{
    mr_secret_free(journal);
}

/* --- writing --------------------------------------------------------------------------------- */

/* Seals and hands the bytes to the disk: a whole file with its head, or one unit more. */
static int put_unit(struct mr_journal *journal, bool whole, const uint8_t *plain, size_t length,
                    struct mr_error *error)
{
    const struct mr_disk *disk = journal->disk;
    const char *name = names[journal->generation % 2];
    const size_t head = whole ? MR_JOURNAL_HEAD_BYTES : 0;
    const size_t bytes = head + length + MR_JOURNAL_UNIT_EXTRA;
    uint8_t *sealed = malloc(bytes);
    if (!sealed) {
        return mr_error_set(error, "journal: out of memory for %zu bytes", bytes);
    }
    memcpy(sealed, journal->head, head);
    int result =
        mr_journal_seal(sealed + head, journal->key, journal->head, journal->units, plain, length);
    if (result != 0) {
        mr_error_set(error, "journal: OpenSSL could not seal");
    } else {
        journal->units++;
        result = (whole ? disk->write : disk->append)(disk->context, name, sealed, bytes, error);
    }
    free(sealed);
    return result != 0 ? -1 : disk->sync(disk->context, name, error);
}

int mr_journal_save(struct mr_journal *journal, const uint8_t salt[MR_JOURNAL_SALT_BYTES],
                    const uint8_t *snapshot, size_t length, struct mr_error *error)
{
    const struct mr_disk *disk = journal->disk;
    if (journal->failed) {
        return mr_error_set(error, "journal: an earlier write has failed");
    }
    journal->failed = true; /* until all of it has succeeded */
    journal->generation++;
    journal->units = 0;
    memcpy(journal->head, magic, sizeof magic);
    mr_be64_put(journal->head + 8, journal->generation);
    memcpy(journal->head + SALT_AT, salt, MR_JOURNAL_SALT_BYTES);
    if (mr_journal_key_derive(journal->key, journal->private_key, salt, MR_JOURNAL_SALT_BYTES,
                              KEY_LABEL) != 0) {
        return mr_error_set(error, "the journal's key could not be derived");
    }
    const char *name = names[journal->generation % 2];
    const char *before = names[(journal->generation + 1) % 2];
    if (disk->wipe(disk->context, name, error) != 0 ||
        put_unit(journal, true, snapshot, length, error) != 0) {
        return -1;
    }
    journal->failed = disk->wipe(disk->context, before, error) != 0;
    return journal->failed ? -1 : 0;
}

int mr_journal_append(struct mr_journal *journal, const uint8_t *records, size_t length,
                      struct mr_error *error)
{
    if (journal->failed) { /* asked for before that was heard of */
        return mr_error_set(error, "journal: an earlier write has failed");
    }
    MR_ASSERT(journal->units > 0);
    journal->failed = put_unit(journal, false, records, length, error) != 0;
    return journal->failed ? -1 : 0;
}

int mr_journal_wipe(struct mr_journal *journal, struct mr_error *error)
{
    const struct mr_disk *disk = journal->disk;
    journal->units = 0;
    OPENSSL_cleanse(journal->key, sizeof journal->key);
    return disk->wipe(disk->context, names[0], error) != 0 ||
                   disk->wipe(disk->context, names[1], error) != 0
               ? -1
               : 0;
}
