/* helper_actions.c - what the core asks for: done at once here, or begun as a job
 * (helper_expand.c, helper_reveal.c, helper_disk.c). */
#include <openssl/rand.h>
#include <string.h>

#include "appliance/round/drive/claims.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/task/released.h"
#include "base/assert.h"
#include "base/bytes.h"

/* The wall clock is looked at no later than that. */
#define CLOCK_LOOK_MS 60000u

static void on_random(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    MR_ASSERT(RAND_bytes(out, (int)bytes) == 1);
}

static void on_recall(void *context, struct mr_helper_last *last)
{
    struct mr_helper_driver *run = context;
    *last = run->last_life;
    last->round = mr_store_signed_round(run->context.store, last->hash);
    if (last->round != run->last_life.round) {
        last->given_up[0] = '\0';
    }
}

static uint32_t on_model_dimension(void *context, const uint8_t *model_hash, uint32_t *values)
{
    struct mr_helper_driver *run = context;
    struct mr_model *model = mr_store_borrow(run->context.store, model_hash, NULL);
    const uint32_t dimension = model ? mr_model_dimension(model) : 0;
    if (model) {
        *values = mr_model_values(model);
        mr_store_return(run->context.store, model);
    }
    return dimension;
}

/* A round on an older model would be about devices that are in its sums already. */
static bool on_may_begin_with(void *context, const uint8_t *model_hash, struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    const uint8_t *current = mr_store_current(run->context.store);
    uint8_t parent[MR_HASH_BYTES];
    char asked[2 * MR_HASH_BYTES + 1], own[2 * MR_HASH_BYTES + 1];
    if (memcmp(model_hash, current, MR_HASH_BYTES) == 0) {
        return mr_older_may_begin(&run->context, false, refusal);
    }
    if (mr_store_parent(run->context.store, current, parent) == 0 &&
        memcmp(model_hash, parent, MR_HASH_BYTES) == 0) {
        return mr_older_may_begin(&run->context, true, refusal);
    }
    mr_hex_encode(asked, model_hash, MR_HASH_BYTES);
    mr_hex_encode(own, current, MR_HASH_BYTES);
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "the round begins with model %.16s..., but this hub's current model is %.16s...: "
              "the lead's current has gone back, or this hub's; compare millrace task show on "
              "both, and put the newer one back",
              asked, own);
    return false;
}

static bool on_may_count(void *context, const struct mr_round_terms *terms,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    return mr_claims_may_count(&run->context, terms, client_id, refusal);
}

static enum mr_set_claim on_claim(void *context, const struct mr_frozen_set *set,
                                  struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    return mr_claims_take(&run->context, set, refusal);
}

static int on_counted_root(void *context, const struct mr_included *set, uint32_t count,
                           uint8_t root[MR_HASH_BYTES])
{
    const struct mr_helper_driver *run = context;
    return mr_audit_shelf_root(run->shelf, set, count, root);
}

static void on_released(void *context, int result, const struct mr_error *error)
{
    struct mr_helper_driver *run = context;
    if (result != 0) {
        mr_round_fatal(&run->context, "cannot write down which set is opened", error);
    } else {
        const uint8_t *set_hash;
        uint32_t count;
        (void)mr_helper_included(run->core, &count, &set_hash);
        mr_round_debit_take(&run->debit, &run->context, mr_helper_terms(run->core), set_hash);
        mr_helper_released(run->core);
    }
}

static void on_release(void *context)
{
    struct mr_helper_driver *run = context;
    if (!run->stopping) {
        mr_released_add(run->context.released, run->context.task, on_released, run);
    }
}

/* Leaves when all that this hub knows by now is in its transcript. */
static void on_answer(void *context, void *token, bool json, const void *body, size_t length)
{
    const struct mr_helper_driver *run = context;
    const struct mr_evidence_held held = {
        .token = token, .json = json, .body = body, .length = length};
    mr_evidence_pass(run->desk, &held);
}

static void on_refuse(void *context, void *token, const struct mr_refusal *refusal)
{
    struct mr_helper_driver *run = context;
    run->listener.refuse(run->listener.context, token, refusal);
}

/* The wall clock may be set, and goes on while the machine sleeps: it is looked at now and then. */
static void plan_tick(struct mr_helper_driver *run)
{
    const uint64_t due = mr_helper_due_unix_ms(run->core), unix_ms = mr_round_unix_ms();
    const uint64_t left = due > unix_ms ? due - unix_ms : 0;
    const uint64_t at_ms =
        mr_loop_now_ms(run->context.loop) + (left < CLOCK_LOOK_MS ? left : CLOCK_LOOK_MS);
    if (due == UINT64_MAX || run->stopping) {
        mr_timer_disarm(run->timer);
    } else {
        mr_timer_arm(run->timer, at_ms > run->not_before_ms ? at_ms : run->not_before_ms);
    }
}

void mr_helper_driver_tick(void *context)
{
    struct mr_helper_driver *run = context;
    const uint64_t voids = run->void_total;
    if (!run->stopping) {
        mr_helper_tick(run->core, mr_round_unix_ms());
        run->lead_gone_total += run->void_total - voids;
        plan_tick(run);
    }
}

static void on_changed(void *context)
{
    struct mr_helper_driver *run = context;
    plan_tick(run);
    mr_helper_driver_note(run);
    if (run->listener.changed) {
        run->listener.changed(run->listener.context);
    }
}

static bool on_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_helper_driver *run = context;
    return run->context.revoked && run->context.revoked(run->context.revoked_context, serial);
}

static uint64_t on_unix_ms(void *context)
{
    (void)context;
    return mr_round_unix_ms();
}

const struct mr_helper_ops mr_helper_driver_ops = {
    .random = on_random,
    .recall = on_recall,
    .save = mr_helper_driver_save,
    .append = mr_helper_driver_append,
    .forget = mr_helper_driver_forget,
    .model_dimension = on_model_dimension,
    .may_begin_with = on_may_begin_with,
    .may_count = on_may_count,
    .claim = on_claim,
    .counted_root = on_counted_root,
    .release = on_release,
    .expand = mr_helper_driver_expand,
    .reveal = mr_helper_driver_reveal,
    .answer = on_answer,
    .refuse = on_refuse,
    .changed = on_changed,
    .accepts = mr_helper_driver_accepts,
    .has_room = mr_helper_driver_has_room,
    .revoked = on_revoked,
    .unix_ms = on_unix_ms,
};
