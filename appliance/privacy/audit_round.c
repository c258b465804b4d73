/* audit_round.c - what each record says, and whether it may say it at that place; from the
 * commitments on in audit_opened.c. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_reading.h"
#include "base/bytes.h"

/* --- announced, signed ----------------------------------------------------------------------- */

static int check_hubs(const struct audit_reading *reading)
{
    const struct mr_announcement *announcement = mr_audit_terms(reading);
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

static int read_announced(struct audit_reading *reading, struct audit_chain *chain)
{
    struct mr_round_terms terms;
    struct mr_error why;
    if (mr_round_terms_decode(&terms, reading->rest.at, reading->rest.left, &why) != 0) {
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

/* The lead has no seal key, and its signature covers none. */
static int verify_announcement(const struct audit_reading *reading, const uint8_t *entry,
                               unsigned position)
{
    return mr_announcement_verify(entry + MR_SEAL_KEY_BYTES, reading->round->terms.hash,
                                  position == 0 ? NULL : entry,
                                  mr_audit_terms(reading)->hubs[position].public_key);
}

static int read_signed(struct audit_reading *reading)
{
    unsigned signed_by = 0;
    return mr_audit_signatures(reading, MR_SEAL_KEY_BYTES, verify_announcement, &signed_by);
}

/* --- admitted, set --------------------------------------------------------------------------- */

static int read_admitted(struct audit_reading *reading)
{
    const uint8_t *body = mr_rest_take(&reading->rest, 4 + MR_HASH_BYTES);
    if (!body || reading->rest.left != 0) {
        return mr_audit_cut_off(reading);
    }
    if (reading->round->admitted) {
        return WRONG(reading, "hub %u has on record twice whom it admitted",
                     reading->chain->owner.hub);
    }
    reading->round->admitted = reading->record;
    reading->round->admitted_seeds = mr_be32_get(body);
    return 0;
}

static int check_set(const struct audit_reading *reading)
{
    const struct audit_round *round = reading->round;
    const struct mr_announcement *announcement = mr_audit_terms(reading);
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

static int read_set(struct audit_reading *reading)
{
    struct audit_round *round = reading->round;
    uint8_t hash[MR_HASH_BYTES];
    uint32_t count = 0;
    size_t used = 0;
    struct mr_error why;
    const uint32_t room = (uint32_t)(reading->rest.left / MR_INCLUDED_BYTES + 1);
    struct mr_included *set = malloc((size_t)room * sizeof *set);
    if (!set) {
        return mr_audit_no_memory(reading->audit);
    }
    const bool good = mr_included_decode(set, room, &count, reading->rest.at, reading->rest.left,
                                         &used, &why) == 0 &&
                      used == reading->rest.left &&
                      mr_included_hash(hash, round->terms.hash, set, count) == 0;
    if (!good || round->counted) {
        const bool same = good && memcmp(hash, round->set_hash, MR_HASH_BYTES) == 0;
        free(set);
        return !good  ? mr_audit_cut_off(reading)
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

/* --- all ------------------------------------------------------------------------------------- */

static int read_body(struct audit_reading *reading)
{
    switch (reading->record->at.kind) {
    case MR_EVIDENCE_SIGNED:
        return read_signed(reading);
    case MR_EVIDENCE_ADMITTED:
        return read_admitted(reading);
    case MR_EVIDENCE_SET:
        return read_set(reading);
    case MR_EVIDENCE_COMMITTED:
        return mr_audit_committed(reading);
    case MR_EVIDENCE_DEBITED:
        return mr_audit_debited(reading);
    case MR_EVIDENCE_OPENED:
        return mr_audit_opened(reading);
    case MR_EVIDENCE_MODEL:
        return mr_audit_model(reading);
    case MR_EVIDENCE_LISTED:
        return mr_audit_listed(reading->audit, reading->chain, reading->round, reading->record);
    case MR_EVIDENCE_DRAWN:
        return mr_audit_drawn(reading->audit, reading->chain, reading->round, reading->record);
    default:
        return mr_audit_void(reading);
    }
}

/* Records of a round whose announcement lies in a file that was not given say nothing. */
static int read_record(struct audit_reading *reading, struct audit_chain *chain)
{
    const struct mr_evidence_record *record = &reading->record->at;
    reading->rest.at = record->body;
    reading->rest.left = record->body_bytes;
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
        const uint8_t *hash = mr_rest_take(&reading->rest, MR_HASH_BYTES);
        if (!hash) {
            return mr_audit_cut_off(reading);
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
    struct audit_reading reading = {.audit = audit, .chain = chain};
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
