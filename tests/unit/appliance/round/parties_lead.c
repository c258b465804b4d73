/* parties_lead.c - the lead's actions: a fake plane, commits, the model. */
#include <stdlib.h>

#include "parties_internal.h"

static void lead_random(void *context, uint8_t *out, size_t bytes)
{
    world_draw(context, out, bytes);
}

static void lead_timer(void *context, uint64_t at_ms)
{
    ((struct world *)context)->due_ms = at_ms;
}

/* The commit log's newest generation, as on the lead's disk. */
static void world_write(struct world *world, const struct mr_commit_state *state)
{
    free(world->log);
    world->log_bytes = mr_commit_state_bytes(state);
    world->log = malloc(world->log_bytes);
    assert_non_null(world->log);
    mr_commit_state_encode(world->log, state);
}

static void remembered(struct world *world, struct world_event *event)
{
    (void)event;
    mr_lead_remembered(world->lead, world->now_ms);
}

static void lead_remember(void *context, const struct mr_commit_state *state)
{
    struct world *world = context;
    world_write(world, state);
    world_post(world, remembered);
}

static int plane_begin(void *context, const struct mr_round_terms *terms, struct mr_error *error)
{
    struct world *world = context;
    (void)error;
    world->upload_count = 0;
    mr_sum_zero(&world->sum, &terms->layout);
    return 0;
}

static int plane_admit(void *context, const struct mr_admission *admission,
                       struct mr_upload_grant *grant)
{
    struct world *world = context;
    if (world->upload_count == 64) {
        return -1;
    }
    struct world_upload *upload = &world->uploads[world->upload_count++];
    *upload = (struct world_upload){.id = 1000 + ++world->upload_ids,
                                    .attempt = admission->attempt,
                                    .count_lane = admission->count_lane,
                                    .state = UPLOAD_LIVE};
    *grant = (struct mr_upload_grant){.upload_id = upload->id, .window = 8};
    return 0;
}

struct world_upload *world_find_upload(struct world *world, uint64_t id)
{
    for (unsigned i = 0; i < world->upload_count; i++) {
        if (world->uploads[i].id == id) {
            return &world->uploads[i];
        }
    }
    return NULL;
}

static void plane_told(struct world *world, struct world_event *event)
{
    switch (event->kind) {
    case MR_PLANE_STAGED:
        mr_lead_staged(world->lead, event->upload_id, world->now_ms);
        break;
    case MR_PLANE_EXPIRED:
        mr_lead_expired(world->lead, event->upload_id, world->now_ms);
        break;
    default:
        mr_lead_revoked(world->lead, event->upload_id, event->kind == MR_PLANE_REVOKED,
                        world->now_ms);
        break;
    }
}

void world_plane_tell(struct world *world, enum mr_plane_event_kind kind, uint64_t id)
{
    struct world_event *event = world_post(world, plane_told);
    event->kind = kind;
    event->upload_id = id;
}

static void plane_revoke(void *context, uint64_t upload_id, enum mr_upload_reason reason)
{
    struct world *world = context;
    struct world_upload *upload = world_find_upload(world, upload_id);
    (void)reason;
    world->revokes++;
    const bool live = upload && upload->state == UPLOAD_LIVE;
    if (live) {
        upload->state = UPLOAD_GONE;
    }
    world_plane_tell(world, live ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED, upload_id);
}

static void collected(struct world *world, struct world_event *event)
{
    (void)event;
    mr_lead_collected(world->lead, world->collected, world->collected_count, world->now_ms);
}

static void plane_collect(void *context, bool freeze)
{
    struct world *world = context;
    assert_false(world->collection_out);
    world->collection_out = true;
    world->frozen |= freeze;
    world->collected_count = 0;
    for (unsigned i = 0; i < world->upload_count; i++) {
        if (world->uploads[i].state == UPLOAD_STAGED) {
            world->uploads[i].state = UPLOAD_COLLECTED;
            world->collected[world->collected_count++] = world->uploads[i].id;
        } else if (freeze && world->uploads[i].state == UPLOAD_LIVE) {
            world->uploads[i].state = UPLOAD_GONE;
        }
    }
    world_post(world, collected);
}

static void plane_return(void *context, bool committed, enum mr_upload_reason reason)
{
    struct world *world = context;
    (void)reason;
    assert_true(world->collection_out);
    world->collection_out = false;
    if (committed) {
        world->returns_committed++;
    } else {
        world->returns_refused++;
    }
}

/* The device's explicit share: its vector minus every helper's mask. */
static void add_share(struct world *world, const struct world_upload *upload)
{
    const struct world_device *device = &world->devices[upload->device];
    const struct mr_layout *layout = &world->terms.layout;
    uint8_t *share = aligned_alloc(64, (size_t)(layout->share_bytes + 63) / 64 * 64);
    assert_non_null(share);
    mr_share_lift(share, layout, device->q, device->trailer, world->kernels);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        uint8_t seed[MR_SEED_BYTES];
        struct mr_mask_stream mask;
        const struct mr_key_scope scope = {.task = world->announcement.task,
                                           .announcement_hash = world->terms.hash,
                                           .client_id = device->client_id,
                                           .hub_index = world->hubs[i].index,
                                           .attempt = upload->attempt};
        world_seed(seed, upload->device, upload->attempt, i);
        assert_int_equal(mr_mask_derive(&mask, seed, &scope), 0);
        mr_share_mask(share, layout, &mask, world->kernels);
    }
    const uint8_t *const shares[1] = {share};
    mr_sum_fold(&world->sum, layout, shares, 1, world->kernels);
    free(share);
}

static void committed(struct world *world, struct world_event *event)
{
    mr_lead_committed(world->lead, event->final ? world->packed : NULL, world->now_ms);
}

static void lead_commit(void *context, const struct mr_commit_state *state)
{
    struct world *world = context;
    struct mr_commit_state whole = *state;
    for (unsigned i = 0; world->collection_out && i < world->collected_count; i++) {
        const struct world_upload *upload = world_find_upload(world, world->collected[i]);
        add_share(world, upload);
        /* Not durable yet, so not told yet. */
        assert_int_equal(world_status(world, upload->device, upload->id).state, MR_UPLOAD_STAGED);
    }
    mr_sum_pack(world->packed, &world->terms.layout, &world->sum, world->kernels);
    if (whole.phase == MR_COMMIT_FROZEN) {
        const struct mr_hub_noise noise = world_noise(world, 0);
        assert_int_equal(mr_sum_noised(world->packed, &noise, whole.included, whole.included_count,
                                       world->kernels, NULL),
                         0);
    }
    if (whole.included_count) {
        whole.sum = world->packed;
        whole.share_bytes = world->terms.layout.share_bytes;
        world->commits++;
    }
    world_write(world, &whole);
    world_post(world, committed)->final = whole.phase == MR_COMMIT_FROZEN;
}

static void ended(struct world *world, struct world_event *event)
{
    (void)event;
    mr_lead_ended(world->lead, world->now_ms);
}

static void lead_end(void *context)
{
    struct world *world = context;
    struct mr_lead_report report;
    mr_lead_report(world->lead, &report);
    world->end.voided = true;
    memcpy(world->end.reason, report.reason, sizeof world->end.reason);
    world_post(world, ended);
}

static void lead_revealed(struct world *world, struct world_event *event)
{
    struct mr_error error;
    world->reveals++;
    if (world_compute(world, event->results, event->count, &world->revealed, &error) == 0) {
        mr_lead_revealed(world->lead, world->revealed.model_hash, world->now_ms);
    } else {
        mr_lead_not_revealed(world->lead, MR_VOID_SUM, error.text, world->now_ms);
    }
}

static void lead_reveal(void *context, const uint8_t *const *results, uint32_t included_count)
{
    struct world_event *event = world_post(context, lead_revealed);
    event->results = results;
    event->count = included_count;
}

static void lead_stored(struct world *world, struct world_event *event)
{
    (void)event;
    mr_lead_stored(world->lead, world->now_ms);
}

static void lead_store(void *context, const struct mr_publication *publication)
{
    struct world *world = context;
    world->stores++;
    world->end.published = true;
    memcpy(world->end.model_hash, publication->model_hash, MR_HASH_BYTES);
    world->published_count = publication->included_count;
    for (unsigned i = 0; i < world->options.hubs; i++) {
        assert_int_equal(mr_model_verify(publication->signatures[i], world->terms.hash,
                                         publication->set_hash, publication->model_hash,
                                         world->hubs[i].public_key),
                         0);
    }
    world_post(world, lead_stored);
}

static void lead_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    struct reply *reply = token;
    (void)context;
    reply->grant = *grant;
    world_reply(reply, NULL, 0);
}

static void upload_changed(void *context, uint64_t upload_id)
{
    (void)context;
    (void)upload_id;
}

static bool lead_revoked(void *context, const struct mr_serial *serial)
{
    return world_revoked(context, 0, serial);
}

const struct mr_lead_ops world_lead_ops = {
    .random = lead_random,
    .timer = lead_timer,
    .remember = lead_remember,
    .plane_begin = plane_begin,
    .plane_admit = plane_admit,
    .plane_revoke = plane_revoke,
    .plane_collect = plane_collect,
    .plane_return = plane_return,
    .commit = lead_commit,
    .end = lead_end,
    .may_count = world_lead_may_count,
    .claim = world_lead_claim,
    .release = world_lead_release,
    .ask = world_lead_ask,
    .reveal = lead_reveal,
    .store = lead_store,
    .admitted = lead_admitted,
    .refused = world_refused,
    .upload_changed = upload_changed,
    .round_changed = world_changed,
    .revoked = lead_revoked,
};
