#include "appliance/privacy/transcript_file.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/append_log.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/secret.h"

/* Of one round: announced, signed, admitted, set, both ends, a commitment and an opening of each
 * hub; and as many again of a hub that has said something twice. */
#define KNOWN_MAX (2 * (6 + 2 * MR_HUBS_MAX))

struct mr_transcript_file {
    struct mr_append_log *log;
    bool failed; /* to write: what the file holds is unknown, and nothing is added any more */
    struct mr_evidence_owner owner;
    struct mr_signing_pair keys; /* the file is in locked memory */
    uint64_t file_bytes;
    struct mr_transcript_head head;
    /* The newest round's records, by hash of kind and body. */
    uint8_t known[KNOWN_MAX][MR_HASH_BYTES];
    unsigned known_count, kinds;
    bool opened;                        /* by this hub */
    uint8_t terms[MR_ANNOUNCEMENT_MAX]; /* canonical bytes */
    size_t terms_bytes;
    struct mr_transcript_past past;
    struct mr_standing heard[MR_HUBS_MAX]; /* of other hubs; sequence 0: the place is free */
    bool older_seen;                       /* it has a round before the newest */
    bool begins_next; /* the next file was being made when the hub was killed */
};

/* --- what is on record ----------------------------------------------------------------------- */

/* The kind in place of the hash's first byte: 248 bits tell bodies apart. */
static int identify(uint8_t id[MR_HASH_BYTES], const struct mr_evidence_record *record,
                    struct mr_error *error)
{
    if (EVP_Digest(record->body, record->body_bytes, id, NULL, EVP_sha256(), NULL) != 1) {
        return mr_error_set(error, "out of memory for a hash");
    }
    id[0] = (uint8_t)record->kind;
    return 0;
}

/* Such a record is no part of a round, and never said twice by accident. */
static bool is_of_hub(const struct mr_evidence_record *record)
{
    return record->kind >= MR_EVIDENCE_RECOVERED;
}

/* Who was admitted is counted once: a hub that has restarted knows fewer. */
static bool is_known(const struct mr_transcript_file *file, const struct mr_evidence_record *record,
                     const uint8_t id[MR_HASH_BYTES])
{
    if (record->round != file->head.round || is_of_hub(record)) {
        return false;
    }
    if (record->kind == MR_EVIDENCE_ADMITTED) {
        return (file->kinds & 1u << MR_EVIDENCE_ADMITTED) != 0;
    }
    for (unsigned i = 0; i < file->known_count; i++) {
        if (memcmp(file->known[i], id, MR_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Its own opening, or what is debited before that. */
static bool opens(const struct mr_transcript_file *file, const struct mr_evidence_record *record)
{
    return record->kind == MR_EVIDENCE_DEBITED ||
           (record->kind == MR_EVIDENCE_OPENED && record->body_bytes >= MR_HASH_BYTES + 2 &&
            mr_be16_get(record->body + MR_HASH_BYTES) == file->owner.hub);
}

static void know(struct mr_transcript_file *file, const struct mr_evidence_record *record,
                 const uint8_t id[MR_HASH_BYTES])
{
    file->kinds |= 1u << record->kind;
    file->opened = file->opened || opens(file, record);
    if (record->kind == MR_EVIDENCE_ANNOUNCED && record->body_bytes <= sizeof file->terms) {
        file->terms_bytes = record->body_bytes;
        memcpy(file->terms, record->body, record->body_bytes);
    }
    if (file->known_count < KNOWN_MAX) { /* beyond: said once more at the worst */
        memcpy(file->known[file->known_count++], id, MR_HASH_BYTES);
    }
}

/* Nothing of the newest round is known yet. */
static void forget_round(struct mr_transcript_file *file)
{
    file->known_count = file->kinds = 0;
    file->terms_bytes = 0;
    file->opened = false;
}

static void remember_head(struct mr_transcript_past *past, uint64_t sequence,
                          const uint8_t head[MR_HASH_BYTES])
{
    past->newest = sequence;
    past->count += past->count < MR_TRANSCRIPT_PAST;
    memcpy(past->heads[sequence % MR_TRANSCRIPT_PAST], head, MR_HASH_BYTES);
}

/* Keeps the furthest of each hub. */
static void remember_heard(struct mr_transcript_file *file, const struct mr_evidence_record *record)
{
    struct mr_standing standing;
    if (record->kind != MR_EVIDENCE_HEARD || record->body_bytes != MR_STANDING_BYTES) {
        return;
    }
    mr_standing_decode(&standing, record->body);
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        struct mr_standing *place = &file->heard[i];
        if (place->sequence == 0 || place->hub == standing.hub) {
            if (place->sequence == 0 || mr_standing_is_further(&standing, place)) {
                *place = standing;
            }
            return;
        }
    }
}

static bool has_heard(const struct mr_transcript_file *file)
{
    return file->heard[0].sequence != 0;
}

static void remember(struct mr_transcript_file *file, const struct mr_evidence_record *record,
                     const uint8_t id[MR_HASH_BYTES])
{
    if (record->round != file->head.round) {
        file->older_seen = file->older_seen || file->head.round != 0;
        forget_round(file);
    }
    file->head.round = record->round;
    file->head.sequence = record->sequence;
    memcpy(file->head.head, record->head, MR_HASH_BYTES);
    remember_head(&file->past, record->sequence, record->head);
    remember_heard(file, record);
    if (!is_of_hub(record)) {
        know(file, record, id);
    }
}

/* --- opening --------------------------------------------------------------------------------- */

static int check_header(const struct mr_transcript_file *file,
                        const struct mr_evidence_header *header, struct mr_error *error)
{
    const struct mr_evidence_owner *owner = &header->owner;
    if (owner->hub == file->owner.hub && strcmp(owner->task, file->owner.task) == 0 &&
        memcmp(owner->public_key, file->owner.public_key, MR_PUBLIC_KEY_BYTES) == 0) {
        return 0;
    }
    return mr_error_set(error,
                        "it is the transcript of hub %u in task %s, perhaps under another signing "
                        "key: put this folder's transcripts aside where the key was changed on "
                        "purpose",
                        owner->hub, owner->task);
}

static int take_record(struct mr_transcript_file *file, const uint8_t *entry, size_t length,
                       struct mr_error *error)
{
    struct mr_evidence_record record;
    uint8_t id[MR_HASH_BYTES];
    if (mr_evidence_record_decode(&record, entry, length, error) != 0) {
        return -1;
    }
    if (record.sequence != file->head.sequence + 1 ||
        memcmp(record.before, file->head.head, MR_HASH_BYTES) != 0) {
        return mr_error_set(error, "record %llu does not follow the one before",
                            (unsigned long long)record.sequence);
    }
    if (identify(id, &record, error) != 0) {
        return -1;
    }
    remember(file, &record, id);
    return mr_evidence_record_verify(&record, file->owner.public_key) == 0
               ? 0
               : mr_error_set(error, "record %llu is not signed by this hub, or there is no memory",
                              (unsigned long long)record.sequence);
}

/* A file that has not even its head was being made when the hub was killed: the one before it is
 * the newest that counts, and it is not read twice for that. */
static int read_file(struct mr_transcript_file *file, const uint8_t *bytes, size_t length,
                     struct mr_error *error)
{
    struct mr_evidence_header header;
    const uint8_t *entry;
    size_t at = 0, entry_bytes;
    if (mr_append_log_next(bytes, length, &at, &entry, &entry_bytes) <= 0) {
        return 1;
    }
    if (mr_evidence_header_decode(&header, entry, entry_bytes, error) != 0 ||
        check_header(file, &header, error) != 0) {
        return -1;
    }
    file->head.sequence = header.sequence - 1;
    memcpy(file->head.head, header.before, MR_HASH_BYTES);
    file->past = (struct mr_transcript_past){.newest = 0};
    if (header.sequence > 1) { /* of the record before nothing else may be known */
        remember_head(&file->past, header.sequence - 1, header.before);
    }
    int result = 0;
    while (result == 0 && mr_append_log_next(bytes, length, &at, &entry, &entry_bytes) > 0) {
        result = take_record(file, entry, entry_bytes, error);
    }
    return result;
}

/* What a file before the newest says of the newest round, which is that of its last record where
 * the newest has only a head. 1: it says something of an older one too, so that there is no more to
 * be found; 0, or -1 with an error. */
static int recall_file(struct mr_transcript_file *file, const uint8_t *bytes, size_t length,
                       struct mr_error *error)
{
    const bool found = file->head.round != 0;
    struct mr_evidence_record record;
    const uint8_t *entry;
    size_t at = 0, entry_bytes;
    uint8_t id[MR_HASH_BYTES];
    bool older = false;
    if (mr_append_log_next(bytes, length, &at, &entry, &entry_bytes) <= 0) {
        return 0;
    }
    while (mr_append_log_next(bytes, length, &at, &entry, &entry_bytes) > 0) {
        if (mr_evidence_record_decode(&record, entry, entry_bytes, error) != 0 ||
            identify(id, &record, error) != 0) {
            return -1;
        }
        remember_heard(file, &record);
        older = older || (file->head.round != 0 && record.round != file->head.round);
        if (!found && record.round != file->head.round) {
            file->head.round = record.round;
            forget_round(file);
        }
        if (record.round == file->head.round && !is_of_hub(&record)) {
            know(file, &record, id);
        }
    }
    return older && has_heard(file);
}

/* The newest round may have begun in a file before the newest, and what other hubs have said may be
 * there. */
static int recall(struct mr_transcript_file *file, const struct mr_disk *disk, unsigned number,
                  struct mr_error *error)
{
    int result = 0;
    for (; result == 0 && number > 0; number--) {
        uint8_t *bytes = NULL;
        size_t length;
        result = mr_append_log_read(disk, number, &bytes, &length, error);
        if (result == 0) {
            result = recall_file(file, bytes, length, error);
        }
        free(bytes);
    }
    return result < 0 ? -1 : 0;
}

static int open_newest(struct mr_transcript_file *file, const struct mr_transcript_config *config,
                       struct mr_error *error)
{
    int result = 1;
    unsigned newest = config->newest;
    uint8_t *bytes;
    size_t length;
    for (; result > 0 && newest > 0; newest -= result > 0) {
        mr_append_log_close(file->log);
        file->log = NULL;
        if (mr_append_log_open(&file->log, config->disk, newest, &bytes, &length, error) != 0) {
            return -1;
        }
        result = read_file(file, bytes, length, error);
        free(bytes);
        if (result < 0) {
            return mr_error_prefix(error, "transcript/%06u.log", newest);
        }
        file->begins_next = file->begins_next || result > 0;
    }
    if (result == 0) {
        return file->older_seen && has_heard(file) ? 0
                                                   : recall(file, config->disk, newest - 1, error);
    }
    mr_append_log_close(file->log);
    file->log = NULL;
    return mr_append_log_open(&file->log, config->disk, 0, &bytes, &length, error);
}

int mr_transcript_file_open(struct mr_transcript_file **out,
                            const struct mr_transcript_config *config, struct mr_error *error)
{
    struct mr_transcript_file *file = mr_secret_new(sizeof *file);
    if (!file) {
        return mr_error_set(error, "out of memory");
    }
    file->owner.hub = config->hub;
    file->file_bytes = config->file_bytes ? config->file_bytes : MR_TRANSCRIPT_FILE_BYTES;
    memccpy(file->owner.task, config->task, '\0', sizeof file->owner.task);
    if (mr_signing_pair_derive(&file->keys, config->private_key) != 0) {
        mr_transcript_file_close(file);
        return mr_error_set(error, "OpenSSL has no Ed25519");
    }
    memcpy(file->owner.public_key, file->keys.public_key, MR_PUBLIC_KEY_BYTES);
    mr_error_set(error, "OpenSSL cannot hash");
    if (mr_evidence_begin(file->head.head, &file->owner) != 0 ||
        open_newest(file, config, error) != 0) {
        mr_transcript_file_close(file);
        return -1;
    }
    *out = file;
    return 0;
}

void mr_transcript_file_close(struct mr_transcript_file *file)
{
    if (file) {
        mr_append_log_close(file->log);
    }
    mr_secret_free(file);
}

/* --- adding ---------------------------------------------------------------------------------- */

/* In a file of its own, where there is none, the last is full, or its end is torn. */
static int begin_file(struct mr_transcript_file *file, struct mr_error *error)
{
    uint8_t bytes[MR_EVIDENCE_HEADER_MAX];
    mr_append_log_roll(file->log);
    file->begins_next = false;
    struct mr_evidence_header header = {.owner = file->owner,
                                        .number = mr_append_log_number(file->log),
                                        .sequence = file->head.sequence + 1};
    memcpy(header.before, file->head.head, MR_HASH_BYTES);
    const size_t length = mr_evidence_header_encode(bytes, &header, &file->keys);
    return length == 0 ? mr_error_set(error, "the transcript could not be signed")
                       : mr_append_log_add(file->log, bytes, length, error);
}

static int add_record(struct mr_transcript_file *file, struct mr_evidence_record *record,
                      struct mr_error *error)
{
    uint8_t id[MR_HASH_BYTES];
    record->round = is_of_hub(record) ? file->head.round : record->round;
    if (identify(id, record, error) != 0) {
        return -1;
    }
    if (is_known(file, record, id)) {
        return 0;
    }
    record->sequence = file->head.sequence + 1;
    memcpy(record->before, file->head.head, MR_HASH_BYTES);
    uint8_t *bytes = malloc(MR_EVIDENCE_RECORD_BYTES + record->body_bytes);
    const size_t length = bytes ? mr_evidence_record_encode(bytes, record, &file->keys) : 0;
    const int result = length == 0
                           ? mr_error_set(error, "the transcript's record could not be signed")
                           : mr_append_log_add(file->log, bytes, length, error);
    free(bytes);
    if (result == 0) {
        remember(file, record, id);
    }
    return result;
}

static int add_batch(struct mr_transcript_file *file, const struct mr_facts_batch *batch,
                     uint64_t unix_ms, struct mr_error *error)
{
    struct mr_evidence_record record;
    if (batch->length > 0 &&
        (file->begins_next || mr_append_log_number(file->log) == 0 ||
         mr_append_log_is_torn(file->log) || mr_append_log_bytes(file->log) >= file->file_bytes) &&
        begin_file(file, error) != 0) {
        return -1;
    }
    for (size_t at = 0; mr_facts_batch_next(batch, &at, &record);) {
        record.unix_ms = unix_ms;
        if (add_record(file, &record, error) != 0) {
            return -1;
        }
    }
    return mr_append_log_write(file->log, error);
}

int mr_transcript_file_add(struct mr_transcript_file *file, const struct mr_facts_batch *batch,
                           uint64_t unix_ms, struct mr_error *error)
{
    if (file->failed) { /* a hub that stops for it may be asked once more */
        return mr_error_set(error, "the transcript could not be written before");
    }
    file->failed = add_batch(file, batch, unix_ms, error) != 0;
    return file->failed ? -1 : 0;
}

void mr_transcript_file_head(const struct mr_transcript_file *file, struct mr_transcript_head *head)
{
    *head = file->head;
}

bool mr_transcript_file_has(const struct mr_transcript_file *file, uint64_t round,
                            enum mr_evidence_kind kind)
{
    return file->head.round == round && (file->kinds & 1u << kind) != 0;
}

const uint8_t *mr_transcript_file_terms(const struct mr_transcript_file *file, uint64_t round,
                                        size_t *length)
{
    *length = file->terms_bytes;
    return file->head.round == round && file->terms_bytes > 0 ? file->terms : NULL;
}

bool mr_transcript_file_opened(const struct mr_transcript_file *file, uint64_t round)
{
    return file->head.round == round && file->opened;
}

bool mr_transcript_file_ended(const struct mr_transcript_file *file, uint64_t round)
{
    return file->head.round == round &&
           (file->kinds & (1u << MR_EVIDENCE_MODEL | 1u << MR_EVIDENCE_VOID)) != 0;
}

const struct mr_transcript_past *mr_transcript_file_past(const struct mr_transcript_file *file)
{
    return &file->past;
}

int mr_transcript_past_has(const struct mr_transcript_past *past, uint64_t sequence,
                           const uint8_t head[MR_HASH_BYTES])
{
    if (sequence > past->newest || sequence == 0) {
        return 0;
    }
    return past->newest - sequence >= past->count
               ? -1
               : memcmp(past->heads[sequence % MR_TRANSCRIPT_PAST], head, MR_HASH_BYTES) == 0;
}

const struct mr_standing *mr_transcript_file_heard(const struct mr_transcript_file *file,
                                                   uint16_t hub)
{
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (file->heard[i].sequence != 0 && file->heard[i].hub == hub) {
            return &file->heard[i];
        }
    }
    return NULL;
}
