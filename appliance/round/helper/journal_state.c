#include "appliance/round/helper/journal_state.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/bytes.h"

#define SEED_RECORD   1
#define OPENED_RECORD 2
#define LIST_RECORD   3
#define ENTRY_BYTES   (MR_INCLUDED_BYTES + MR_SERIAL_BYTES + MR_SEED_BYTES + MR_HASH_BYTES)
#define FROZEN_BYTES  (MR_NONCE_BYTES + 4 + MR_HASH_BYTES) /* the nonce, and what was admitted */

static size_t entry_bytes(enum mr_journal_phase phase)
{
    return phase == MR_JOURNAL_DONE ? MR_INCLUDED_BYTES : ENTRY_BYTES;
}

/* What stands between the terms and the list. Of the seal key the private half is wiped with the
 * freeze, and never written again; this hub's value of the draw has left by then. */
static size_t keys_bytes(enum mr_journal_phase phase)
{
    return phase == MR_JOURNAL_ADMITTING ? 2 * MR_HPKE_KEY_BYTES + MR_DRAW_VALUE_BYTES + 4
                                         : MR_HPKE_KEY_BYTES + 4;
}

/* The list, and what stands behind it. */
static size_t list_section(enum mr_journal_phase phase, const struct mr_round_terms *terms,
                           uint32_t list_bytes)
{
    return list_bytes && phase != MR_JOURNAL_ADMITTING
               ? list_bytes + terms->announcement.hub_count * (size_t)MR_DRAW_VALUE_BYTES
               : list_bytes;
}

static unsigned commitment_count(enum mr_journal_phase phase, const struct mr_round_terms *terms)
{
    return phase == MR_JOURNAL_FROZEN ? 1u : terms->announcement.hub_count;
}

/* What follows the entries. */
static size_t tail_bytes(enum mr_journal_phase phase, const struct mr_round_terms *terms)
{
    if (phase == MR_JOURNAL_ADMITTING) {
        return 0;
    }
    return commitment_count(phase, terms) * (size_t)MR_COMMITMENT_BYTES + FROZEN_BYTES +
           (phase == MR_JOURNAL_DONE ? MR_HASH_BYTES + (size_t)terms->layout.share_bytes : 0);
}

/* --- encoding -------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static uint8_t *put_entry(uint8_t *at, const struct mr_expansion *entry, size_t bytes)
{
    memcpy(at, entry->included.client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(at + MR_CLIENT_ID_BYTES, entry->included.attempt);
    if (bytes == ENTRY_BYTES) {
        uint8_t *rest = put(at + MR_INCLUDED_BYTES, entry->serial.bytes, MR_SERIAL_BYTES);
        rest = put(rest, entry->seed, MR_SEED_BYTES);
        put(rest, entry->sealed_hash, MR_HASH_BYTES);
    }
    return at + bytes;
}

static uint8_t *put_commitments(uint8_t *at, const struct mr_commitment *commitments,
                                unsigned count)
{
    for (unsigned i = 0; i < count; i++, at += MR_COMMITMENT_BYTES) {
        mr_commitment_encode(at, &commitments[i]);
    }
    return at;
}

static uint8_t *put_tail(uint8_t *at, const struct mr_journal_state *state)
{
    const bool done = state->phase == MR_JOURNAL_DONE;
    if (state->phase == MR_JOURNAL_ADMITTING) {
        return at;
    }
    at = put_commitments(at, state->commitments, commitment_count(state->phase, state->terms));
    at = put(at, state->nonce, MR_NONCE_BYTES);
    mr_be32_put(at, state->admitted);
    at = put(at + 4, state->admitted_root, MR_HASH_BYTES);
    if (done) {
        at = put(at, state->model_hash, MR_HASH_BYTES);
        at = put(at, state->result, (size_t)state->terms->layout.share_bytes);
    }
    return at;
}

static uint8_t *put_keys(uint8_t *at, const struct mr_journal_state *state)
{
    const bool admitting = state->phase == MR_JOURNAL_ADMITTING;
    at = put(at, state->seal->public_key, MR_HPKE_KEY_BYTES);
    if (admitting) {
        at = put(at, state->seal->private_key, MR_HPKE_KEY_BYTES);
        at = put(at, state->draw_value, MR_DRAW_VALUE_BYTES);
    }
    mr_be32_put(at, state->list_bytes);
    at += 4;
    if (state->list_bytes == 0) {
        return at;
    }
    at = put(at, state->list, state->list_bytes);
    return admitting ? at
                     : put(at, state->draw_values,
                           list_section(state->phase, state->terms, state->list_bytes) -
                               state->list_bytes);
}

uint8_t *mr_journal_state_encode(const struct mr_journal_state *state, size_t *length)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    const size_t canonical_bytes = mr_announcement_encode(canonical, &state->terms->announcement);
    const size_t each = entry_bytes(state->phase);
    *length = 1 + 2 + canonical_bytes + keys_bytes(state->phase) +
              list_section(state->phase, state->terms, state->list_bytes) + 4 +
              state->count * each + tail_bytes(state->phase, state->terms);
    uint8_t *bytes = mr_secret_new(*length);
    if (!bytes) {
        return NULL;
    }
    bytes[0] = (uint8_t)state->phase;
    mr_be16_put(bytes + 1, (uint16_t)canonical_bytes);
    uint8_t *at = put(bytes + 3, canonical, canonical_bytes);
    at = put_keys(at, state);
    mr_be32_put(at, state->count);
    at += 4;
    for (uint32_t i = 0; i < state->count; i++) {
        at = put_entry(at, &state->entries[i], each);
    }
    put_tail(at, state);
    return bytes;
}

size_t mr_journal_seed_encode(uint8_t out[MR_JOURNAL_SEED_BYTES], const struct mr_expansion *entry)
{
    out[0] = SEED_RECORD;
    put_entry(out + 1, entry, ENTRY_BYTES);
    return MR_JOURNAL_SEED_BYTES;
}

size_t mr_journal_opened_encode(uint8_t out[MR_JOURNAL_OPENED_BYTES],
                                const struct mr_commitment *commitments, unsigned count)
{
    out[0] = OPENED_RECORD;
    return (size_t)(put_commitments(out + 1, commitments, count) - out);
}

size_t mr_journal_list_encode(uint8_t *out, const uint8_t *list, uint32_t list_bytes)
{
    out[0] = LIST_RECORD;
    mr_be32_put(out + 1, list_bytes);
    return (size_t)(put(out + 5, list, list_bytes) - out);
}

/* --- parsing --------------------------------------------------------------------------------- */

static int grow(struct mr_journal_read *read, uint32_t capacity, struct mr_error *error)
{
    struct mr_expansion *entries = mr_secret_new(capacity * sizeof *entries);
    if (!entries) {
        return mr_error_set(error, "out of memory for %u entries", capacity);
    }
    if (read->entries) {
        memcpy(entries, read->entries, read->state.count * sizeof *entries);
        mr_secret_free(read->entries);
    }
    read->entries = entries;
    read->capacity = capacity;
    read->state.entries = entries;
    return 0;
}

static int add_entry(struct mr_journal_read *read, const uint8_t *at, size_t bytes,
                     struct mr_error *error)
{
    struct mr_journal_state *state = &read->state;
    if (state->count == read->capacity &&
        grow(read, read->capacity ? 2 * read->capacity : 64, error) != 0) {
        return -1;
    }
    struct mr_expansion *entry = &read->entries[state->count];
    memcpy(entry->included.client_id, at, MR_CLIENT_ID_BYTES);
    entry->included.attempt = mr_be32_get(at + MR_CLIENT_ID_BYTES);
    if (bytes == ENTRY_BYTES) {
        memcpy(entry->serial.bytes, at + MR_INCLUDED_BYTES, MR_SERIAL_BYTES);
        memcpy(entry->seed, at + MR_INCLUDED_BYTES + MR_SERIAL_BYTES, MR_SEED_BYTES);
        memcpy(entry->sealed_hash, at + ENTRY_BYTES - MR_HASH_BYTES, MR_HASH_BYTES);
    }
    if (entry->included.attempt >= MR_ATTEMPTS_MAX) {
        return mr_error_set(error, "an entry has an impossible attempt");
    }
    if (state->phase != MR_JOURNAL_ADMITTING && state->count &&
        memcmp(entry[-1].included.client_id, at, MR_CLIENT_ID_BYTES) >= 0) {
        return mr_error_set(error, "the set does not rise strictly");
    }
    state->count++;
    return 0;
}

static const uint8_t *get_commitments(struct mr_journal_state *state, const uint8_t *at,
                                      unsigned count)
{
    for (unsigned i = 0; i < count; i++, at += MR_COMMITMENT_BYTES) {
        mr_commitment_decode(&state->commitments[i], at);
    }
    return at;
}

static int parse_tail(struct mr_journal_read *read, const uint8_t *at, struct mr_error *error)
{
    struct mr_journal_state *state = &read->state;
    const size_t share_bytes = (size_t)read->terms.layout.share_bytes;
    const bool done = state->phase == MR_JOURNAL_DONE;
    if (state->phase == MR_JOURNAL_ADMITTING) {
        return 0;
    }
    at = get_commitments(state, at, commitment_count(state->phase, &read->terms));
    memcpy(state->nonce, at, MR_NONCE_BYTES);
    state->admitted = mr_be32_get(at + MR_NONCE_BYTES);
    memcpy(state->admitted_root, at + MR_NONCE_BYTES + 4, MR_HASH_BYTES);
    if (!done) {
        return 0;
    }
    memcpy(state->model_hash, at + FROZEN_BYTES, MR_HASH_BYTES);
    read->result = aligned_alloc(64, (share_bytes + 63) & ~(size_t)63);
    if (!read->result) {
        return mr_error_set(error, "out of memory for a result of %zu bytes", share_bytes);
    }
    memcpy(read->result, at + FROZEN_BYTES + MR_HASH_BYTES, share_bytes);
    state->result = read->result;
    return 0;
}

/* A list, and from FROZEN on the values behind it. */
static int take_list(struct mr_journal_read *read, const uint8_t *bytes, uint32_t list_bytes,
                     struct mr_error *error)
{
    const size_t length = list_section(read->state.phase, &read->terms, list_bytes);
    if (length == 0) {
        return 0;
    }
    read->list = malloc(length);
    if (!read->list) {
        return mr_error_set(error, "out of memory for a list of %zu bytes", length);
    }
    memcpy(read->list, bytes, length);
    read->state.list = read->list;
    read->state.list_bytes = list_bytes;
    read->state.draw_values = length > list_bytes ? read->list + list_bytes : NULL;
    return 0;
}

/* What put_keys wrote, of `left` bytes, which are enough but for the list. NULL: they are not. */
static const uint8_t *get_keys(struct mr_journal_read *read, const uint8_t *at, size_t left,
                               struct mr_error *error)
{
    const enum mr_journal_phase phase = read->state.phase;
    const size_t fixed = keys_bytes(phase);
    const uint32_t list_bytes = mr_be32_get(at + fixed - 4);
    const size_t section = list_section(phase, &read->terms, list_bytes);
    memcpy(read->seal.public_key, at, MR_HPKE_KEY_BYTES);
    if (phase == MR_JOURNAL_ADMITTING) {
        memcpy(read->seal.private_key, at + MR_HPKE_KEY_BYTES, MR_HPKE_KEY_BYTES);
        memcpy(read->draw_value, at + 2 * (size_t)MR_HPKE_KEY_BYTES, MR_DRAW_VALUE_BYTES);
    }
    read->state.seal = &read->seal;
    read->state.draw_value = read->draw_value;
    if (section > left - fixed) {
        mr_error_set(error, "the journal state is cut off in its list");
        return NULL;
    }
    return take_list(read, at + fixed, list_bytes, error) == 0 ? at + fixed + section : NULL;
}

static int parse(struct mr_journal_read *read, const uint8_t *bytes, size_t length,
                 struct mr_error *error)
{
    struct mr_journal_state *state = &read->state;
    if (length < 3 || bytes[0] < MR_JOURNAL_ADMITTING || bytes[0] > MR_JOURNAL_DONE) {
        return mr_error_set(error, "no journal state of this version");
    }
    const size_t canonical_bytes = mr_be16_get(bytes + 1);
    const enum mr_journal_phase phase = (enum mr_journal_phase)bytes[0];
    const size_t head = 3 + canonical_bytes + keys_bytes(phase) + 4;
    if (length < head) {
        return mr_error_set(error, "the journal state is cut off");
    }
    if (mr_round_terms_decode(&read->terms, bytes + 3, canonical_bytes, error) != 0) {
        return -1;
    }
    state->phase = phase;
    state->terms = &read->terms;
    const uint8_t *at =
        get_keys(read, bytes + 3 + canonical_bytes, length - 3 - canonical_bytes - 4, error);
    if (!at) {
        return -1;
    }
    const uint32_t count = mr_be32_get(at);
    const size_t each = entry_bytes(state->phase);
    const size_t left = length - head - list_section(phase, &read->terms, state->list_bytes);
    const size_t tail = tail_bytes(state->phase, &read->terms);
    at += 4;
    if (left < tail || left - tail != count * each) {
        return mr_error_set(error, "the journal state has another length than it says");
    }
    if (count && grow(read, count, error) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++, at += each) {
        if (add_entry(read, at, each, error) != 0) {
            return -1;
        }
    }
    return parse_tail(read, at, error);
}

int mr_journal_state_parse(struct mr_journal_read *read, const uint8_t *bytes, size_t length,
                           struct mr_error *error)
{
    *read = (struct mr_journal_read){.entries = NULL};
    if (parse(read, bytes, length, error) != 0) {
        mr_journal_read_fini(read);
        return -1;
    }
    return 0;
}

/* The bytes of the record that begins there; 0: none that belongs there does. */
static size_t record_bytes(const struct mr_journal_read *read, const uint8_t *bytes, size_t length)
{
    const enum mr_journal_phase phase = read->state.phase;
    switch (bytes[0]) {
    case SEED_RECORD:
        return phase == MR_JOURNAL_ADMITTING ? MR_JOURNAL_SEED_BYTES : 0;
    case OPENED_RECORD:
        return phase == MR_JOURNAL_FROZEN
                   ? 1 + read->terms.announcement.hub_count * (size_t)MR_COMMITMENT_BYTES
                   : 0;
    case LIST_RECORD:
        return phase == MR_JOURNAL_ADMITTING && !read->list && length > 5
                   ? MR_JOURNAL_LIST_BYTES(mr_be32_get(bytes + 1))
                   : 0;
    default:
        return 0;
    }
}

int mr_journal_records_parse(struct mr_journal_read *read, const uint8_t *bytes, size_t length,
                             struct mr_error *error)
{
    struct mr_journal_state *state = &read->state;
    while (length) {
        const size_t used = record_bytes(read, bytes, length);
        if (used == 0 || used > length) {
            return mr_error_set(error, "a record of kind %u does not belong there", bytes[0]);
        }
        if ((bytes[0] == SEED_RECORD && add_entry(read, bytes + 1, ENTRY_BYTES, error) != 0) ||
            (bytes[0] == LIST_RECORD &&
             take_list(read, bytes + 5, (uint32_t)(used - 5), error) != 0)) {
            return -1;
        }
        if (bytes[0] == OPENED_RECORD) {
            get_commitments(state, bytes + 1, read->terms.announcement.hub_count);
            state->phase = MR_JOURNAL_OPENED;
        }
        bytes += used;
        length -= used;
    }
    return 0;
}

void mr_journal_read_fini(struct mr_journal_read *read)
{
    mr_secret_free(read->entries);
    if (read->result) {
        OPENSSL_cleanse(read->result, (size_t)read->terms.layout.share_bytes);
    }
    free(read->result);
    free(read->list);
    OPENSSL_cleanse(read, sizeof *read);
}
