/* helper_terms.c - what a helper looks at before it signs a round. */
#include "appliance/privacy/kept.h"
#include "appliance/round/drive/accept_terms.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/private_terms.h"
#include "appliance/round/drive/wall_clock.h"

/* Without its state this hub could not compute the next model. */
static bool has_state(const struct mr_helper_driver *run, const struct mr_announcement *round)
{
    struct mr_store *store = run->context.store;
    struct mr_model *model = mr_optimiser_has_state(&round->optimiser)
                                 ? mr_store_borrow(store, round->model_hash, NULL)
                                 : NULL;
    const bool has = !model || mr_store_has_state(store, model);
    if (model) {
        mr_store_return(store, model);
    }
    return has;
}

bool mr_helper_driver_accepts(void *context, const struct mr_round_terms *terms,
                              struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    const uint64_t unix_ms = mr_round_unix_ms(), until = terms->announcement.deadline_unix_ms;
    const struct mr_accept_question question = {
        .accept = run->context.accept,
        .announcement = &terms->announcement,
        .lanes = terms->layout.lanes,
        .left_ms = until > unix_ms ? until - unix_ms : 0,
        .own = run->context.round,
        .history = &run->history,
    };
    if (!has_state(run, &terms->announcement)) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%s", MR_NO_STATE);
        return false;
    }
    const struct mr_private_policy policy = {run->context.privacy, run->context.round};
    return mr_mark_terms_hold(&terms->announcement, &run->context, refusal) &&
           (!policy.privacy || mr_private_terms_hold(&terms->announcement, &policy, refusal)) &&
           mr_accept_terms(&question, refusal);
}

/* A set has no more devices than a hub counts: the announced cohort_max may be what the ring holds.
 */
#define ROOM_DEVICES_MAX 65536u

bool mr_helper_driver_has_room(void *context, const struct mr_round_terms *terms,
                               struct mr_refusal *refusal)
{
    struct mr_helper_driver *run = context;
    const uint32_t most = mr_announcement_admits(&terms->announcement);
    const uint32_t devices = most < ROOM_DEVICES_MAX ? most : ROOM_DEVICES_MAX;
    size_t model_bytes = 0;
    struct mr_model *model =
        run->keeper ? mr_store_borrow(run->context.store, terms->announcement.model_hash, NULL)
                    : NULL;
    if (!model) {
        return true;
    }
    (void)mr_model_bytes(model, &model_bytes);
    mr_store_return(run->context.store, model);
    uint64_t bytes = mr_keeper_round_bytes(model_bytes, terms->layout.share_bytes, devices);
    bytes += terms->announcement.audit_hours ? mr_kept_bytes(MR_SEED_BYTES, devices) : 0;
    return mr_keeper_has_room(run->keeper, bytes, refusal);
}
