/* session_staged.c - the slots of a round: those that wait for the fold, in their order. */
#include "appliance/upload/session_internal.h"
#include "base/assert.h"

void mr_session_free_slot(struct mr_sessions *sessions, struct mr_session *session)
{
    struct mr_session_round *round = mr_session_round_of(sessions, session);

    mr_staging_give(&sessions->staging, session->slot, round->layout.share_bytes);
    session->slot = MR_SLOT_NONE;
    round->held--;
}

void mr_session_stage(struct mr_sessions *sessions, struct mr_session_round *round, uint32_t slot)
{
    struct mr_slot *slots = sessions->staging.slots;

    slots[slot].next = MR_SLOT_NONE;
    if (round->staged_count++ == 0) {
        round->staged_first = slot;
    } else {
        slots[round->staged_last].next = slot;
    }
    round->staged_last = slot;
}

unsigned mr_sessions_staged(const struct mr_sessions *sessions, unsigned round,
                            const uint8_t *shares[MR_FOLD_MAX], uint64_t upload_ids[MR_FOLD_MAX])
{
    const struct mr_session_round *of = &sessions->rounds[round];
    uint32_t at = of->staged_first;
    unsigned n = 0;

    for (; n < MR_FOLD_MAX && n < of->staged_count; n++) {
        const struct mr_slot *slot = &sessions->staging.slots[at];
        shares[n] = slot->bytes;
        upload_ids[n] = sessions->table[slot->owner].upload_id;
        at = slot->next;
    }
    return n;
}

void mr_sessions_folded(struct mr_sessions *sessions, unsigned round, unsigned count)
{
    struct mr_session_round *of = &sessions->rounds[round];

    MR_ASSERT(count <= of->staged_count);
    for (unsigned i = 0; i < count; i++) {
        const struct mr_slot *slot = &sessions->staging.slots[of->staged_first];
        of->staged_first = slot->next;
        mr_session_free_slot(sessions, &sessions->table[slot->owner]);
    }
    of->staged_count -= count;
}

void mr_sessions_lend(struct mr_sessions *sessions, unsigned round, unsigned count)
{
    struct mr_session_round *of = &sessions->rounds[round];

    MR_ASSERT(count <= of->staged_count);
    if (of->lent_count == 0) {
        of->lent_first = of->staged_first;
    }
    for (unsigned i = 0; i < count; i++) {
        of->staged_first = sessions->staging.slots[of->staged_first].next;
    }
    of->staged_count -= count;
    of->lent_count += count;
}

void mr_sessions_take_back(struct mr_sessions *sessions, unsigned round)
{
    struct mr_session_round *of = &sessions->rounds[round];

    for (; of->lent_count > 0; of->lent_count--) {
        const struct mr_slot *slot = &sessions->staging.slots[of->lent_first];
        of->lent_first = slot->next;
        mr_session_free_slot(sessions, &sessions->table[slot->owner]);
    }
}

uint32_t mr_sessions_staged_count(const struct mr_sessions *sessions, unsigned round)
{
    return sessions->rounds[round].staged_count;
}

uint32_t mr_sessions_held(const struct mr_sessions *sessions, unsigned round)
{
    return sessions->rounds[round].held;
}
