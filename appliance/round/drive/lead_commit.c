/* lead_commit.c - the round's sum: what the workers hand over is merged into it, and is durable
 * before the core hears of it. */
#include <stdlib.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/expand_list.h"
#include "appliance/round/drive/lead_jobs.h"
#include "base/assert.h"

static size_t round_up_64(uint64_t bytes)
{
    return (size_t)((bytes + 63) & ~(uint64_t)63);
}

void mr_lead_driver_drop_sum(struct mr_lead_driver *run)
{
    if (run->sum.lanes != run->packed) {
        free(run->sum.lanes);
    }
    free(run->packed);
    run->sum.lanes = run->packed = NULL;
}

int mr_lead_driver_reserve(struct mr_lead_driver *run, const struct mr_layout *layout)
{
    mr_lead_driver_drop_sum(run);
    run->packed = aligned_alloc(64, round_up_64(layout->share_bytes));
    /* Lanes that are as wide on the wire are added up where the result is to be: each commit then
     * copies them once, into the log's buffer. */
    run->sum.lanes = mr_layout_packed(layout)
                         ? aligned_alloc(64, round_up_64(mr_layout_accumulator_bytes(layout)))
                         : run->packed;
    if (!run->sum.lanes || !run->packed) {
        return -1;
    }
    mr_sum_zero(&run->sum, layout);
    return 0;
}

/* In a round with audit_hours: durable before the log says that they are committed. */
static int keep_shares(struct mr_lead_job *job)
{
    const struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const struct mr_collection *collection = run->collection;
    const uint32_t count = collection ? collection->upload_count : 0;
    if (terms->announcement.audit_hours == 0) {
        return 0;
    }
    struct mr_audit_item *items = malloc(((size_t)count + 1) * sizeof *items);
    if (!items) {
        return mr_error_set(&job->error, "out of memory for %u shares that are kept", count);
    }
    for (uint32_t i = 0; i < count; i++) { /* the core lists them in the collection's order */
        const uint32_t at = job->state.included_count - count + i;
        MR_ASSERT(job->state.upload_ids[at] == collection->upload_ids[i]);
        items[i] = (struct mr_audit_item){.of = job->state.included[at],
                                          .material = collection->shares[i]};
    }
    int result = mr_audit_shelf_keep(run->shelf, terms, items, count, &job->error);
    free(items);
    if (result == 0 && job->state.phase == MR_COMMIT_FROZEN) {
        result = mr_audit_shelf_keep_set(run->shelf, terms, job->state.included,
                                         job->state.included_count, &job->error);
    }
    return result == 0 ? mr_audit_shelf_sync(run->shelf, &job->error) : -1;
}

/* Into the packed sum of a frozen set: what the log has is the result that is committed to. */
static int add_noise(struct mr_lead_job *job)
{
    struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    if (mr_hub_noise_prepare(&run->noise, &terms->announcement) != 0) {
        return mr_error_set(&job->error, "out of memory for the round's noise");
    }
    const struct mr_hub_noise noise = {.tables = run->noise,
                                       .terms = terms,
                                       .hub_index = run->context.hub_index,
                                       .private_key = run->context.private_key};
    return mr_sum_noised(run->packed, &noise, job->state.included, job->state.included_count,
                         run->context.kernels, &job->error);
}

static void commit_work(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const struct mr_layout *layout = &mr_lead_terms(run->core)->layout;
    const struct mr_kernels *kernels = run->context.kernels;
    for (unsigned i = 0; run->collection && i < run->collection->part_count; i++) {
        if (run->collection->parts[i].lanes) {
            mr_sum_merge(&run->sum, layout, &run->collection->parts[i], kernels);
        }
    }
    if (job->state.included_count) {
        mr_sum_pack(run->packed, layout, &run->sum, kernels);
        job->state.sum = run->packed;
        job->state.share_bytes = layout->share_bytes;
    }
    const bool final = job->state.phase == MR_COMMIT_FROZEN;
    job->result = (final && add_noise(job) != 0) || keep_shares(job) != 0 ||
                          mr_evidence_write(run->desk, &job->slip, &job->error) != 0
                      ? -1
                      : mr_lead_log_write(run->log, &job->state, &job->error);
    if (job->result == 0 && run->context.age && final) {
        job->result = mr_task_age_move(run->context.age, &job->error);
    }
}

static void commit_done(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const bool final = job->state.phase == MR_COMMIT_FROZEN;
    if (mr_lead_job_finish(job, "cannot commit")) {
        mr_lead_committed(run->core, final ? run->packed : NULL, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_commit(void *context, const struct mr_commit_state *state)
{
    struct mr_lead_driver *run = context;
    const struct mr_lead_job job = {.state = *state};
    if (state->phase == MR_COMMIT_FROZEN) {
        mr_round_stopwatch_enter(&run->watch, MR_STAGE_FREEZE, mr_lead_driver_now_us());
    }
    mr_lead_job_start_noting(run, &job, commit_work, commit_done);
}
