/* lead_store.c - what an operator changes between two rounds: the model that the next one begins
 * with. */
#include "appliance/round/drive/lead_driver_internal.h"

/* No round is under way that would plan the next one when it ends. */
bool mr_lead_driver_between_rounds(const struct mr_lead_driver *run)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    return report.state == MR_LEAD_IDLE || report.state == MR_LEAD_PUBLISHED ||
           report.state == MR_LEAD_VOID;
}

static void go_on(struct mr_lead_driver *run)
{
    run->resuming = false;
    if (run->context.round->automatic && !run->stopping) {
        mr_lead_driver_plan_now(run);
    }
}

/* False with the refusal. */
static bool may_begin(const struct mr_lead_driver *run, struct mr_refusal *refusal)
{
    if (mr_lead_driver_older(run, refusal)) {
        return false;
    }
    if (run->stopping || run->resuming || !mr_lead_driver_between_rounds(run)) {
        mr_refuse(refusal, MR_REFUSAL_BUSY, "a round is under way, or the hub stops");
        return false;
    }
    return true;
}

static void on_resumed(void *context, void *token, int result, const uint8_t *model_hash,
                       const struct mr_error *error)
{
    struct mr_lead_driver *run = context;
    if (result != 0) {
        run->resuming = false;
        mr_round_fatal(&run->context, "cannot make the next version", error);
        return;
    }
    run->listener.resumed(run->listener.context, token, model_hash);
    go_on(run);
}

enum mr_refusal_code mr_lead_driver_resume(struct mr_lead_driver *run,
                                           const struct mr_resume_wish *wish, void *token,
                                           struct mr_refusal *refusal)
{
    if (!may_begin(run, refusal)) {
        return refusal->code;
    }
    const enum mr_refusal_code code =
        mr_resume(&run->context, run->jobs, wish, on_resumed, run, token, refusal);
    run->resuming = code == MR_REFUSAL_NONE;
    return code;
}

/* --- any other model ---------------------------------------------------------------------------
 */

static bool on_begin(void *driver, struct mr_refusal *refusal)
{
    struct mr_lead_driver *run = driver;
    const bool begins = may_begin(run, refusal);
    run->resuming = run->resuming || begins;
    return begins;
}

/* Nothing is under way, and nothing has begun meanwhile. */
static bool on_leave(void *driver, struct mr_refusal *refusal)
{
    const struct mr_lead_driver *run = driver;
    if (run->stopping) {
        mr_refuse(refusal, MR_REFUSAL_BUSY, "the hub is stopping");
    }
    return !run->stopping;
}

static void on_over(void *driver)
{
    const struct mr_lead_driver *run = driver;
    go_on(driver);
    run->listener.changed(run->listener.context); /* another model may be the current one */
}

int mr_lead_driver_open_store_desk(struct mr_lead_driver *run, struct mr_error *error)
{
    const struct mr_store_desk_config config = {.context = &run->context,
                                                .jobs = run->jobs,
                                                .begin = on_begin,
                                                .leave = on_leave,
                                                .over = on_over,
                                                .driver = run};
    run->store_desk = mr_store_desk_open(&config);
    return run->store_desk ? 0 : mr_error_set(error, "out of memory");
}

struct mr_store_desk *mr_lead_driver_store_desk(struct mr_lead_driver *run)
{
    return run->stopping ? NULL : run->store_desk;
}
