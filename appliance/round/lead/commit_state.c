#include "appliance/round/lead/commit_state.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/messages.h"

#define NONCE_AT     32
#define KEYS_AT      (NONCE_AT + MR_NONCE_BYTES)
#define HEADER_BYTES (KEYS_AT + (MR_HUBS_MAX - 1) * MR_RECEIPT_KEY_BYTES)
#define SERIAL_AT    (MR_INCLUDED_BYTES + 8)
#define ENTRY_BYTES  (SERIAL_AT + MR_SERIAL_BYTES)

static void le32_put(uint8_t *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, sizeof v);
}

static void le64_put(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof v);
}

static uint32_t le32_get(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return le32toh(v);
}

static uint64_t le64_get(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return le64toh(v);
}

#define DRAW_HUB_BYTES (MR_DRAW_PLEDGE_BYTES + MR_DRAW_VALUE_BYTES)

static size_t draw_bytes(const struct mr_commit_state *state)
{
    const struct mr_commit_draw *draw = state->draw;
    return draw ? state->hub_count * (size_t)DRAW_HUB_BYTES + 8 +
                      (size_t)draw->count * MR_CLIENT_ID_BYTES
                : 0;
}

size_t mr_commit_state_bytes(const struct mr_commit_state *state)
{
    return HEADER_BYTES + state->envelope_bytes + draw_bytes(state) +
           (size_t)state->included_count * ENTRY_BYTES + (size_t)state->share_bytes;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static uint8_t *put_draw(uint8_t *at, const struct mr_commit_state *state)
{
    const struct mr_commit_draw *draw = state->draw;
    if (!draw) {
        return at;
    }
    for (unsigned i = 0; i < state->hub_count; i++) {
        at = put(at, draw->pledges[i].hash, MR_HASH_BYTES);
        at = put(at, draw->pledges[i].signature, MR_SIGNATURE_BYTES);
        at = put(at, draw->values[i], MR_DRAW_VALUE_BYTES);
    }
    mr_be32_put(at, draw->known);
    mr_be32_put(at + 4, draw->count);
    return draw->count ? put(at + 8, draw->clients, (size_t)draw->count * MR_CLIENT_ID_BYTES)
                       : at + 8;
}

void mr_commit_state_encode(uint8_t *out, const struct mr_commit_state *state)
{
    le32_put(out, state->phase);
    le32_put(out + 4, state->quorum);
    le32_put(out + 8, state->deadline_ms);
    le32_put(out + 12, state->envelope_bytes);
    le32_put(out + 16, state->included_count);
    le32_put(out + 20, state->draw_ms);
    le64_put(out + 24, state->share_bytes);
    memcpy(out + NONCE_AT, state->nonce, MR_NONCE_BYTES);
    memcpy(out + KEYS_AT, state->receipt_keys, sizeof state->receipt_keys);
    uint8_t *at = out + HEADER_BYTES;
    at = put_draw(put(at, state->envelope, state->envelope_bytes), state);
    for (uint32_t i = 0; i < state->included_count; i++, at += ENTRY_BYTES) {
        memcpy(at, state->included[i].client_id, MR_CLIENT_ID_BYTES);
        mr_be32_put(at + MR_CLIENT_ID_BYTES, state->included[i].attempt);
        mr_be64_put(at + MR_INCLUDED_BYTES, state->upload_ids[i]);
        memcpy(at + SERIAL_AT, state->serials[i].bytes, MR_SERIAL_BYTES);
    }
    if (state->share_bytes) {
        memcpy(at, state->sum, (size_t)state->share_bytes);
    }
}

/* --- parsing --------------------------------------------------------------------------------- */

static int parse_header(struct mr_commit_state *state, const uint8_t *bytes, size_t length,
                        struct mr_error *error)
{
    if (length < HEADER_BYTES) {
        return mr_error_set(error, "the commit state is cut off");
    }
    *state = (struct mr_commit_state){
        .phase = (enum mr_commit_phase)le32_get(bytes),
        .quorum = le32_get(bytes + 4),
        .deadline_ms = le32_get(bytes + 8),
        .envelope = bytes + HEADER_BYTES,
        .envelope_bytes = le32_get(bytes + 12),
        .included_count = le32_get(bytes + 16),
        .draw_ms = le32_get(bytes + 20),
        .share_bytes = le64_get(bytes + 24),
    };
    memcpy(state->nonce, bytes + NONCE_AT, MR_NONCE_BYTES);
    memcpy(state->receipt_keys, bytes + KEYS_AT, sizeof state->receipt_keys);
    if (state->phase < MR_COMMIT_PROPOSED || state->phase > MR_COMMIT_FROZEN ||
        state->share_bytes > length || mr_commit_state_bytes(state) > length) {
        return mr_error_set(error, "the header does not fit the commit state");
    }
    return 0;
}

/* The terms, and from OPEN on every signature of them. */
static int parse_terms(struct mr_commit_read *read, struct mr_error *error)
{
    const struct mr_commit_state *state = &read->state;
    const uint8_t *envelope = state->envelope;
    if (state->phase != MR_COMMIT_PROPOSED) {
        return mr_announcement_open(&read->terms, envelope, state->envelope_bytes, error);
    }
    if (state->envelope_bytes < 2 || mr_be16_get(envelope) != state->envelope_bytes - 2) {
        return mr_error_set(error, "the terms have another length than they say");
    }
    return mr_round_terms_decode(&read->terms, envelope + 2, state->envelope_bytes - 2, error);
}

static int check_list(const struct mr_commit_draw *draw, const struct mr_announcement *announcement,
                      struct mr_error *error)
{
    const unsigned all = (1u << announcement->hub_count) - 1;
    if (draw->count > mr_announcement_admits(announcement) || (draw->known & ~all) != 0) {
        return mr_error_set(error, "the draw does not fit the terms");
    }
    for (uint32_t i = 1; i < draw->count; i++) {
        if (memcmp(draw->clients[i - 1], draw->clients[i], MR_CLIENT_ID_BYTES) >= 0) {
            return mr_error_set(error, "the list to draw from does not rise strictly");
        }
    }
    return 0;
}

/* `left` bytes from `at` on: what put_draw wrote, and the rest. */
static int get_draw(struct mr_commit_read *read, const uint8_t *at, size_t left,
                    struct mr_error *error)
{
    struct mr_commit_draw *draw = &read->draw;
    const unsigned hubs = read->terms.announcement.hub_count;
    for (unsigned i = 0; i < hubs; i++, at += DRAW_HUB_BYTES) {
        memcpy(draw->pledges[i].hash, at, MR_HASH_BYTES);
        memcpy(draw->pledges[i].signature, at + MR_HASH_BYTES, MR_SIGNATURE_BYTES);
        memcpy(draw->values[i], at + MR_DRAW_PLEDGE_BYTES, MR_DRAW_VALUE_BYTES);
    }
    draw->known = mr_be32_get(at);
    const size_t clients_bytes = (size_t)mr_be32_get(at + 4) * MR_CLIENT_ID_BYTES;
    if (clients_bytes > left - hubs * (size_t)DRAW_HUB_BYTES - 8) {
        return mr_error_set(error, "the list to draw from is cut off");
    }
    draw->count = mr_be32_get(at + 4);
    draw->clients = draw->count ? malloc(clients_bytes) : NULL;
    if (draw->count && !draw->clients) {
        return mr_error_set(error, "out of memory for a list of %u devices", draw->count);
    }
    if (draw->count) {
        memcpy(draw->clients, at + 8, clients_bytes);
    }
    return check_list(draw, &read->terms.announcement, error);
}

static int parse_draw(struct mr_commit_read *read, size_t length, struct mr_error *error)
{
    struct mr_commit_state *state = &read->state;
    const struct mr_announcement *announcement = &read->terms.announcement;
    const size_t before = HEADER_BYTES + (size_t)state->envelope_bytes;
    if (mr_announcement_draws(announcement) && state->phase != MR_COMMIT_PROPOSED) {
        state->draw = &read->draw;
        state->hub_count = announcement->hub_count;
        if (mr_commit_state_bytes(state) > length) {
            return mr_error_set(error, "the commit state is cut off in its draw");
        }
        if (get_draw(read, state->envelope + state->envelope_bytes, length - before, error) != 0) {
            return -1;
        }
    }
    return mr_commit_state_bytes(state) == length
               ? 0
               : mr_error_set(error, "the header does not fit the commit state");
}

static int compare_clients(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES);
}

/* Identities are distinct: in a sorted copy no two neighbours are equal. */
static int check_distinct(const struct mr_commit_read *read, struct mr_error *error)
{
    const uint32_t count = read->state.included_count;
    struct mr_included *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    bool twice = false;
    if (!sorted) {
        return mr_error_set(error, "out of memory for %u entries", count);
    }
    memcpy(sorted, read->included, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_clients);
    for (uint32_t i = 1; i < count; i++) {
        twice |= compare_clients(&sorted[i - 1], &sorted[i]) == 0;
    }
    free(sorted);
    return twice ? mr_error_set(error, "a device is included twice") : 0;
}

static int parse_entries(struct mr_commit_read *read, struct mr_error *error)
{
    struct mr_commit_state *state = &read->state;
    const uint32_t count = state->included_count;
    const uint8_t *at = state->envelope + state->envelope_bytes + draw_bytes(state);
    const uint64_t share_bytes = count ? read->terms.layout.share_bytes : 0;
    if (count > read->terms.announcement.cohort_max || state->share_bytes != share_bytes) {
        return mr_error_set(error, "set or sum do not fit the terms");
    }
    read->included = malloc(((size_t)count + 1) * sizeof *read->included);
    read->upload_ids = malloc(((size_t)count + 1) * sizeof *read->upload_ids);
    read->serials = malloc(((size_t)count + 1) * sizeof *read->serials);
    if (!read->included || !read->upload_ids || !read->serials) {
        return mr_error_set(error, "out of memory for %u entries", count);
    }
    for (uint32_t i = 0; i < count; i++, at += ENTRY_BYTES) {
        memcpy(read->included[i].client_id, at, MR_CLIENT_ID_BYTES);
        read->included[i].attempt = mr_be32_get(at + MR_CLIENT_ID_BYTES);
        read->upload_ids[i] = mr_be64_get(at + MR_INCLUDED_BYTES);
        memcpy(read->serials[i].bytes, at + SERIAL_AT, MR_SERIAL_BYTES);
        if (read->included[i].attempt >= MR_ATTEMPTS_MAX) {
            return mr_error_set(error, "entry %u has an impossible attempt", i);
        }
    }
    state->included = read->included;
    state->upload_ids = read->upload_ids;
    state->serials = read->serials;
    state->sum = count ? at : NULL;
    return check_distinct(read, error);
}

int mr_commit_state_parse(struct mr_commit_read *read, const uint8_t *bytes, size_t length,
                          struct mr_error *error)
{
    *read = (struct mr_commit_read){.bytes = NULL};
    if (parse_header(&read->state, bytes, length, error) != 0 || parse_terms(read, error) != 0 ||
        parse_draw(read, length, error) != 0 || parse_entries(read, error) != 0) {
        mr_commit_read_fini(read);
        return -1;
    }
    return 0;
}

void mr_commit_read_fini(struct mr_commit_read *read)
{
    free(read->included);
    free(read->upload_ids);
    free(read->serials);
    free(read->bytes);
    free(read->draw.clients);
    OPENSSL_cleanse(&read->draw, sizeof read->draw);
    *read = (struct mr_commit_read){.bytes = NULL};
}
