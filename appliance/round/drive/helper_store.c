/* helper_store.c - what an operator changes between two rounds: the model that this hub signs the
 * next one on. */
#include "appliance/round/drive/helper_driver_internal.h"

static void on_resumed(void *context, void *token, int result, const uint8_t *model_hash,
                       const struct mr_error *error)
{
    struct mr_helper_driver *run = context;
    if (result != 0) {
        mr_round_fatal(&run->context, "cannot make the next version", error);
    } else {
        run->listener.resumed(run->listener.context, token, model_hash);
    }
}

/* A round whose end this hub has not heard of ends with it: its lead has to have given it up. */
enum mr_refusal_code mr_helper_driver_resume(struct mr_helper_driver *run,
                                             const struct mr_resume_wish *wish, void *token,
                                             struct mr_refusal *refusal)
{
    if (mr_helper_driver_older(run, refusal)) {
        return refusal->code;
    }
    if (run->stopping) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the hub is stopping");
    }
    if (mr_resume_check(&run->context, wish, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    if (!mr_helper_leave(run->core, "this hub's operator went on to the next version")) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the round is being worked on");
    }
    return mr_resume(&run->context, run->jobs, wish, on_resumed, run, token, refusal);
}

/* --- any other model ---------------------------------------------------------------------------
 */

static bool on_begin(void *driver, struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = driver;
    if (mr_helper_driver_older(run, refusal)) {
        return false;
    }
    if (run->stopping) {
        mr_refuse(refusal, MR_REFUSAL_BUSY, "the hub is stopping");
    }
    return !run->stopping;
}

/* As with `resume`: a round whose end this hub has not heard of ends with it. */
static bool on_leave(void *driver, struct mr_refusal *refusal)
{
    struct mr_helper_driver *run = driver;
    if (!on_begin(driver, refusal)) {
        return false;
    }
    if (!mr_helper_leave(run->core, "this hub's operator went on to another model")) {
        mr_refuse(refusal, MR_REFUSAL_BUSY, "the round is being worked on");
        return false;
    }
    return true;
}

static void on_over(void *driver)
{
    const struct mr_helper_driver *run = driver;
    if (run->listener.changed) {
        run->listener.changed(run->listener.context); /* another model may be the current one */
    }
}

int mr_helper_driver_open_store_desk(struct mr_helper_driver *run, struct mr_error *error)
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

struct mr_store_desk *mr_helper_driver_store_desk(struct mr_helper_driver *run)
{
    return run->stopping ? NULL : run->store_desk;
}
