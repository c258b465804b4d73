/* audit_round.c - what each record says, and whether it may say it at that place. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "base/bytes.h"

/* A record being read: the round it belongs to, and what is left of its body. */
struct reading {
    struct audit *audit;
    const struct audit_chain *chain;
    const struct audit_record *record;
    struct audit_round *round;
    const uint8_t *at;
    size_t left;
};

#define WRONG(reading, ...)                                                                        \
    mr_audit_wrong((reading)->audit, (reading)->chain, (reading)->record, __VA_ARGS__)

static const struct mr_announcement *terms_of(const struct reading *reading)
{
    return &reading->round->terms.announcement;
}

static int cut_off(const struct reading *reading)
{
    return WRONG(reading, "a record of kind %s has another length than it should",
                 mr_evidence_kind_name(reading->record->at.kind));
}

/* The next bytes of the body; NULL: there are not so many. */
static const uint8_t *take(struct reading *reading, size_t bytes)
{
    const uint8_t *at = reading->at;
    if (reading->left < bytes) {
        return NULL;
    }
    reading->at += bytes;
    reading->left -= bytes;
    return at;
}

/* The place of a hub in the round's list, or -1 with what is wrong. */
static int position_of(const struct reading *reading, uint16_t hub)
{
    const struct mr_announcement *announcement = terms_of(reading);
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (announcement->hubs[i].index == hub) {
            return (int)i;
        }
    }
    return WRONG(reading, "hub %u is none of the round's", hub);
}

/* --- announced, signed ----------------------------------------------------------------------- */

static int check_hubs(const struct reading *reading)
{
    const struct mr_announcement *announcement = terms_of(reading);
    bool in_list = false;
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        const struct mr_announced_hub *hub = &announcement->hubs[i];
        const uint8_t *key = mr_audit_key_of(reading->audit, hub->index);
        if (key && memcmp(key, hub->public_key, MR_PUBLIC_KEY_BYTES) != 0) {
            return WRONG(reading, "the terms name another key of hub %u", hub->index);
        }
        in_list = in_list || hub->index == reading->chain->owner.hub;
    }
    return in_list ? 0
                   : WRONG(reading, "hub %u signed terms of which it is no hub",
                           reading->chain->owner.hub);
}

static struct audit_round *add_round(struct audit *audit, struct audit_chain *chain)
{
    if (chain->rounds_count == chain->rounds_room) {
        const size_t room = 2 * chain->rounds_room + 16;
        struct audit_round **rounds = realloc(chain->rounds, room * sizeof(void *));
        if (!rounds) {
            mr_audit_no_memory(audit);
            return NULL;
        }
        chain->rounds = rounds;
        chain->rounds_room = room;
    }
    struct audit_round *round = calloc(1, sizeof *round);
    if (!round) {
        mr_audit_no_memory(audit);
        return NULL;
    }
    chain->rounds[chain->rounds_count++] = round;
    return round;
}

static int read_announced(struct reading *reading, struct audit_chain *chain)
{
    struct mr_round_terms terms;
    struct mr_error why;
    if (mr_round_terms_decode(&terms, reading->at, reading->left, &why) != 0) {
        return WRONG(reading, "no announcement: %.200s", why.text);
    }
    const uint64_t number = terms.announcement.round;
    if (number != reading->record->at.round ||
        strcmp(terms.announcement.task, chain->owner.task) != 0) {
        return WRONG(reading, "the announcement is of round %llu of task %s",
                     (unsigned long long)number, terms.announcement.task);
    }
    const struct audit_round *last = reading->round;
    if (last && number < last->round) {
        return WRONG(reading, "hub %u signed round %llu after round %llu", chain->owner.hub,
                     (unsigned long long)number, (unsigned long long)last->round);
    }
    if (last && number == last->round) {
        return memcmp(last->terms.hash, terms.hash, MR_HASH_BYTES) == 0
                   ? 0
                   : WRONG(reading, "hub %u signed two announcements of round %llu",
                           chain->owner.hub, (unsigned long long)number);
    }
    struct audit_round *round = add_round(reading->audit, chain);
    if (!round) {
        return -1;
    }
    reading->round = round;
    round->round = number;
    round->terms = terms;
    round->announced = reading->record;
    return check_hubs(reading);
}

/* A list of signatures to the body's end, each `more` bytes behind its hub's index. `verify` says
 * whether one holds. */
typedef int (*verify_fn)(const struct reading *reading, const uint8_t *entry, unsigned position);

static int read_signatures(struct reading *reading, size_t more, verify_fn verify,
                           unsigned *signed_by)
{
    const size_t each = 2 + more + MR_SIGNATURE_BYTES;
    const uint8_t *count = take(reading, 1);
    if (!count || reading->left != *count * each) {
        return cut_off(reading);
    }
    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *entry = take(reading, each);
        const uint16_t hub = mr_be16_get(entry);
        const int position = position_of(reading, hub);
        if (position < 0) {
            return -1;
        }
        if (verify(reading, entry + 2, (unsigned)position) != 0) {
            return WRONG(reading, "a signature that hub %u has on record as hub %u's does not hold",
                         reading->chain->owner.hub, hub);
        }
        *signed_by |= 1u << position;
    }
    return 0;
}

/* The lead has no seal key, and its signature covers none. */
static int verify_announcement(const struct reading *reading, const uint8_t *entry,
                               unsigned position)
{
    return mr_announcement_verify(entry + MR_SEAL_KEY_BYTES, reading->round->terms.hash,
                                  position == 0 ? NULL : entry,
                                  terms_of(reading)->hubs[position].public_key);
}

static int read_signed(struct reading *reading)
{
    unsigned signed_by = 0;
    return read_signatures(reading, MR_SEAL_KEY_BYTES, verify_announcement, &signed_by);
}

/* --- admitted, set --------------------------------------------------------------------------- */

static int read_admitted(struct reading *reading)
{
    const uint8_t *body = take(reading, 4 + MR_HASH_BYTES);
    if (!body || reading->left != 0) {
        return cut_off(reading);
    }
    if (reading->round->admitted) {
        return WRONG(reading, "hub %u has on record twice whom it admitted",
                     reading->chain->owner.hub);
    }
    reading->round->admitted = reading->record;
    reading->round->admitted_seeds = mr_be32_get(body);
    return 0;
}

static int check_set(const struct reading *reading)
{
    const struct audit_round *round = reading->round;
    const struct mr_announcement *announcement = terms_of(reading);
    if (round->set_count < announcement->cohort_min ||
        round->set_count > announcement->cohort_max) {
        return WRONG(reading, "the set has %u devices, %u to %u were agreed on", round->set_count,
                     announcement->cohort_min, announcement->cohort_max);
    }
    return !round->admitted || round->set_count <= round->admitted_seeds
               ? 0
               : WRONG(reading, "the set has %u devices, but hub %u had admitted %u",
                       round->set_count, reading->chain->owner.hub, round->admitted_seeds);
}

static int read_set(struct reading *reading)
{
    struct audit_round *round = reading->round;
    uint8_t hash[MR_HASH_BYTES];
    uint32_t count = 0;
    size_t used = 0;
    struct mr_error why;
    const uint32_t room = (uint32_t)(reading->left / MR_INCLUDED_BYTES + 1);
    struct mr_included *set = malloc((size_t)room * sizeof *set);
    if (!set) {
        return mr_audit_no_memory(reading->audit);
    }
    const bool good =
        mr_included_decode(set, room, &count, reading->at, reading->left, &used, &why) == 0 &&
        used == reading->left && mr_included_hash(hash, round->terms.hash, set, count) == 0;
    if (!good || round->counted) {
        const bool same = good && memcmp(hash, round->set_hash, MR_HASH_BYTES) == 0;
        free(set);
        return !good  ? cut_off(reading)
               : same ? 0
                      : WRONG(reading, "hub %u took two sets in round %llu",
                              reading->chain->owner.hub, (unsigned long long)round->round);
    }
    round->set = set;
    round->set_count = count;
    memcpy(round->set_hash, hash, MR_HASH_BYTES);
    round->counted = reading->record;
    return check_set(reading) != 0
               ? -1
               : mr_audit_set_drawn(reading->audit, reading->chain, round, reading->record);
}

/* --- committed, opened ----------------------------------------------------------------------- */

static int read_committed(struct reading *reading)
{
    struct audit_round *round = reading->round;
    struct mr_commitment commitment;
    const uint8_t *body = take(reading, MR_COMMITMENT_BYTES);
    if (!body || reading->left != 0) {
        return cut_off(reading);
    }
    mr_commitment_decode(&commitment, body);
    const int position = position_of(reading, commitment.hub_index);
    if (position < 0) {
        return -1;
    }
    if (mr_commitment_verify(&commitment, round->terms.hash,
                             terms_of(reading)->hubs[position].public_key) != 0) {
        return WRONG(reading,
                     "a commitment that hub %u has on record as hub %u's is not signed by it",
                     reading->chain->owner.hub, commitment.hub_index);
    }
    if (!round->counted) {
        return WRONG(reading, "a commitment before the set");
    }
    if (!mr_commitment_fits(&commitment, terms_of(reading))) {
        return WRONG(reading,
                     "hub %u signed a commitment %s a root of what it counted, and "
                     "audit_hours is %u",
                     commitment.hub_index, terms_of(reading)->audit_hours ? "without" : "with",
                     terms_of(reading)->audit_hours);
    }
    const bool again = round->committed[position];
    if (again && !mr_commitment_same(&round->commitments[position], &commitment)) {
        (void)WRONG(reading, "hub %u signed two commitments in round %llu", commitment.hub_index,
                    (unsigned long long)round->round);
        reading->audit->result->hub = commitment.hub_index;
        return -1;
    }
    round->commitments[position] = commitment;
    round->committed[position] = reading->record;
    return 0;
}

/* Behind the set and before the own opening; what is said again after a restart is the same. */
static int read_debited(struct reading *reading)
{
    struct audit_round *round = reading->round;
    const uint16_t own = reading->chain->owner.hub;
    const uint8_t *body = take(reading, MR_EVIDENCE_DEBITED_BYTES);
    if (!body || reading->left != 0) {
        return cut_off(reading);
    }
    const uint64_t rho = mr_be64_get(body + MR_HASH_BYTES);
    const uint8_t *ledger = body + MR_HASH_BYTES + 8, *noise = ledger + 8 + MR_HASH_BYTES;
    if (!round->counted || memcmp(body, round->set_hash, MR_HASH_BYTES) != 0) {
        return WRONG(reading, "a debit for another set than the round's");
    }
    if (rho != terms_of(reading)->privacy.rho) {
        return WRONG(reading, "hub %u debited %llu, the round costs %llu", own,
                     (unsigned long long)rho, (unsigned long long)terms_of(reading)->privacy.rho);
    }
    if (round->debited && memcmp(noise, round->noise_hash, MR_HASH_BYTES) != 0) {
        return WRONG(reading, "hub %u drew its noise of round %llu twice", own,
                     (unsigned long long)round->round);
    }
    round->debited = reading->record;
    round->ledger_records = mr_be64_get(ledger);
    memcpy(round->ledger_head, ledger + 8, MR_HASH_BYTES);
    memcpy(round->noise_hash, noise, MR_HASH_BYTES);
    return 0;
}

static int read_opened(struct reading *reading)
{
    struct audit_round *round = reading->round;
    struct mr_opening_seal seal;
    uint8_t value[MR_HASH_BYTES];
    const uint8_t *body = take(reading, 2 + MR_NONCE_BYTES + MR_HASH_BYTES);
    if (!body || reading->left != 0) {
        return cut_off(reading);
    }
    const uint16_t hub = mr_be16_get(body);
    const int position = position_of(reading, hub);
    if (position < 0) {
        return -1;
    }
    for (unsigned i = 0; i < terms_of(reading)->hub_count; i++) {
        if (!round->committed[i]) {
            return WRONG(reading, "hub %u opened, or took an opening, before hub %u had committed",
                         reading->chain->owner.hub, terms_of(reading)->hubs[i].index);
        }
    }
    if (hub == reading->chain->owner.hub && !round->debited &&
        terms_of(reading)->noise_kind != MR_NOISE_NONE) {
        return WRONG(reading, "hub %u opened before it had debited the devices", hub);
    }
    memcpy(seal.nonce, body + 2, MR_NONCE_BYTES);
    memcpy(seal.result_hash, body + 2 + MR_NONCE_BYTES, MR_HASH_BYTES);
    if (mr_commitment_of_seal(value, round->terms.hash, round->set_hash, hub, &seal) != 0 ||
        memcmp(value, round->commitments[position].value, MR_HASH_BYTES) != 0) {
        return WRONG(reading,
                     "the opening that hub %u has on record as hub %u's is not what hub %u "
                     "committed to",
                     reading->chain->owner.hub, hub, hub);
    }
    round->seals[position] = seal;
    round->opened[position] = reading->record;
    round->was_opened = true;
    return 0;
}

/* --- ends ------------------------------------------------------------------------------------ */

static int verify_model(const struct reading *reading, const uint8_t *entry, unsigned position)
{
    const uint8_t *set_hash = reading->record->at.body + MR_HASH_BYTES;
    return mr_model_verify(entry, reading->round->terms.hash, set_hash, set_hash + MR_HASH_BYTES,
                           terms_of(reading)->hubs[position].public_key);
}

static int read_model(struct reading *reading)
{
    struct audit_round *round = reading->round;
    const uint8_t *hashes = take(reading, 2 * (size_t)MR_HASH_BYTES);
    if (!hashes) {
        return cut_off(reading);
    }
    if (round->voided) {
        return WRONG(reading, "hub %u has a model of round %llu on record, which it had given up",
                     reading->chain->owner.hub, (unsigned long long)round->round);
    }
    for (unsigned i = 0; i < terms_of(reading)->hub_count; i++) {
        if (!round->opened[i]) {
            return WRONG(reading, "a model without the opening of hub %u",
                         terms_of(reading)->hubs[i].index);
        }
    }
    if (memcmp(hashes, round->set_hash, MR_HASH_BYTES) != 0) {
        return WRONG(reading, "the model is of another set than the round's");
    }
    if (round->model && memcmp(hashes + MR_HASH_BYTES, round->model_hash, MR_HASH_BYTES) != 0) {
        return WRONG(reading, "hub %u signed two models of round %llu", reading->chain->owner.hub,
                     (unsigned long long)round->round);
    }
    memcpy(round->model_hash, hashes + MR_HASH_BYTES, MR_HASH_BYTES);
    round->model = reading->record;
    return read_signatures(reading, 0, verify_model, &round->model_signed);
}

/* The signature covers the reason, which is the rest of the body. */
static int check_order(struct reading *reading)
{
    const struct mr_announced_hub *lead = &terms_of(reading)->hubs[0];
    const uint8_t *signature = take(reading, MR_SIGNATURE_BYTES);
    char reason[400];
    if (!signature || reading->left >= sizeof reason) {
        return cut_off(reading);
    }
    memcpy(reason, reading->at, reading->left);
    reason[reading->left] = '\0';
    reading->round->void_ordered = true;
    return mr_void_verify(signature, reading->round->terms.hash, reason, lead->public_key) == 0
               ? 0
               : WRONG(reading,
                       "an order to give the round up, which hub %u has on record as hub %u's, is "
                       "not signed by it",
                       reading->chain->owner.hub, lead->index);
}

static int read_void(struct reading *reading)
{
    struct audit_round *round = reading->round;
    const uint8_t *opened = take(reading, 2);
    if (!opened || opened[0] > 1 || opened[1] > 1) {
        return cut_off(reading);
    }
    if (opened[1] == 1 && check_order(reading) != 0) {
        return -1;
    }
    if (round->model && terms_of(reading)->hubs[0].index == reading->chain->owner.hub) {
        return WRONG(reading, "hub %u gave round %llu up after it had published it",
                     reading->chain->owner.hub, (unsigned long long)round->round);
    }
    round->voided = reading->record;
    return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int read_body(struct reading *reading)
{
    switch (reading->record->at.kind) {
    case MR_EVIDENCE_SIGNED:
        return read_signed(reading);
    case MR_EVIDENCE_ADMITTED:
        return read_admitted(reading);
    case MR_EVIDENCE_SET:
        return read_set(reading);
    case MR_EVIDENCE_COMMITTED:
        return read_committed(reading);
    case MR_EVIDENCE_DEBITED:
        return read_debited(reading);
    case MR_EVIDENCE_OPENED:
        return read_opened(reading);
    case MR_EVIDENCE_MODEL:
        return read_model(reading);
    case MR_EVIDENCE_LISTED:
        return mr_audit_listed(reading->audit, reading->chain, reading->round, reading->record);
    case MR_EVIDENCE_DRAWN:
        return mr_audit_drawn(reading->audit, reading->chain, reading->round, reading->record);
    default:
        return read_void(reading);
    }
}

/* Records of a round whose announcement lies in a file that was not given say nothing. */
static int read_record(struct reading *reading, struct audit_chain *chain)
{
    const struct mr_evidence_record *record = &reading->record->at;
    reading->at = record->body;
    reading->left = record->body_bytes;
    if (record->kind >= MR_EVIDENCE_RECOVERED) {
        return mr_audit_of_hub(reading->audit, chain, reading->record);
    }
    if (record->kind == MR_EVIDENCE_ANNOUNCED) {
        return read_announced(reading, chain);
    }
    if (!reading->round) {
        return !chain->from_start ? 0 : WRONG(reading, "a round without an announcement");
    }
    if (record->round != reading->round->round) {
        return WRONG(reading, "a record of round %llu among those of round %llu",
                     (unsigned long long)record->round, (unsigned long long)reading->round->round);
    }
    if (record->kind != MR_EVIDENCE_SIGNED) {
        const uint8_t *hash = take(reading, MR_HASH_BYTES);
        if (!hash) {
            return cut_off(reading);
        }
        if (memcmp(hash, reading->round->terms.hash, MR_HASH_BYTES) != 0) {
            return WRONG(reading, "it speaks of terms that hub %u has not signed",
                         chain->owner.hub);
        }
    }
    return read_body(reading);
}

int mr_audit_rounds(struct audit *audit, struct audit_chain *chain)
{
    struct reading reading = {.audit = audit, .chain = chain};
    for (size_t i = 0; i < chain->records_count; i++) {
        reading.record = &chain->records[i];
        if (read_record(&reading, chain) != 0) {
            return -1;
        }
    }
    return 0;
}

const struct audit_round *mr_audit_find(const struct audit_chain *chain, uint64_t round)
{
    size_t low = 0, high = chain->rounds_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (chain->rounds[middle]->round < round) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < chain->rounds_count && chain->rounds[low]->round == round ? chain->rounds[low]
                                                                           : NULL;
}
