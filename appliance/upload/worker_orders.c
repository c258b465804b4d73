/* worker_orders.c - what a worker does at an order of the control thread. */
#include <openssl/crypto.h>

#include "appliance/runtime/sandbox.h"
#include "appliance/upload/worker_internal.h"
#include "base/assert.h"

static void on_begin(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct mr_worker_round *of = &worker->rounds[order->round];
    const struct mr_layout *layout = &order->begin.layout;
    const uint32_t capacity = order->begin.capacity;
    uint8_t *memory = (uint8_t *)worker->accumulators.base + order->begin.accumulators_at;

    *of = (struct mr_worker_round){
        .generation = order->begin.generation, .layout = *layout, .keep = order->begin.keep};
    for (unsigned i = 0; i < MR_WORKER_SHARDS; i++) {
        mr_shard_init(&of->shards[i], memory + i * mr_shard_block_bytes(layout, capacity), layout,
                      capacity);
    }
    mr_sessions_begin(worker->sessions, order->round, order->begin.number, layout,
                      order->begin.window_total);
    worker->live[worker->live_count++] = order->round;
}

static void on_end(struct mr_worker *worker, const struct mr_worker_order *order)
{
    unsigned i = 0;

    while (i < worker->live_count && worker->live[i] != order->round) {
        i++;
    }
    MR_ASSERT(i < worker->live_count);
    worker->live[i] = worker->live[--worker->live_count];
    mr_sessions_end(worker->sessions, order->round, order->end.window_total);
    mr_worker_tell(worker, order->round, &(struct mr_worker_report){.kind = MR_REPORT_ENDED});
}

static void on_admit(struct mr_worker *worker, struct mr_worker_order *order, uint64_t now)
{
    const struct mr_session_admission admission = {.upload_id = order->admit.upload_id,
                                                   .attempt = order->admit.attempt,
                                                   .count_lane = order->admit.count_lane,
                                                   .keys = &order->admit.keys};
    const unsigned round = order->round;
    const int failed = mr_sessions_admit(worker->sessions, round, &admission, now);

    OPENSSL_cleanse(&order->admit, sizeof order->admit);
    worker->rounds[round].held_told++; /* the control thread counted it when it admitted */
    if (failed != 0) {
        mr_worker_tell_event(worker, round, MR_PLANE_EXPIRED, admission.upload_id);
    }
}

static void on_revoke(struct mr_worker *worker, const struct mr_worker_order *order)
{
    const bool revoked =
        mr_sessions_revoke(worker->sessions, order->revoke.upload_id, order->revoke.reason);

    mr_worker_tell_event(worker, order->round, revoked ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED,
                         order->revoke.upload_id);
}

static void on_collect(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct mr_worker_round *of = &worker->rounds[order->round];

    MR_ASSERT(!of->lent);
    mr_worker_fold(worker, order->round, true);
    if (order->collect.freeze) {
        mr_sessions_refuse_all(worker->sessions, order->round, MR_REASON_CLOSED);
    }
    mr_worker_tell(
        worker, order->round,
        &(struct mr_worker_report){.kind = MR_REPORT_COLLECTED, .shard = &of->shards[of->active]});
    of->active = (of->active + 1) % MR_WORKER_SHARDS;
    of->lent = true;
}

static void on_return(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct mr_worker_round *of = &worker->rounds[order->round];

    MR_ASSERT(of->lent);
    struct mr_shard *shard = &of->shards[(of->active + 1) % MR_WORKER_SHARDS];
    mr_sessions_take_back(worker->sessions, order->round);
    for (uint32_t i = 0; i < shard->count; i++) {
        mr_sessions_settle(worker->sessions, shard->upload_ids[i], order->give_back.committed,
                           order->give_back.reason);
    }
    if (shard->count > 0) {
        mr_shard_clear(shard, &of->layout);
    }
    of->lent = false;
}

void mr_worker_take_orders(struct mr_worker *worker, uint64_t now)
{
    struct mr_worker_order *order;

    while ((order = mr_mailbox_peek(&worker->orders)) != NULL) {
        switch (order->kind) {
        case MR_ORDER_BEGIN:
            on_begin(worker, order);
            break;
        case MR_ORDER_END:
            on_end(worker, order);
            break;
        case MR_ORDER_ADMIT:
            on_admit(worker, order, now);
            break;
        case MR_ORDER_REVOKE:
            on_revoke(worker, order);
            break;
        case MR_ORDER_COLLECT:
            on_collect(worker, order);
            break;
        case MR_ORDER_RETURN:
            on_return(worker, order);
            break;
        case MR_ORDER_CONFINE:
            mr_sandbox_confine_worker();
            break;
        }
        mr_mailbox_consume(&worker->orders);
    }
}
