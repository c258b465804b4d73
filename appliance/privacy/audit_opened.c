/* audit_opened.c - what records say from the commitments to the round's end. */
#include <string.h>

#include "appliance/privacy/audit_reading.h"
#include "base/bytes.h"

int mr_audit_committed(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    struct mr_commitment commitment;
    const uint8_t *body = mr_rest_take(&reading->rest, MR_COMMITMENT_BYTES);
    if (!body || reading->rest.left != 0) {
        return mr_audit_cut_off(reading);
    }
    mr_commitment_decode(&commitment, body);
    const int position = mr_audit_position(reading, commitment.hub_index);
    if (position < 0) {
        return -1;
    }
    if (mr_commitment_verify(&commitment, round->terms.hash,
                             mr_audit_terms(reading)->hubs[position].public_key) != 0) {
        return WRONG(reading,
                     "a commitment that hub %u has on record as hub %u's is not signed by it",
                     reading->chain->owner.hub, commitment.hub_index);
    }
    if (!round->counted) {
        return WRONG(reading, "a commitment before the set");
    }
    if (!mr_commitment_fits(&commitment, mr_audit_terms(reading))) {
        return WRONG(reading,
                     "hub %u signed a commitment %s a root of what it counted, and "
                     "audit_hours is %u",
                     commitment.hub_index,
                     mr_audit_terms(reading)->audit_hours ? "without" : "with",
                     mr_audit_terms(reading)->audit_hours);
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
int mr_audit_debited(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    const uint16_t own = reading->chain->owner.hub;
    const uint8_t *body = mr_rest_take(&reading->rest, MR_EVIDENCE_DEBITED_BYTES);
    if (!body || reading->rest.left != 0) {
        return mr_audit_cut_off(reading);
    }
    const uint64_t rho = mr_be64_get(body + MR_HASH_BYTES);
    const uint8_t *ledger = body + MR_HASH_BYTES + 8, *noise = ledger + 8 + MR_HASH_BYTES;
    if (!round->counted || memcmp(body, round->set_hash, MR_HASH_BYTES) != 0) {
        return WRONG(reading, "a debit for another set than the round's");
    }
    if (rho != mr_audit_terms(reading)->privacy.rho) {
        return WRONG(reading, "hub %u debited %llu, the round costs %llu", own,
                     (unsigned long long)rho,
                     (unsigned long long)mr_audit_terms(reading)->privacy.rho);
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

int mr_audit_opened(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    struct mr_opening_seal seal;
    uint8_t value[MR_HASH_BYTES];
    const uint8_t *body = mr_rest_take(&reading->rest, 2 + MR_NONCE_BYTES + MR_HASH_BYTES);
    if (!body || reading->rest.left != 0) {
        return mr_audit_cut_off(reading);
    }
    const uint16_t hub = mr_be16_get(body);
    const int position = mr_audit_position(reading, hub);
    if (position < 0) {
        return -1;
    }
    for (unsigned i = 0; i < mr_audit_terms(reading)->hub_count; i++) {
        if (!round->committed[i]) {
            return WRONG(reading, "hub %u opened, or took an opening, before hub %u had committed",
                         reading->chain->owner.hub, mr_audit_terms(reading)->hubs[i].index);
        }
    }
    if (hub == reading->chain->owner.hub && !round->debited &&
        mr_audit_terms(reading)->noise_kind != MR_NOISE_NONE) {
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

static int verify_model(const struct audit_reading *reading, const uint8_t *entry,
                        unsigned position)
{
    const uint8_t *set_hash = reading->record->at.body + MR_HASH_BYTES;
    return mr_model_verify(entry, reading->round->terms.hash, set_hash, set_hash + MR_HASH_BYTES,
                           mr_audit_terms(reading)->hubs[position].public_key);
}

int mr_audit_model(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    const uint8_t *hashes = mr_rest_take(&reading->rest, 2 * (size_t)MR_HASH_BYTES);
    if (!hashes) {
        return mr_audit_cut_off(reading);
    }
    if (round->voided) {
        return WRONG(reading, "hub %u has a model of round %llu on record, which it had given up",
                     reading->chain->owner.hub, (unsigned long long)round->round);
    }
    for (unsigned i = 0; i < mr_audit_terms(reading)->hub_count; i++) {
        if (!round->opened[i]) {
            return WRONG(reading, "a model without the opening of hub %u",
                         mr_audit_terms(reading)->hubs[i].index);
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
    return mr_audit_signatures(reading, 0, verify_model, &round->model_signed);
}

/* The signature covers the reason, which is the rest of the body. */
static int check_order(struct audit_reading *reading)
{
    const struct mr_announced_hub *lead = &mr_audit_terms(reading)->hubs[0];
    const uint8_t *signature = mr_rest_take(&reading->rest, MR_SIGNATURE_BYTES);
    char reason[400];
    if (!signature || reading->rest.left >= sizeof reason) {
        return mr_audit_cut_off(reading);
    }
    memcpy(reason, reading->rest.at, reading->rest.left);
    reason[reading->rest.left] = '\0';
    reading->round->void_ordered = true;
    return mr_void_verify(signature, reading->round->terms.hash, reason, lead->public_key) == 0
               ? 0
               : WRONG(reading,
                       "an order to give the round up, which hub %u has on record as hub %u's, is "
                       "not signed by it",
                       reading->chain->owner.hub, lead->index);
}

int mr_audit_void(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    const uint8_t *opened = mr_rest_take(&reading->rest, 2);
    if (!opened || opened[0] > 1 || opened[1] > 1) {
        return mr_audit_cut_off(reading);
    }
    if (opened[1] == 1 && check_order(reading) != 0) {
        return -1;
    }
    if (round->model && mr_audit_terms(reading)->hubs[0].index == reading->chain->owner.hub) {
        return WRONG(reading, "hub %u gave round %llu up after it had published it",
                     reading->chain->owner.hub, (unsigned long long)round->round);
    }
    round->voided = reading->record;
    return 0;
}
