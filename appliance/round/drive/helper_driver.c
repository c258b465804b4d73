#include "appliance/round/drive/helper_driver.h"

#include <stdlib.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/round_params.h"
#include "appliance/task/released.h"

static struct mr_helper_policy policy_of(const struct mr_helper_driver *run,
                                         const struct mr_config_round *round)
{
    const struct mr_config_accept *accept = run->context.accept;
    return (struct mr_helper_policy){
        .cohort_min = mr_config_set_min(round),
        .share_percent = accept ? accept->share_percent : 0,
        .passed_over_percent = accept ? accept->passed_over_percent : 0,
        .share_bytes_max = run->context.share_bytes_max,
        .lead_grace_ms = round->lead_grace_ms,
        .deadline_ahead_ms = MR_ROUND_DEADLINE_MS_MAX + (uint64_t)round->lead_grace_ms,
    };
}

void mr_helper_driver_set_policy(struct mr_helper_driver *run, const struct mr_config_round *round,
                                 const struct mr_config_accept *accept)
{
    run->context.accept = accept;
    const struct mr_helper_policy policy = policy_of(run, round);
    run->context.round = round;
    mr_helper_set_policy(run->core, &policy);
}

void mr_helper_driver_set_keep(struct mr_helper_driver *run, const struct mr_config_keep *keep)
{
    run->context.keep = keep;
    if (run->keeper) {
        mr_keeper_kick(run->keeper);
    }
}

struct mr_keeper *mr_helper_driver_keeper(struct mr_helper_driver *run)
{
    return run->keeper;
}

static const uint8_t *parent_of(void *context)
{
    return mr_helper_parent(((struct mr_helper_driver *)context)->core);
}

/* After the boot: what it takes up is needed. Its journal goes by its own rules. */
static int open_keeper(struct mr_helper_driver *run, struct mr_error *error)
{
    const struct mr_keeper_config config = {.context = &run->context,
                                            .jobs = run->jobs,
                                            .history = &run->history,
                                            .parent = parent_of,
                                            .shelf = run->shelf,
                                            .under_way = mr_helper_driver_round_under_way,
                                            .driver = run};
    run->keeper = run->context.keep ? mr_keeper_open(&config) : NULL;
    return run->keeper || !run->context.keep ? 0 : mr_error_set(error, "out of memory");
}

int mr_helper_driver_open(struct mr_helper_driver **out, const struct mr_round_context *context,
                          const struct mr_helper_listener *listener, struct mr_error *error)
{
    struct mr_helper_driver *run = calloc(1, sizeof *run);
    if (!run) {
        return mr_error_set(error, "out of memory");
    }
    run->context = *context;
    run->listener = *listener;
    const struct mr_helper_config config = {
        .task = context->task,
        .index = context->hub_index,
        .private_key = context->private_key,
        .mark_part = context->mark_part,
        .hubs = context->hubs,
        .hubs_count = context->hubs_count,
        .policy = policy_of(run, context->round),
    };
    run->core = mr_helper_new(&config, &mr_helper_driver_ops, run);
    run->timer = mr_timer_open(context->loop, mr_helper_driver_tick, run);
    if (!run->core || !run->timer) {
        mr_helper_driver_close(run);
        return mr_error_set(error, "out of memory");
    }
    if (mr_round_history_init(&run->history, context->store, error) != 0 ||
        mr_job_thread_open(&run->jobs, context->loop, "helper", error) != 0 ||
        mr_helper_driver_open_desk(run, error) != 0 ||
        mr_audit_shelf_open(&run->shelf, &run->context, error) != 0 ||
        mr_helper_driver_boot(run, error) != 0 ||
        mr_helper_driver_open_store_desk(run, error) != 0 || open_keeper(run, error) != 0) {
        mr_helper_driver_stop(run);
        mr_helper_driver_close(run);
        return -1;
    }
    *out = run;
    return 0;
}

void mr_helper_driver_join(struct mr_helper_driver *run)
{
    if (run->jobs) {
        mr_job_thread_close(run->jobs);
    }
    run->jobs = NULL;
}

void mr_helper_driver_stop(struct mr_helper_driver *run)
{
    mr_helper_driver_halt(run);
    mr_helper_driver_join(run);
}

void mr_helper_driver_close(struct mr_helper_driver *run)
{
    if (!run) {
        return;
    }
    mr_released_leave(run->context.released, run->context.task, run);
    mr_keeper_close(run->keeper);
    if (run->desk) {
        mr_evidence_desk_halt(run->desk);
    }
    mr_helper_free(run->core);
    if (run->timer) {
        mr_timer_close(run->timer);
    }
    mr_helper_driver_disk_close(run);
    mr_store_desk_close(run->store_desk);
    mr_round_history_fini(&run->history);
    mr_noise_tables_free(run->noise);
    free(run);
}
