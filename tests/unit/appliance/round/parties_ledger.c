/* parties_ledger.c - each hub's ledger of released sets, and the actions that ask it. */
#include <stdio.h>

#include "parties_internal.h"

static bool names(const struct world_set *set, const uint8_t *client_id)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (memcmp(set->clients[i], client_id, MR_CLIENT_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* The released set of that model which has the device, if it is another round's. */
static const struct world_set *elsewhere(const struct world_ledger *ledger,
                                         const struct mr_round_terms *terms,
                                         const uint8_t *set_hash, const uint8_t *client_id)
{
    for (unsigned i = 0; i < ledger->count; i++) {
        const struct world_set *set = &ledger->sets[i];
        const bool own = memcmp(set->announcement_hash, terms->hash, MR_HASH_BYTES) == 0 &&
                         (!set_hash || memcmp(set->set_hash, set_hash, MR_HASH_BYTES) == 0);
        if (!own && memcmp(set->parent, terms->announcement.model_hash, MR_HASH_BYTES) == 0 &&
            names(set, client_id)) {
            return set;
        }
    }
    return NULL;
}

bool world_may_count(const struct world_ledger *ledger, const struct mr_round_terms *terms,
                     const uint8_t *client_id, struct mr_refusal *refusal)
{
    const struct world_set *set = elsewhere(ledger, terms, NULL, client_id);
    if (set) {
        mr_refuse(refusal, MR_REFUSAL_RELEASED, "the device is in the set of another round");
    }
    return !set;
}

enum mr_set_claim world_claim(struct world_ledger *ledger, const struct mr_frozen_set *set,
                              struct mr_refusal *refusal)
{
    struct world_set *claim = &ledger->claim;
    bool known = false;
    assert_true(set->count <= WORLD_DEVICES);
    for (unsigned i = 0; i < set->count; i++) {
        if (elsewhere(ledger, set->terms, set->set_hash, set->included[i].client_id)) {
            mr_refuse(refusal, MR_REFUSAL_RELEASED, "a device of the set is in another one");
            return MR_SET_REFUSED;
        }
    }
    *claim = (struct world_set){.count = set->count};
    memcpy(claim->parent, set->terms->announcement.model_hash, MR_HASH_BYTES);
    memcpy(claim->announcement_hash, set->terms->hash, MR_HASH_BYTES);
    memcpy(claim->set_hash, set->set_hash, MR_HASH_BYTES);
    for (unsigned i = 0; i < set->count; i++) {
        memcpy(claim->clients[i], set->included[i].client_id, MR_CLIENT_ID_BYTES);
    }
    for (unsigned i = 0; i < ledger->count; i++) {
        known |= memcmp(ledger->sets[i].set_hash, set->set_hash, MR_HASH_BYTES) == 0;
    }
    return known ? MR_SET_RELEASED : MR_SET_CLAIMED;
}

void world_release(struct world_ledger *ledger)
{
    assert_true(ledger->claim.count > 0 && ledger->count < WORLD_SETS);
    for (unsigned i = 0; i < ledger->count; i++) {
        if (memcmp(ledger->sets[i].set_hash, ledger->claim.set_hash, MR_HASH_BYTES) == 0) {
            return;
        }
    }
    ledger->sets[ledger->count++] = ledger->claim;
}

/* --- the lead's actions ----------------------------------------------------------------------- */

bool world_lead_may_count(void *context, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          struct mr_refusal *refusal)
{
    const struct world *world = context;
    return world_may_count(&world->ledger, mr_lead_terms(world->lead), client_id, refusal);
}

enum mr_set_claim world_lead_claim(void *context, const struct mr_frozen_set *set,
                                   struct mr_refusal *refusal)
{
    return world_claim(&((struct world *)context)->ledger, set, refusal);
}

static void lead_released(struct world *world, struct world_event *event)
{
    (void)event;
    world_release(&world->ledger);
    mr_lead_released(world->lead, world->now_ms);
}

void world_lead_release(void *context)
{
    world_post(context, lead_released);
}
