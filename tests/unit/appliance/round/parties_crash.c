/* parties_crash.c - hubs that are killed, and come back with what their disks say. */
#include <stdlib.h>

#include "parties_internal.h"

/* As lead_driver_boot.c does it. */
static void recover_lead(struct world *world)
{
    struct mr_commit_read read;
    struct mr_error error = {.text = ""};
    if (mr_commit_state_parse(&read, world->log, world->log_bytes, &error) != 0) {
        fail_msg("%s", error.text);
    }
    if (read.state.included_count) {
        memcpy(world->packed, read.state.sum, (size_t)world->terms.layout.share_bytes);
    }
    if (mr_lead_recover(world->lead, &read, world->packed, &world->end, world->now_ms,
                        world->terms.announcement.deadline_unix_ms - world->options.deadline_ms +
                            (world->now_ms - WORLD_BEGIN_MS),
                        &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_sum_zero(&world->sum, &world->terms.layout);
    if (read.state.included_count) {
        const uint8_t *const shares[1] = {world->packed};
        mr_sum_fold(&world->sum, &world->terms.layout, shares, 1, world->kernels);
    }
    mr_commit_read_fini(&read);
}

void world_kill_lead(struct world *world)
{
    world->life++;
    mr_lead_free(world->lead);
    mr_next_model_answer_fini(&world->revealed);
    world->upload_count = 0;
    world->collection_out = world->frozen = false;
    world->due_ms = UINT64_MAX;
    world_new_lead(world);
    if (world->log) {
        recover_lead(world);
    }
}

void world_kill_helper(struct world *world, unsigned number)
{
    struct world_helper *helper = &world->helpers[number];
    struct mr_journal_read read;
    struct mr_error error = {.text = ""};
    helper->life++;
    world_cut(world, number);
    mr_helper_free(helper->core);
    world_new_helper(world, number);
    if (!helper->journal) {
        return;
    }
    if (mr_journal_state_parse(&read, helper->journal, helper->snapshot_bytes, &error) != 0 ||
        mr_journal_records_parse(&read, helper->journal + helper->snapshot_bytes,
                                 helper->journal_bytes - helper->snapshot_bytes, &error) != 0 ||
        mr_helper_recover(helper->core, &read, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_journal_read_fini(&read);
}
