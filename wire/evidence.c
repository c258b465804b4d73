#include "wire/evidence.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

#define VERSION 2u

static const uint8_t magic[4] = {'M', 'R', 'T', 'R'};

const char *mr_evidence_kind_name(enum mr_evidence_kind kind)
{
    static const char *const names[MR_EVIDENCE_KINDS] = {
        [MR_EVIDENCE_ANNOUNCED] = "announced", [MR_EVIDENCE_SIGNED] = "signed",
        [MR_EVIDENCE_ADMITTED] = "admitted",   [MR_EVIDENCE_SET] = "set",
        [MR_EVIDENCE_COMMITTED] = "committed", [MR_EVIDENCE_OPENED] = "opened",
        [MR_EVIDENCE_MODEL] = "model",         [MR_EVIDENCE_VOID] = "void",
        [MR_EVIDENCE_LISTED] = "listed",       [MR_EVIDENCE_DRAWN] = "drawn",
        [MR_EVIDENCE_RECOVERED] = "recovered", [MR_EVIDENCE_HEARD] = "heard",
        [MR_EVIDENCE_DEBITED] = "debited",
    };
    return kind > 0 && kind < MR_EVIDENCE_KINDS ? names[kind] : "?";
}

static int hash_bytes(uint8_t hash[MR_HASH_BYTES], const char *label, const uint8_t *bytes,
                      size_t length)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, label);
    return mr_transcript_hash(hash, &transcript, bytes, length);
}

static void signed_text(struct mr_transcript *transcript, const char *label,
                        const uint8_t hash[MR_HASH_BYTES])
{
    mr_transcript_init(transcript, label);
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
    if (length > 0) {
        memcpy(at, bytes, length);
    }
    return at + length;
}

/* --- files ----------------------------------------------------------------------------------- */

static uint8_t *put_owner(uint8_t *at, const struct mr_evidence_owner *owner)
{
    const size_t length = strlen(owner->task);
    mr_be16_put(at, owner->hub);
    at = put(at + 2, owner->public_key, MR_PUBLIC_KEY_BYTES);
    *at = (uint8_t)length;
    return put(at + 1, owner->task, length);
}

int mr_evidence_begin(uint8_t head[MR_HASH_BYTES], const struct mr_evidence_owner *owner)
{
    uint8_t bytes[MR_EVIDENCE_HEADER_MAX];
    return hash_bytes(head, "millrace transcript", bytes,
                      (size_t)(put_owner(bytes, owner) - bytes));
}

static int header_text(struct mr_transcript *transcript, const uint8_t *bytes, size_t length)
{
    uint8_t hash[MR_HASH_BYTES];
    if (hash_bytes(hash, "millrace transcript file", bytes, length) != 0) {
        return -1;
    }
    signed_text(transcript, "millrace transcript begins", hash);
    return 0;
}

size_t mr_evidence_header_encode(uint8_t out[MR_EVIDENCE_HEADER_MAX],
                                 const struct mr_evidence_header *header,
                                 const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    uint8_t *at = put(out, magic, sizeof magic);
    mr_be16_put(at, VERSION);
    at = put_owner(at + 2, &header->owner);
    mr_be32_put(at, header->number);
    mr_be64_put(at + 4, header->sequence);
    at = put(at + 12, header->before, MR_HASH_BYTES);
    if (header_text(&transcript, out, (size_t)(at - out)) != 0 ||
        mr_transcript_sign_pair(at, &transcript, pair) != 0) {
        return 0;
    }
    return (size_t)(at - out) + MR_SIGNATURE_BYTES;
}

int mr_evidence_header_decode(struct mr_evidence_header *header, const uint8_t *bytes,
                              size_t length, struct mr_error *error)
{
    const size_t fixed = MR_EVIDENCE_HEADER_MAX - MR_TASK_NAME_MAX;
    struct mr_evidence_owner *owner = &header->owner;
    if (length < fixed || memcmp(bytes, magic, sizeof magic) != 0 ||
        mr_be16_get(bytes + 4) != VERSION) {
        return mr_error_set(error, "it is no transcript of this version");
    }
    const size_t name = bytes[8 + MR_PUBLIC_KEY_BYTES];
    const uint8_t *at = bytes + 8;
    if (name == 0 || name > MR_TASK_NAME_MAX || length != fixed + name) {
        return mr_error_set(error, "the head of the file is cut off");
    }
    owner->hub = mr_be16_get(bytes + 6);
    memcpy(owner->public_key, at, MR_PUBLIC_KEY_BYTES);
    at += MR_PUBLIC_KEY_BYTES + 1;
    memcpy(owner->task, at, name);
    owner->task[name] = '\0';
    at += name;
    header->number = mr_be32_get(at);
    header->sequence = mr_be64_get(at + 4);
    memcpy(header->before, at + 12, MR_HASH_BYTES);
    return mr_task_name_valid(owner->task) && header->number > 0 && header->sequence > 0
               ? 0
               : mr_error_set(error, "the head of the file makes no sense");
}

int mr_evidence_header_verify(const uint8_t *bytes, size_t length,
                              const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    const size_t covered = length - MR_SIGNATURE_BYTES;
    return header_text(&transcript, bytes, covered) != 0
               ? -1
               : mr_transcript_verify(bytes + covered, &transcript, public_key);
}

/* --- records --------------------------------------------------------------------------------- */

size_t mr_evidence_record_encode(uint8_t *out, struct mr_evidence_record *record,
                                 const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    mr_be64_put(out, record->sequence);
    out[8] = (uint8_t)record->kind;
    mr_be64_put(out + 9, record->round);
    mr_be64_put(out + 17, record->unix_ms);
    uint8_t *at = put(out + 25, record->before, MR_HASH_BYTES);
    at = put(at, record->body, record->body_bytes);
    if (hash_bytes(record->head, "millrace transcript record", out, (size_t)(at - out)) != 0) {
        return 0;
    }
    signed_text(&transcript, "millrace transcript head", record->head);
    if (mr_transcript_sign_pair(record->signature, &transcript, pair) != 0) {
        return 0;
    }
    return (size_t)(put(at, record->signature, MR_SIGNATURE_BYTES) - out);
}

int mr_evidence_record_decode(struct mr_evidence_record *record, const uint8_t *bytes,
                              size_t length, struct mr_error *error)
{
    if (length < MR_EVIDENCE_RECORD_BYTES) {
        return mr_error_set(error, "a record is cut off");
    }
    const size_t covered = length - MR_SIGNATURE_BYTES;
    *record = (struct mr_evidence_record){
        .sequence = mr_be64_get(bytes),
        .kind = (enum mr_evidence_kind)bytes[8],
        .round = mr_be64_get(bytes + 9),
        .unix_ms = mr_be64_get(bytes + 17),
        .body = bytes + MR_EVIDENCE_RECORD_BYTES - MR_SIGNATURE_BYTES,
        .body_bytes = length - MR_EVIDENCE_RECORD_BYTES,
    };
    memcpy(record->before, bytes + 25, MR_HASH_BYTES);
    memcpy(record->signature, bytes + covered, MR_SIGNATURE_BYTES);
    if (record->kind < MR_EVIDENCE_ANNOUNCED || record->kind >= MR_EVIDENCE_KINDS) {
        return mr_error_set(error, "a record of kind %u, which there is not", bytes[8]);
    }
    return hash_bytes(record->head, "millrace transcript record", bytes, covered) == 0
               ? 0
               : mr_error_set(error, "OpenSSL cannot hash");
}

int mr_evidence_record_verify(const struct mr_evidence_record *record,
                              const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    signed_text(&transcript, "millrace transcript head", record->head);
    return mr_transcript_verify(record->signature, &transcript, public_key);
}

/* --- the tree of who was admitted ------------------------------------------------------------ */

int mr_evidence_leaf(uint8_t leaf[MR_HASH_BYTES], const struct mr_included *included,
                     const uint8_t *seed)
{
    uint8_t bytes[1 + MR_INCLUDED_BYTES + MR_HASH_BYTES] = {0};
    memcpy(bytes + 1, included->client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(bytes + 1 + MR_CLIENT_ID_BYTES, included->attempt);
    if (seed &&
        hash_bytes(bytes + 1 + MR_INCLUDED_BYTES, "millrace seed", seed, MR_SEED_BYTES) != 0) {
        return -1;
    }
    return mr_sha256(leaf, bytes, sizeof bytes);
}

/* Level by level: an odd one at the end goes up as it is, which is RFC 6962's tree. */
int mr_evidence_root(uint8_t root[MR_HASH_BYTES], uint8_t (*leaves)[MR_HASH_BYTES], size_t count)
{
    uint8_t node[1 + 2 * MR_HASH_BYTES] = {1};
    if (count == 0) {
        return mr_sha256(root, NULL, 0);
    }
    for (; count > 1; count = (count + 1) / 2) {
        for (size_t i = 0; i < count; i += 2) {
            if (i + 1 == count) {
                memmove(leaves[i / 2], leaves[i], MR_HASH_BYTES);
                continue;
            }
            memcpy(node + 1, leaves[i], 2 * (size_t)MR_HASH_BYTES);
            if (mr_sha256(leaves[i / 2], node, sizeof node) != 0) {
                return -1;
            }
        }
    }
    memcpy(root, leaves[0], MR_HASH_BYTES);
    return 0;
}
