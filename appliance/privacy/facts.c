#include "appliance/privacy/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define HEAD_BYTES 13

/* --- batches --------------------------------------------------------------------------------- */

/* Room for a record's body at the batch's end. */
static uint8_t *add(struct mr_facts_batch *batch, enum mr_evidence_kind kind, uint64_t round,
                    size_t body_bytes)
{
    const size_t more = HEAD_BYTES + body_bytes;
    if (batch->length + more > batch->capacity) {
        batch->capacity = 2 * batch->capacity + more + 512;
        batch->bytes = realloc(batch->bytes, batch->capacity);
        MR_ASSERT(batch->bytes);
    }
    uint8_t *at = batch->bytes + batch->length;
    at[0] = (uint8_t)kind;
    mr_be64_put(at + 1, round);
    mr_be32_put(at + 9, (uint32_t)body_bytes);
    batch->length += more;
    return at + HEAD_BYTES;
}

void mr_facts_add(struct mr_facts_batch *batch, enum mr_evidence_kind kind, const uint8_t *body,
                  size_t body_bytes)
{
    memcpy(add(batch, kind, 0, body_bytes), body, body_bytes);
}

void mr_facts_batch_fini(struct mr_facts_batch *batch)
{
    free(batch->bytes);
    *batch = (struct mr_facts_batch){.bytes = NULL};
}

bool mr_facts_batch_next(const struct mr_facts_batch *batch, size_t *at,
                         struct mr_evidence_record *record)
{
    if (*at == batch->length) {
        return false;
    }
    const uint8_t *start = batch->bytes + *at;
    record->kind = (enum mr_evidence_kind)start[0];
    record->round = mr_be64_get(start + 1);
    record->body_bytes = mr_be32_get(start + 9);
    record->body = start + HEAD_BYTES;
    *at += HEAD_BYTES + record->body_bytes;
    return true;
}

/* --- records --------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static uint64_t round_of(const struct mr_round_facts *facts)
{
    return facts->terms->announcement.round;
}

static uint16_t hub_at(const struct mr_round_facts *facts, unsigned position)
{
    return facts->terms->announcement.hubs[position].index;
}

static uint8_t *put_model_signatures(uint8_t *at, const struct mr_round_facts *facts)
{
    uint8_t *count = at++;
    *count = 0;
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (facts->model_signatures[i]) {
            mr_be16_put(at, hub_at(facts, i));
            at = put(at + 2, facts->model_signatures[i], MR_SIGNATURE_BYTES);
            *count += 1;
        }
    }
    return at;
}

static unsigned count_known(const void *const *list)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        count += list[i] ? 1 : 0;
    }
    return count;
}

static unsigned signatures_known(const struct mr_round_facts *facts)
{
    return count_known((const void *const *)facts->signatures);
}

static void add_announced(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    const size_t length = mr_announcement_encode(canonical, &facts->terms->announcement);
    memcpy(add(batch, MR_EVIDENCE_ANNOUNCED, round_of(facts), length), canonical, length);
}

static void add_signed(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const unsigned count = signatures_known(facts);
    uint8_t *at = add(batch, MR_EVIDENCE_SIGNED, round_of(facts),
                      1 + (size_t)count * (2 + MR_SEAL_KEY_BYTES + MR_SIGNATURE_BYTES));
    *at++ = (uint8_t)count;
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (facts->signatures[i]) {
            mr_be16_put(at, hub_at(facts, i));
            at = put(at + 2, facts->signatures[i]->seal_key, MR_SEAL_KEY_BYTES);
            at = put(at, facts->signatures[i]->bytes, MR_SIGNATURE_BYTES);
        }
    }
}

static void add_listed(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    uint8_t *at =
        add(batch, MR_EVIDENCE_LISTED, round_of(facts), MR_HASH_BYTES + facts->list_bytes);
    put(put(at, facts->terms->hash, MR_HASH_BYTES), facts->list, facts->list_bytes);
}

static void add_drawn(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const size_t bytes = facts->terms->announcement.hub_count * (size_t)MR_DRAW_VALUE_BYTES;
    uint8_t *at = add(batch, MR_EVIDENCE_DRAWN, round_of(facts), MR_HASH_BYTES + bytes);
    put(put(at, facts->terms->hash, MR_HASH_BYTES), facts->draw_values, bytes);
}

static void add_admitted(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    uint8_t *at =
        add(batch, MR_EVIDENCE_ADMITTED, round_of(facts), MR_HASH_BYTES + 4 + MR_HASH_BYTES);
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    mr_be32_put(at, facts->admitted);
    memcpy(at + 4, facts->admitted_root, MR_HASH_BYTES);
}

static void add_set(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const size_t set_bytes = 4 + (size_t)facts->included_count * MR_INCLUDED_BYTES;
    uint8_t *at = add(batch, MR_EVIDENCE_SET, round_of(facts), MR_HASH_BYTES + set_bytes);
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    mr_included_encode(at, facts->included, facts->included_count);
}

static void add_commitment(struct mr_facts_batch *batch, const struct mr_round_facts *facts,
                           unsigned position)
{
    uint8_t *at =
        add(batch, MR_EVIDENCE_COMMITTED, round_of(facts), MR_HASH_BYTES + MR_COMMITMENT_BYTES);
    mr_commitment_encode(put(at, facts->terms->hash, MR_HASH_BYTES), &facts->commitments[position]);
}

static void add_debit(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const struct mr_facts_debit *debit = facts->debit;
    uint8_t *at =
        add(batch, MR_EVIDENCE_DEBITED, round_of(facts), MR_HASH_BYTES + MR_EVIDENCE_DEBITED_BYTES);
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    at = put(at, facts->set_hash, MR_HASH_BYTES);
    mr_be64_put(at, debit->rho);
    mr_be64_put(at + 8, debit->records);
    at = put(at + 16, debit->head, MR_HASH_BYTES);
    memcpy(at, debit->noise_hash, MR_HASH_BYTES);
}

static void add_opening(struct mr_facts_batch *batch, const struct mr_round_facts *facts,
                        unsigned position)
{
    const struct mr_opening_seal *seal = &facts->openings[position];
    uint8_t *at = add(batch, MR_EVIDENCE_OPENED, round_of(facts),
                      MR_HASH_BYTES + 2 + MR_NONCE_BYTES + MR_HASH_BYTES);
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    mr_be16_put(at, hub_at(facts, position));
    at = put(at + 2, seal->nonce, MR_NONCE_BYTES);
    memcpy(at, seal->result_hash, MR_HASH_BYTES);
}

static void add_model(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const size_t count = count_known((const void *const *)facts->model_signatures);
    uint8_t *at = add(batch, MR_EVIDENCE_MODEL, round_of(facts),
                      3 * (size_t)MR_HASH_BYTES + 1 + count * (2 + MR_SIGNATURE_BYTES));
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    at = put(at, facts->set_hash, MR_HASH_BYTES);
    at = put(at, facts->model_hash, MR_HASH_BYTES);
    put_model_signatures(at, facts);
}

static void add_void(struct mr_facts_batch *batch, const struct mr_round_facts *facts)
{
    const size_t length = strlen(facts->reason);
    const size_t order = facts->void_signature ? MR_SIGNATURE_BYTES : 0;
    uint8_t *at = add(batch, MR_EVIDENCE_VOID, round_of(facts), MR_HASH_BYTES + 2 + order + length);
    at = put(at, facts->terms->hash, MR_HASH_BYTES);
    *at++ = facts->opened;
    *at++ = order > 0;
    if (order > 0) {
        at = put(at, facts->void_signature, order);
    }
    memcpy(at, facts->reason, length);
}

/* --- what is new ----------------------------------------------------------------------------- */

/* Whether it is known and was not noted before; it is now. */
static bool is_new(struct mr_facts_noted *noted, enum mr_evidence_kind kind, bool known)
{
    const bool fresh = known && (noted->kinds & 1u << kind) == 0;
    noted->kinds |= known ? 1u << kind : 0;
    return fresh;
}

/* A debit stands before the opening that it is for. */
static void collect_each(struct mr_facts_batch *batch, struct mr_facts_noted *noted,
                         const struct mr_round_facts *facts)
{
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (facts->commitments_known & ~noted->commitments & 1u << i) {
            add_commitment(batch, facts, i);
        }
    }
    if (is_new(noted, MR_EVIDENCE_DEBITED, facts->debit != NULL)) {
        add_debit(batch, facts);
    }
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (facts->openings_known & ~noted->openings & 1u << i) {
            add_opening(batch, facts, i);
        }
    }
    noted->commitments |= facts->commitments_known;
    noted->openings |= facts->openings_known;
}

bool mr_facts_collect(struct mr_facts_batch *batch, struct mr_facts_noted *noted,
                      const struct mr_round_facts *facts)
{
    const size_t before = batch->length;
    if (!facts->terms) {
        return false;
    }
    if (noted->round != round_of(facts) ||
        memcmp(noted->hash, facts->terms->hash, MR_HASH_BYTES) != 0) {
        *noted = (struct mr_facts_noted){.round = round_of(facts)};
        memcpy(noted->hash, facts->terms->hash, MR_HASH_BYTES);
    }
    if (is_new(noted, MR_EVIDENCE_ANNOUNCED, true)) {
        add_announced(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_SIGNED, signatures_known(facts) > 0)) {
        add_signed(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_LISTED, facts->list != NULL)) {
        add_listed(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_DRAWN, facts->draw_values != NULL)) {
        add_drawn(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_ADMITTED, facts->admitted_root != NULL)) {
        add_admitted(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_SET, facts->included != NULL)) {
        add_set(batch, facts);
    }
    collect_each(batch, noted, facts);
    if (is_new(noted, MR_EVIDENCE_MODEL, facts->end == MR_FACTS_MODEL)) {
        add_model(batch, facts);
    }
    if (is_new(noted, MR_EVIDENCE_VOID, facts->end == MR_FACTS_VOID)) {
        add_void(batch, facts);
    }
    return batch->length > before;
}
