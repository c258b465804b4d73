/* lead_actions.c - what the core asks for: done at once here, or begun as a job (lead_jobs.c,
 * lead_commit.c, lead_reveal.c). */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/claims.h"
#include "appliance/task/released.h"
#include "base/assert.h"

static void on_random(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    MR_ASSERT(RAND_bytes(out, (int)bytes) == 1);
}

static void on_timer(void *context, uint64_t at_ms)
{
    struct mr_lead_driver *run = context;
    if (at_ms == UINT64_MAX) {
        mr_timer_disarm(run->timer);
    } else {
        mr_timer_arm(run->timer, at_ms);
    }
}

static void on_plane_event(void *context, const struct mr_plane_event *event)
{
    struct mr_lead_driver *run = context;
    const uint64_t now_ms = mr_lead_driver_now_ms(run);
    switch (event->kind) {
    case MR_PLANE_STAGED:
        mr_lead_staged(run->core, event->upload_id, now_ms);
        break;
    case MR_PLANE_REVOKED:
        mr_lead_revoked(run->core, event->upload_id, true, now_ms);
        break;
    case MR_PLANE_NOT_REVOKED:
        mr_lead_revoked(run->core, event->upload_id, false, now_ms);
        break;
    case MR_PLANE_EXPIRED:
        mr_lead_expired(run->core, event->upload_id, now_ms);
        break;
    case MR_PLANE_UNSOUND:
        mr_lead_unsound(run->core, event->upload_id, now_ms);
        break;
    }
}

void mr_lead_driver_end_plane_round(struct mr_lead_driver *run)
{
    if (run->round) {
        mr_upload_plane_end(run->round);
    }
    run->round = NULL;
}

static int on_plane_begin(void *context, const struct mr_round_terms *terms, struct mr_error *error)
{
    struct mr_lead_driver *run = context;
    const struct mr_plane_listener listener = {.event = on_plane_event, .context = run};
    if (mr_lead_driver_reserve(run, &terms->layout) != 0) {
        return mr_error_set(error, "out of memory for a sum of %u lanes", terms->layout.lanes);
    }
    mr_lead_driver_end_plane_round(run);
    return mr_upload_plane_begin(run->context.plane, terms, terms->announcement.cohort_max,
                                 &listener, &run->round, error);
}

static int on_plane_admit(void *context, const struct mr_admission *admission,
                          struct mr_upload_grant *grant)
{
    struct mr_lead_driver *run = context;
    return mr_upload_plane_admit(run->round, admission, grant);
}

static void on_plane_revoke(void *context, uint64_t upload_id, enum mr_upload_reason reason)
{
    struct mr_lead_driver *run = context;
    mr_upload_plane_revoke(run->round, upload_id, reason);
}

static void on_collected(void *context, struct mr_collection *collection)
{
    struct mr_lead_driver *run = context;
    run->collection = collection;
    mr_lead_collected(run->core, collection->upload_ids, collection->upload_count,
                      mr_lead_driver_now_ms(run));
}

static void on_plane_collect(void *context, bool freeze)
{
    struct mr_lead_driver *run = context;
    if (!run->stopping) {
        mr_upload_plane_collect(run->round, freeze, on_collected, run);
    }
}

static void on_plane_return(void *context, bool committed, enum mr_upload_reason reason)
{
    struct mr_lead_driver *run = context;
    struct mr_collection *collection = run->collection;
    run->collection = NULL;
    mr_upload_plane_return(run->round, collection, committed, reason);
}

static bool on_may_count(void *context, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                         struct mr_refusal *refusal)
{
    const struct mr_lead_driver *run = context;
    return mr_claims_may_count(&run->context, mr_lead_terms(run->core), client_id, refusal);
}

static enum mr_set_claim on_claim(void *context, const struct mr_frozen_set *set,
                                  struct mr_refusal *refusal)
{
    const struct mr_lead_driver *run = context;
    return mr_claims_take(&run->context, set, refusal);
}

static int on_counted_root(void *context, const struct mr_included *set, uint32_t count,
                           uint8_t root[MR_HASH_BYTES])
{
    const struct mr_lead_driver *run = context;
    return mr_audit_shelf_root(run->shelf, set, count, root);
}

static void on_released(void *context, int result, const struct mr_error *error)
{
    struct mr_lead_driver *run = context;
    if (result != 0) {
        mr_round_fatal(&run->context, "cannot write down which set is opened", error);
    } else {
        struct mr_round_facts facts;
        mr_lead_facts(run->core, &facts);
        mr_round_debit_take(&run->debit, &run->context, facts.terms, facts.set_hash);
        mr_lead_released(run->core, mr_lead_driver_now_ms(run));
    }
}

static void on_release(void *context)
{
    struct mr_lead_driver *run = context;
    if (!run->stopping) {
        mr_released_add(run->context.released, run->context.task, on_released, run);
    }
}

/* Leaves when all that this hub knows by now is in its transcript. */
static void on_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                   size_t length)
{
    const struct mr_lead_driver *run = context;
    const struct mr_evidence_held held = {.peer = peer,
                                          .step = (int)step,
                                          .round = mr_lead_terms(run->core)->announcement.round,
                                          .body = body,
                                          .length = length};
    if (!run->stopping) {
        mr_evidence_pass(run->desk, &held);
    }
}

static void on_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    struct mr_lead_driver *run = context;
    run->listener.admitted(run->listener.context, token, grant);
}

static void on_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    struct mr_lead_driver *run = context;
    run->listener.refused(run->listener.context, token, refusal);
}

static void on_upload_changed(void *context, uint64_t upload_id)
{
    (void)upload_id;
    struct mr_lead_driver *run = context;
    run->listener.changed(run->listener.context);
}

static void on_round_changed(void *context)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_report report;
    const enum mr_lead_state before = run->last_state;
    mr_lead_report(run->core, &report);
    mr_lead_driver_note(run);
    run->last_state = report.state;
    if (report.state != before) {
        mr_lead_driver_plan_next(run, &report);
        if (run->keeper && (report.state == MR_LEAD_PUBLISHED || report.state == MR_LEAD_VOID)) {
            mr_keeper_kick(run->keeper);
        }
    }
    run->listener.changed(run->listener.context);
}

static bool on_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_lead_driver *run = context;
    return run->context.revoked && run->context.revoked(run->context.revoked_context, serial);
}

const struct mr_lead_ops mr_lead_driver_ops = {
    .random = on_random,
    .timer = on_timer,
    .remember = mr_lead_driver_remember,
    .plane_begin = on_plane_begin,
    .plane_admit = on_plane_admit,
    .plane_revoke = on_plane_revoke,
    .plane_collect = on_plane_collect,
    .plane_return = on_plane_return,
    .commit = mr_lead_driver_commit,
    .end = mr_lead_driver_end,
    .may_count = on_may_count,
    .claim = on_claim,
    .counted_root = on_counted_root,
    .release = on_release,
    .ask = on_ask,
    .reveal = mr_lead_driver_reveal,
    .store = mr_lead_driver_store,
    .admitted = on_admitted,
    .refused = on_refused,
    .upload_changed = on_upload_changed,
    .round_changed = on_round_changed,
    .revoked = on_revoked,
};
