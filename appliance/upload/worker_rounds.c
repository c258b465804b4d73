/* worker_rounds.c - a round as a worker has it: what is told about it, and its staged uploads. */
#include "appliance/upload/worker_internal.h"
#include "base/assert.h"

/* So many are worth a wake-up of the control thread before its millisecond is over: whoever waits
 * for a window has one sooner, and what a wake-up costs is shared by as many. */
#define REPORTS_AT_ONCE 16u

/* Uploads that are whole and slots that fell free may wait for more of them. */
static bool may_wait(const struct mr_worker_report *content)
{
    return content->kind == MR_REPORT_SLOTS ||
           (content->kind == MR_REPORT_EVENT && content->event == MR_PLANE_STAGED);
}

void mr_worker_tell(struct mr_worker *worker, unsigned round,
                    const struct mr_worker_report *content)
{
    struct mr_worker_report *cell = mr_mailbox_reserve(&worker->reports);
    struct mr_worker_round *of = &worker->rounds[round];
    const uint32_t held = mr_sessions_held(worker->sessions, round);

    MR_ASSERT(cell);
    *cell = *content;
    cell->round = (uint8_t)round;
    cell->generation = of->generation;
    cell->slots_freed = of->held_told - held;
    of->held_told = held;
    mr_mailbox_send(&worker->reports);
    worker->reported++;
    worker->pressing |= !may_wait(content) || worker->reported >= REPORTS_AT_ONCE;
}

void mr_worker_tell_event(struct mr_worker *worker, unsigned round, enum mr_plane_event_kind kind,
                          uint64_t upload_id)
{
    mr_worker_tell(
        worker, round,
        &(struct mr_worker_report){.kind = MR_REPORT_EVENT, .event = kind, .upload_id = upload_id});
}

void mr_worker_fold(struct mr_worker *worker, unsigned round, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t upload_ids[MR_FOLD_MAX];
    struct mr_worker_round *of = &worker->rounds[round];

    while (mr_sessions_staged_count(worker->sessions, round) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(worker->sessions, round, shares, upload_ids);
        mr_shard_fold(&of->shards[of->active], &of->layout, shares, upload_ids, n,
                      worker->config.kernels);
        if (of->keep) {
            mr_shard_note(&of->shards[of->active], shares, n);
            mr_sessions_lend(worker->sessions, round, n);
        } else {
            mr_sessions_folded(worker->sessions, round, n);
        }
        mr_counter_add(&worker->counters->counts[MR_UPLOAD_COUNT_folds], 1);
    }
}
