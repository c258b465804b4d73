#include "appliance/round/drive/lead_driver.h"

#include <stdlib.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/task/released.h"

/* --- events ---------------------------------------------------------------------------------- */

static void on_tick(void *context)
{
    struct mr_lead_driver *run = context;
    if (!run->stopping) { /* time that passes meanwhile ends no round */
        mr_lead_tick(run->core, mr_lead_driver_now_ms(run));
    }
}

/* A hub that does not answer has not answered the proposal either; what one says that refuses, it
 * says to that once more. */
static void on_stood(struct mr_lead_driver *run, const struct mr_peer_answer *answer)
{
    if (answer->status == 0 || answer->status == 503) {
        struct mr_peer_answer failed = *answer;
        failed.step = MR_PEER_PROPOSE;
        mr_lead_peer_answered(run->core, &failed, mr_lead_driver_now_ms(run));
        mr_lead_driver_tell_waiting(run);
        return;
    }
    run->stood[answer->peer] = true;
    mr_lead_driver_propose(run, answer->peer);
}

static void on_peer_answered(void *context, const struct mr_peer_answer *answer)
{
    struct mr_lead_driver *run = context;
    if (run->stopping) {
        return; /* a hub that did not answer in time now ends no round either */
    }
    mr_lead_driver_look_at_clock(run, answer->peer);
    if (!mr_lead_driver_hear(run, answer)) {
        return;
    }
    if (answer->step == MR_PEER_STAND) {
        on_stood(run, answer);
        return;
    }
    mr_lead_peer_answered(run->core, answer, mr_lead_driver_now_ms(run));
    mr_lead_driver_tell_waiting(run);
}

/* --- opening and closing --------------------------------------------------------------------- */

static int open_links(struct mr_lead_driver *run, struct mr_error *error)
{
    for (unsigned i = 1; i < run->context.hubs_count; i++) {
        const struct mr_peer_link_config link = {
            .task = run->context.task,
            .endpoint = run->context.endpoints[i],
            .peer = i,
        };
        if (mr_peer_link_open(&run->links[i], run->context.loop, &link, on_peer_answered, run,
                              error) != 0) {
            return -1;
        }
    }
    return 0;
}

void mr_lead_driver_set_policy(struct mr_lead_driver *run, const struct mr_config_round *round)
{
    run->context.round = round;
    if (!round->automatic) {
        mr_timer_disarm(run->automatic);
    } else if (mr_lead_driver_between_rounds(run)) {
        mr_lead_driver_plan_now(run);
    }
}

void mr_lead_driver_set_accept(struct mr_lead_driver *run, const struct mr_config_accept *accept)
{
    run->context.accept = accept;
}

void mr_lead_driver_set_keep(struct mr_lead_driver *run, const struct mr_config_keep *keep)
{
    run->context.keep = keep;
    if (run->keeper) {
        mr_keeper_kick(run->keeper);
    }
}

const struct mr_audit_shelf *mr_lead_driver_shelf(const struct mr_lead_driver *run)
{
    return run->shelf;
}

struct mr_keeper *mr_lead_driver_keeper(struct mr_lead_driver *run)
{
    return run->keeper;
}

static const uint8_t *parent_of(void *context)
{
    const struct mr_lead_driver *run = context;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    return terms ? terms->announcement.model_hash : NULL;
}

static uint64_t round_under_way(void *context)
{
    const struct mr_lead_driver *run = context;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    return terms && !mr_lead_driver_between_rounds(run) ? terms->announcement.round : 0;
}

/* After the boot: what it takes up is needed. */
static int open_keeper(struct mr_lead_driver *run, struct mr_error *error)
{
    const struct mr_keeper_config config = {.context = &run->context,
                                            .jobs = run->jobs,
                                            .history = &run->history,
                                            .parent = parent_of,
                                            .drop_logs = mr_lead_driver_drop_log,
                                            .shelf = run->shelf,
                                            .under_way = round_under_way,
                                            .driver = run};
    run->keeper = run->context.keep ? mr_keeper_open(&config) : NULL;
    return run->keeper || !run->context.keep ? 0 : mr_error_set(error, "out of memory");
}

void mr_lead_driver_set_endpoints(struct mr_lead_driver *run,
                                  const struct mr_h2_endpoint *endpoints)
{
    run->context.endpoints = endpoints;
    for (unsigned i = 1; i < run->context.hubs_count; i++) {
        mr_peer_link_set_endpoint(run->links[i], &endpoints[i]);
    }
}

static int open_parts(struct mr_lead_driver *run, struct mr_error *error)
{
    const struct mr_config_round *round = run->context.round;
    const struct mr_lead_config config = {
        .index = run->context.hub_index,
        .private_key = run->context.private_key,
        .mark_part = run->context.mark_part,
        .peer_timeout_ms = round->peer_timeout_ms,
        .commit_interval_ms = round->commit_interval_ms,
    };
    mr_lead_driver_take_rules(run);
    run->timer = mr_timer_open(run->context.loop, on_tick, run);
    run->automatic = mr_timer_open(run->context.loop, mr_lead_driver_on_automatic, run);
    run->core = mr_lead_new(&config, &mr_lead_driver_ops, run);
    if (!run->timer || !run->automatic || !run->core) {
        return mr_error_set(error, "out of memory");
    }
    if (mr_early_stop_read(run->context.data_dir, &run->stopped_after, error) != 0 ||
        mr_round_history_init(&run->history, run->context.store, error) != 0 ||
        mr_job_thread_open(&run->jobs, run->context.loop, "lead", error) != 0 ||
        open_links(run, error) != 0 || mr_lead_driver_open_desk(run, error) != 0 ||
        mr_audit_shelf_open(&run->shelf, &run->context, error) != 0 ||
        mr_lead_driver_boot(run, error) != 0 || mr_lead_driver_open_store_desk(run, error) != 0 ||
        open_keeper(run, error) != 0) {
        return -1;
    }
    mr_lead_driver_set_policy(run, round);
    return 0;
}

int mr_lead_driver_open(struct mr_lead_driver **out, const struct mr_round_context *context,
                        const struct mr_lead_listener *listener, struct mr_error *error)
{
    struct mr_lead_driver *run = calloc(1, sizeof *run);
    if (!run) {
        return mr_error_set(error, "out of memory");
    }
    run->context = *context;
    run->listener = *listener;
    if (open_parts(run, error) != 0) {
        mr_lead_driver_stop(run);
        mr_lead_driver_close(run);
        return -1;
    }
    *out = run;
    return 0;
}

void mr_lead_driver_join(struct mr_lead_driver *run)
{
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        if (run->links[i]) {
            mr_peer_link_stop(run->links[i]);
        }
    }
    if (run->jobs) {
        mr_job_thread_close(run->jobs);
    }
    run->jobs = NULL;
}

void mr_lead_driver_stop(struct mr_lead_driver *run)
{
    mr_lead_driver_halt(run);
    mr_lead_driver_join(run);
}

void mr_lead_driver_close(struct mr_lead_driver *run)
{
    if (!run) {
        return;
    }
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        mr_peer_link_close(run->links[i]);
        free(run->proposals[i].body);
    }
    mr_released_leave(run->context.released, run->context.task, run);
    mr_keeper_close(run->keeper);
    mr_lead_free(run->core);
    mr_lead_driver_end_plane_round(run);
    if (run->timer) {
        mr_timer_close(run->timer);
    }
    if (run->automatic) {
        mr_timer_close(run->automatic);
    }
    mr_round_history_fini(&run->history);
    mr_evidence_desk_close(run->desk);
    mr_audit_shelf_close(run->shelf);
    mr_store_desk_close(run->store_desk);
    mr_commit_log_close(run->log);
    mr_disk_file_close(run->disk);
    mr_made_model_drop(run->made);
    mr_lead_driver_drop_sum(run);
    mr_noise_tables_free(run->noise);
    free(run);
}
