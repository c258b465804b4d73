#include "world.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/bytes.h"
#include "wire/safetensors.h"

#define LEAD_INDEX 10 /* hub i of the list has index 10 + i */

struct world_event {
    struct world_event *next;
    void (*fn)(struct world *world, struct world_event *event);
    unsigned helper;
    uint64_t upload_id;
    enum mr_plane_event_kind kind;
    bool final;
    struct passage passage;
    const uint8_t *const *results;
    uint32_t count;
    struct mr_expansion *list;
    struct reply *reply; /* of a question on its way */
};

static struct world_event *post(struct world *world,
                                void (*fn)(struct world *, struct world_event *))
{
    struct world_event *event = calloc(1, sizeof *event);
    assert_non_null(event);
    event->fn = fn;
    *world->last = event;
    world->last = &event->next;
    return event;
}

void world_run(struct world *world)
{
    while (world->first) {
        struct world_event *event = world->first;
        world->first = event->next;
        if (!world->first) {
            world->last = &world->first;
        }
        event->fn(world, event);
        free(event->passage.body);
        free(event);
    }
}

void world_advance(struct world *world, uint64_t ms)
{
    const uint64_t end = world->now_ms + ms;
    world_run(world);
    while (world->due_ms <= end) {
        world->now_ms = world->due_ms > world->now_ms ? world->due_ms : world->now_ms;
        world->due_ms = UINT64_MAX;
        mr_lead_tick(world->lead, world->now_ms);
        world_run(world);
    }
    world->now_ms = end;
}

void reply_fini(struct reply *reply)
{
    free(reply->body);
    *reply = (struct reply){.done = false};
}

static void reply_with(struct reply *reply, const void *body, size_t length)
{
    assert_false(reply->done);
    reply->done = true;
    reply->code = MR_VERDICT_OK;
    reply->length = length;
    reply->body = calloc(1, length + 1);
    assert_non_null(reply->body);
    if (length) {
        memcpy(reply->body, body, length);
    }
}

static void reply_refused(struct reply *reply, const struct mr_verdict *verdict)
{
    assert_false(reply->done);
    reply->done = true;
    reply->code = verdict->code;
    memcpy(reply->text, verdict->text, sizeof reply->text);
}

/* --- what both roles do ---------------------------------------------------------------------- */

static void draw(struct world *world, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(world->random >> 56);
    }
}

static int compute(struct world *world, const uint8_t *const *results, uint32_t count,
                   struct mr_reveal_answer *answer, struct mr_error *error)
{
    const struct mr_reveal_question question = {
        .terms = &world->terms,
        .results = results,
        .included_count = count,
        .parent = world->model,
        .parent_bytes = world->model_bytes,
        .server_learning_rate = 1.0f,
        .kernels = world->kernels,
    };
    return mr_reveal(answer, &question, error);
}

/* --- the lead's actions ---------------------------------------------------------------------- */

static void lead_random(void *context, uint8_t *out, size_t bytes)
{
    draw(context, out, bytes);
}

static void lead_timer(void *context, uint64_t at_ms)
{
    ((struct world *)context)->due_ms = at_ms;
}

static void remembered(struct world *world, struct world_event *event)
{
    (void)event;
    mr_lead_remembered(world->lead, world->now_ms);
}

static void lead_remember(void *context, uint64_t round, const uint8_t *hash)
{
    (void)round;
    (void)hash;
    post(context, remembered);
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
    *upload = (struct world_upload){
        .id = 1000 + world->upload_count, .attempt = admission->attempt, .state = UPLOAD_LIVE};
    *grant = (struct mr_upload_grant){.upload_id = upload->id, .window = 8};
    return 0;
}

static struct world_upload *find_upload(struct world *world, uint64_t id)
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

static void tell(struct world *world, enum mr_plane_event_kind kind, uint64_t id)
{
    struct world_event *event = post(world, plane_told);
    event->kind = kind;
    event->upload_id = id;
}

static void plane_revoke(void *context, uint64_t upload_id, enum mr_upload_reason reason)
{
    struct world *world = context;
    struct world_upload *upload = find_upload(world, upload_id);
    (void)reason;
    world->revokes++;
    const bool live = upload && upload->state == UPLOAD_LIVE;
    if (live) {
        upload->state = UPLOAD_GONE;
    }
    tell(world, live ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED, upload_id);
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
    post(world, collected);
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
    uint8_t *share = aligned_alloc(64, (size_t)layout->share_bytes);
    assert_non_null(share);
    mr_share_lift(share, layout, device->q, device->trailer, world->kernels);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        uint8_t seed[MR_SEED_BYTES];
        struct mr_mask_stream mask;
        const struct mr_key_scope scope = {.announcement_hash = world->terms.hash,
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
    for (unsigned i = 0; i < world->collected_count; i++) {
        add_share(world, find_upload(world, world->collected[i]));
    }
    mr_sum_pack(world->packed, &world->terms.layout, &world->sum, world->kernels);
    mr_lead_committed(world->lead, event->final ? world->packed : NULL, world->now_ms);
}

static void lead_commit(void *context, const struct mr_included *included, uint32_t count,
                        bool final)
{
    struct world *world = context;
    (void)included;
    (void)count;
    world->commits++;
    post(world, committed)->final = final;
}

static void lead_revealed(struct world *world, struct world_event *event)
{
    struct mr_error error;
    world->reveals++;
    if (compute(world, event->results, event->count, &world->revealed, &error) == 0) {
        mr_lead_revealed(world->lead, world->revealed.model_hash, NULL, world->now_ms);
    } else {
        mr_lead_revealed(world->lead, NULL, error.text, world->now_ms);
    }
}

static void lead_reveal(void *context, const uint8_t *const *results, uint32_t included_count)
{
    struct world_event *event = post(context, lead_revealed);
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
    world->published_count = publication->included_count;
    for (unsigned i = 0; i < world->options.hubs; i++) {
        assert_int_equal(mr_model_verify(publication->signatures[i], world->terms.hash,
                                         publication->set_hash, publication->model_hash,
                                         world->hubs[i].public_key),
                         0);
    }
    post(world, lead_stored);
}

static void lead_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    struct reply *reply = token;
    (void)context;
    reply->grant = *grant;
    reply_with(reply, NULL, 0);
}

static void any_refused(void *context, void *token, const struct mr_verdict *verdict)
{
    (void)context;
    reply_refused(token, verdict);
}

static void upload_changed(void *context, uint64_t upload_id)
{
    (void)context;
    (void)upload_id;
}

static void changed(void *context)
{
    (void)context;
}

/* --- between the hubs ------------------------------------------------------------------------ */

static void deliver_answer(struct world *world, struct world_event *event)
{
    struct passage *passage = &event->passage;
    struct reply *reply = event->reply;
    if (reply && !reply->done) { /* the helper still works on it */
        struct world_event *again = post(world, deliver_answer);
        again->passage = *passage;
        again->reply = reply;
        passage->body = NULL;
        return;
    }
    if (reply) {
        struct mr_refusal refusal = {.retry_after_ms = 0};
        passage->status = mr_verdict_status(reply->code);
        passage->body = reply->body;
        passage->length = reply->length;
        if (reply->code != MR_VERDICT_OK) {
            snprintf(refusal.code, sizeof refusal.code, "%s", mr_verdict_name(reply->code));
            snprintf(refusal.message, sizeof refusal.message, "%s", reply->text);
            passage->body = (uint8_t *)mr_refusal_encode(&refusal);
            passage->length = strlen((char *)passage->body);
        }
        free(reply);
    }
    passage->answer = true;
    if (world->tamper) {
        world->tamper(world, passage);
    }
    const struct mr_peer_answer answer = {
        .round = world->terms.announcement.round,
        .peer = passage->peer,
        .step = passage->step,
        .status = passage->status,
        .body = passage->body,
        .length = passage->length,
        .text = "the fake link is cut",
    };
    mr_lead_peer_answered(world->lead, &answer, world->now_ms);
}

void world_ask(struct world *world, unsigned helper, enum mr_peer_step step, const uint8_t *body,
               size_t length, struct reply *reply)
{
    struct mr_helper *core = world->helpers[helper].core;
    const uint16_t from = world->hubs[0].index;
    const uint64_t round = world->terms.announcement.round;
    switch (step) {
    case MR_PEER_PROPOSE:
        mr_helper_propose(core, from, body, length, reply);
        break;
    case MR_PEER_FREEZE:
        mr_helper_freeze(core, from, round, body, length, reply);
        break;
    case MR_PEER_OPEN:
        mr_helper_open(core, from, round, body, length, reply);
        break;
    case MR_PEER_REVEAL:
        mr_helper_reveal(core, from, round, body, length, reply);
        break;
    case MR_PEER_VOID:
        mr_helper_void(core, from, round, "the lead says so", reply);
        break;
    }
}

static void deliver_question(struct world *world, struct world_event *event)
{
    struct passage *passage = &event->passage;
    struct reply *reply = NULL;
    if (world->tamper) {
        world->tamper(world, passage);
    }
    if (world->hold[passage->step]) {
        free(world->held.body);
        world->held = *passage;
        passage->body = NULL;
        return;
    }
    if (world->unreachable) {
        world->unreachable--;
    } else {
        reply = calloc(1, sizeof *reply);
        assert_non_null(reply);
        world_ask(world, passage->peer, passage->step, passage->body, passage->length, reply);
    }
    struct world_event *back = post(world, deliver_answer);
    back->passage.peer = passage->peer;
    back->passage.step = passage->step;
    back->reply = reply;
}

static void lead_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                     size_t length)
{
    struct world *world = context;
    struct world_event *event = post(world, deliver_question);
    world->asked[step]++;
    event->passage = (struct passage){.peer = peer, .step = step, .length = length};
    event->passage.body = malloc(length + 1);
    assert_non_null(event->passage.body);
    memcpy(event->passage.body, body, length);
}

static const struct mr_lead_ops lead_ops = {
    .random = lead_random,
    .timer = lead_timer,
    .remember = lead_remember,
    .plane_begin = plane_begin,
    .plane_admit = plane_admit,
    .plane_revoke = plane_revoke,
    .plane_collect = plane_collect,
    .plane_return = plane_return,
    .commit = lead_commit,
    .ask = lead_ask,
    .reveal = lead_reveal,
    .store = lead_store,
    .admitted = lead_admitted,
    .refused = any_refused,
    .upload_changed = upload_changed,
    .round_changed = changed,
};

/* --- the helpers' actions -------------------------------------------------------------------- */

static void helper_random(void *context, uint8_t *out, size_t bytes)
{
    draw(((struct world_helper *)context)->world, out, bytes);
}

static void helper_recall(void *context, uint64_t *round, uint8_t hash[MR_HASH_BYTES])
{
    const struct world_helper *helper = context;
    *round = helper->signed_round;
    memcpy(hash, helper->signed_hash, MR_HASH_BYTES);
}

static unsigned position(const struct world_helper *helper)
{
    return (unsigned)(helper - helper->world->helpers);
}

static void helper_remembered(struct world *world, struct world_event *event)
{
    mr_helper_remembered(world->helpers[event->helper].core);
}

static void helper_remember(void *context, uint64_t round, const uint8_t *hash)
{
    struct world_helper *helper = context;
    helper->signed_round = round;
    memcpy(helper->signed_hash, hash, MR_HASH_BYTES);
    post(helper->world, helper_remembered)->helper = position(helper);
}

static uint32_t helper_dimension(void *context, const uint8_t *model_hash)
{
    const struct world *world = ((struct world_helper *)context)->world;
    return memcmp(model_hash, world->model_hash, MR_HASH_BYTES) == 0 ? world->options.dimension : 0;
}

static void expanded(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    uint8_t *result = mr_expand(&world->terms, world->hubs[event->helper].index, event->list,
                                event->count, world->kernels);
    for (size_t i = 0; i < event->count * sizeof *event->list; i++) {
        assert_int_equal(((uint8_t *)event->list)[i], 0); /* wiped */
    }
    free(event->list);
    helper->expansions++;
    mr_helper_expanded(helper->core, result);
}

static void helper_expand(void *context, const struct mr_round_terms *terms,
                          struct mr_expansion *list, uint32_t count)
{
    struct world_helper *helper = context;
    struct world_event *event = post(helper->world, expanded);
    (void)terms;
    event->helper = position(helper);
    event->list = list;
    event->count = count;
}

static void helper_revealed(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    struct mr_reveal_answer answer;
    struct mr_error error;
    if (compute(world, event->results, event->count, &answer, &error) == 0) {
        memcpy(helper->model_hash, answer.model_hash, MR_HASH_BYTES);
        mr_helper_revealed(helper->core, answer.model_hash, NULL);
        mr_reveal_answer_fini(&answer);
    } else {
        mr_helper_revealed(helper->core, NULL, error.text);
    }
}

static void helper_reveal(void *context, const struct mr_round_terms *terms,
                          const uint8_t *const *results, uint32_t included_count)
{
    struct world_helper *helper = context;
    struct world_event *event = post(helper->world, helper_revealed);
    (void)terms;
    event->helper = position(helper);
    event->results = results;
    event->count = included_count;
}

static void helper_answer(void *context, void *token, bool json, const void *body, size_t length)
{
    (void)context;
    (void)json;
    reply_with(token, body, length);
}

static const struct mr_helper_ops helper_ops = {
    .random = helper_random,
    .recall = helper_recall,
    .remember = helper_remember,
    .model_dimension = helper_dimension,
    .expand = helper_expand,
    .reveal = helper_reveal,
    .answer = helper_answer,
    .refuse = any_refused,
    .changed = changed,
};

/* --- making and unmaking --------------------------------------------------------------------- */

static void make_keys(struct world *world)
{
    for (unsigned i = 0; i < WORLD_HUBS; i++) {
        size_t length = 32;
        draw(world, world->private_keys[i], 32);
        EVP_PKEY *key =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, world->private_keys[i], 32);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, world->hubs[i].public_key, &length), 1);
        EVP_PKEY_free(key);
        world->hubs[i].index = (uint16_t)(LEAD_INDEX + i);
        snprintf(world->hubs[i].name, sizeof world->hubs[i].name, "hub-%u", i);
    }
}

static void make_model(struct world *world)
{
    const size_t d = world->options.dimension;
    const struct mr_tensor tensor = {
        .name = "weights", .dims = {(uint32_t)d}, .rank = 1, .offset = 0, .count = d};
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    assert_non_null(bytes);
    world->model_bytes = header + 4 * d;
    world->model = realloc(bytes, world->model_bytes);
    assert_non_null(world->model);
    for (size_t i = 0; i < d; i++) {
        const float value = (float)i / 64.0f - 1.0f;
        memcpy(world->model + header + 4 * i, &value, 4);
    }
    SHA256(world->model, world->model_bytes, world->model_hash);
}

static void make_terms(struct world *world)
{
    struct mr_announcement *announcement = &world->announcement;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_error error = {.text = ""};
    *announcement = (struct mr_announcement){
        .round = 7,
        .deadline_unix_ms = 1000000,
        .dimension = world->options.dimension,
        .ring_bits = world->options.ring_bits,
        .rotation_log2 = world->options.rotation_log2,
        .chunk_bytes = 1408,
        .cohort_min = world->options.cohort_min,
        .cohort_max = WORLD_DEVICES,
        .weight_max = 100,
        .scale = 500.0f,
        .clip_norm = 1.0f,
        .hub_count = (uint8_t)world->options.hubs,
    };
    memcpy(announcement->model_hash, world->model_hash, MR_HASH_BYTES);
    draw(world, announcement->rotation_seed, MR_HASH_BYTES);
    memcpy(announcement->hubs, world->hubs, world->options.hubs * sizeof world->hubs[0]);
    assert_int_equal(mr_announcement_check(announcement, &error), 0);
    const size_t length = mr_announcement_encode(bytes, announcement);
    assert_int_equal(mr_round_terms_decode(&world->terms, bytes, length, &error), 0);
}

static void make_devices(struct world *world)
{
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        struct world_device *device = &world->devices[i];
        draw(world, device->client_id, MR_CLIENT_ID_BYTES);
        device->q = malloc(world->terms.layout.lanes);
        assert_non_null(device->q);
        draw(world, (uint8_t *)device->q, world->terms.layout.lanes);
        for (uint32_t lane = 0; lane < world->terms.layout.lanes; lane++) {
            device->q[lane] = device->q[lane] == -128 ? -127 : device->q[lane];
        }
        device->trailer[MR_TRAILER_COUNT] = 1;
        device->trailer[MR_TRAILER_WEIGHT] = 10 + i;
        device->trailer[MR_TRAILER_EXAMPLES] = 100 * (i + 1);
    }
}

static void make_cores(struct world *world)
{
    const struct mr_lead_config lead = {.index = world->hubs[0].index,
                                        .private_key = world->private_keys[0],
                                        .peer_timeout_ms = 5000,
                                        .commit_interval_ms = 300};
    world->lead = mr_lead_new(&lead, &lead_ops, world);
    assert_non_null(world->lead);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        const struct mr_helper_config helper = {.index = world->hubs[i].index,
                                                .private_key = world->private_keys[i],
                                                .hubs = world->hubs,
                                                .hubs_count = world->options.hubs,
                                                .cohort_min = 3,
                                                .share_bytes_max = 1 << 20};
        world->helpers[i].world = world;
        world->helpers[i].core = mr_helper_new(&helper, &helper_ops, &world->helpers[i]);
        assert_non_null(world->helpers[i].core);
    }
}

struct world *world_open(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->options = *options;
    world->kernels = mr_kernels_select(MR_CPU_SCALAR);
    world->due_ms = UINT64_MAX;
    world->random = 42;
    world->now_ms = 5000;
    world->last = &world->first;
    make_keys(world);
    make_model(world);
    make_terms(world);
    make_devices(world);
    world->sum.lanes = aligned_alloc(64, (size_t)world->terms.layout.lanes * 4);
    world->packed = aligned_alloc(64, (size_t)world->terms.layout.share_bytes);
    assert_true(world->sum.lanes && world->packed);
    make_cores(world);
    return world;
}

void world_close(struct world *world)
{
    world_run(world);
    mr_lead_free(world->lead);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        mr_helper_free(world->helpers[i].core);
    }
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        free(world->devices[i].q);
    }
    mr_reveal_answer_fini(&world->revealed);
    free(world->held.body);
    free(world->sum.lanes);
    free(world->packed);
    free(world->model);
    free(world);
}

enum mr_verdict_code world_begin(struct world *world, struct mr_verdict *verdict)
{
    struct mr_verdict own;
    const struct mr_lead_limits limits = {.quorum = world->options.quorum,
                                          .deadline_ms = world->options.deadline_ms};
    const enum mr_verdict_code code = mr_lead_open(world->lead, &world->announcement, &limits,
                                                   world->now_ms, verdict ? verdict : &own);
    world_run(world);
    return code;
}

/* --- devices --------------------------------------------------------------------------------- */

void world_seed(uint8_t seed[MR_SEED_BYTES], unsigned device, uint32_t attempt, unsigned helper)
{
    for (unsigned i = 0; i < MR_SEED_BYTES; i++) {
        seed[i] = (uint8_t)(i + 1 + 7 * device + 31 * attempt + 101 * helper);
    }
}

void world_receipts(struct world *world, unsigned device, uint32_t attempt,
                    struct mr_upload_request *request)
{
    *request = (struct mr_upload_request){.attempt = attempt, .transport = MR_TRANSPORT_UDP};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        struct mr_seed_request seed = {.attempt = attempt};
        struct reply reply = {.done = false};
        struct mr_error error;
        memcpy(seed.announcement_hash, world->terms.hash, MR_HASH_BYTES);
        world_seed(seed.seed, device, attempt, i);
        mr_helper_seed(world->helpers[i].core, world->terms.announcement.round,
                       world->devices[device].client_id, &seed, &reply);
        assert_true(reply.done);
        assert_int_equal(reply.code, MR_VERDICT_OK);
        assert_int_equal(mr_receipt_decode(&request->receipts[request->receipt_count++],
                                           (char *)reply.body, reply.length, &error),
                         0);
        reply_fini(&reply);
    }
}

void world_admit(struct world *world, unsigned device, const struct mr_upload_request *request,
                 struct reply *reply)
{
    const struct mr_upload_keys keys = {.up = {.key = {1}}};
    mr_lead_admit(world->lead, world->terms.announcement.round, world->devices[device].client_id,
                  request, &keys, reply, world->now_ms);
}

void world_join(struct world *world, unsigned device, uint32_t attempt)
{
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_receipts(world, device, attempt, &request);
    world_admit(world, device, &request, &reply);
    world_run(world);
    assert_true(reply.done);
    assert_string_equal(reply.text, "");
    assert_int_equal(reply.code, MR_VERDICT_OK);
    world->devices[device].attempt = attempt;
    world->devices[device].upload_id = reply.grant.upload_id;
    find_upload(world, reply.grant.upload_id)->device = device;
    reply_fini(&reply);
}

void world_stage(struct world *world, unsigned device)
{
    struct world_upload *upload = find_upload(world, world->devices[device].upload_id);
    assert_int_equal(upload->state, UPLOAD_LIVE);
    upload->state = UPLOAD_STAGED;
    tell(world, MR_PLANE_STAGED, upload->id);
    world_run(world);
}

void world_fill(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world_join(world, i, 0);
    }
    for (unsigned i = 0; i < count; i++) {
        world_stage(world, i);
    }
}

struct mr_upload_status world_status(struct world *world, unsigned device, uint64_t upload_id)
{
    struct mr_upload_status status;
    struct mr_verdict verdict;
    assert_int_equal(mr_lead_upload_status(world->lead, world->terms.announcement.round,
                                           world->devices[device].client_id, upload_id, &status,
                                           &verdict),
                     MR_VERDICT_OK);
    return status;
}

enum mr_lead_state world_state(struct world *world, struct mr_lead_report *report)
{
    struct mr_lead_report own;
    mr_lead_report(world->lead, report ? report : &own);
    return report ? report->state : own.state;
}

enum mr_helper_state world_helper_state(struct world *world, unsigned helper)
{
    struct mr_helper_report report;
    mr_helper_report(world->helpers[helper].core, &report);
    return report.state;
}

size_t world_freeze_body(struct world *world, uint8_t *out, const unsigned *devices, unsigned count,
                         uint8_t commitment_fill)
{
    struct mr_included entries[WORLD_DEVICES];
    struct mr_commitment commitment = {.hub_index = world->hubs[0].index};
    for (unsigned i = 0; i < count; i++) {
        memcpy(entries[i].client_id, world->devices[devices[i]].client_id, MR_CLIENT_ID_BYTES);
        entries[i].attempt = world->devices[devices[i]].attempt;
    }
    mr_included_sort(entries, count);
    const size_t length = mr_included_encode(out, entries, count);
    memset(commitment.value, commitment_fill, sizeof commitment.value);
    assert_int_equal(mr_commitment_sign(&commitment, world->terms.hash, world->private_keys[0]), 0);
    mr_commitment_encode(out + length, &commitment);
    return length + MR_COMMITMENT_BYTES;
}

static uint32_t lane_of(const uint8_t *packed, unsigned ring_bits, size_t lane)
{
    uint32_t value = 0;
    memcpy(&value, packed + lane * (ring_bits / 8), ring_bits / 8);
    return value;
}

void world_check_sum(struct world *world, uint32_t members, const uint8_t *packed)
{
    const struct mr_layout *layout = &world->terms.layout;
    const uint32_t mask = layout->ring_bits == 32 ? UINT32_MAX : (1u << layout->ring_bits) - 1;
    for (size_t lane = 0; lane < layout->lanes; lane++) {
        int32_t sum = 0;
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].q[lane] : 0;
        }
        assert_int_equal(lane_of(packed, layout->ring_bits, lane), (uint32_t)sum & mask);
    }
    for (unsigned lane = 0; lane < MR_TRAILER_LANES; lane++) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < WORLD_DEVICES; i++) {
            sum += members >> i & 1 ? world->devices[i].trailer[lane] : 0;
        }
        assert_int_equal(lane_of(packed + layout->main_bytes, 32, lane), sum);
    }
}
