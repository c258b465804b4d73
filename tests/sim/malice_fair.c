/* malice_fair.c - a lead that shapes its sets: it leaves one device out each time, isolates one
 * among its accomplices, or lets in whom it likes whatever was drawn. What a helper does not look
 * at, where a defect is planted. */
#include "tests/sim/malice.h"

#include "appliance/round/helper/helper_internal.h"
#include "appliance/round/lead/lead_internal.h"
#include "tests/sim/device.h"

enum mr_refusal_code __real_mr_lead_register(struct mr_lead *lead,
                                             const struct mr_applicant *applicant, uint64_t now_ms,
                                             struct mr_refusal *refusal);
enum mr_refusal_code __wrap_mr_lead_register(struct mr_lead *lead,
                                             const struct mr_applicant *applicant, uint64_t now_ms,
                                             struct mr_refusal *refusal);
enum mr_refusal_code __real_mr_lead_check_drawn(const struct mr_lead *lead,
                                                const uint8_t *client_id,
                                                struct mr_refusal *refusal);
enum mr_refusal_code __wrap_mr_lead_check_drawn(const struct mr_lead *lead,
                                                const uint8_t *client_id,
                                                struct mr_refusal *refusal);
enum mr_refusal_code __real_mr_helper_check_drawn(const struct helper_drawn *drawn,
                                                  const struct mr_included *set, uint32_t count,
                                                  struct mr_refusal *refusal);
enum mr_refusal_code __wrap_mr_helper_check_drawn(const struct helper_drawn *drawn,
                                                  const struct mr_included *set, uint32_t count,
                                                  struct mr_refusal *refusal);
enum mr_refusal_code __real_mr_helper_check_shape(const struct mr_helper *helper,
                                                  const struct mr_shape *shape, uint32_t quorum,
                                                  struct mr_refusal *refusal);
enum mr_refusal_code __wrap_mr_helper_check_shape(const struct mr_helper *helper,
                                                  const struct mr_shape *shape, uint32_t quorum,
                                                  struct mr_refusal *refusal);

enum plot { NONE, LEAVE_ONE_OUT, ISOLATE, CHOOSE, PLOTS };

/* What the lead is up to in this round. */
static enum plot plot_of(const struct mr_lead *lead)
{
    const struct sim *sim = sim_active();
    if (!sim || !sim->current || !sim_is_malicious(sim->current)) {
        return NONE;
    }
    return (enum plot)((sim->options.seed + lead_announcement(lead)->round) % PLOTS);
}

/* Its accomplices are those with the smallest numbers, as many as make a set with one more. */
static bool is_wanted(const struct mr_lead *lead, enum plot plot, const uint8_t *client_id)
{
    struct sim *sim = sim_active();
    const int device = sim_device_by_id(sim, client_id);
    const uint64_t members = sim->plan.tasks[0].devices;
    const uint64_t before = members & ((UINT64_C(1) << device) - 1);
    const unsigned number = (unsigned)__builtin_popcountll(before);
    switch (plot) {
    case LEAVE_ONE_OUT:
        return number != 0;
    case ISOLATE:
        return number < lead_announcement(lead)->cohort_min;
    default:
        return true;
    }
}

enum mr_refusal_code __wrap_mr_lead_register(struct mr_lead *lead,
                                             const struct mr_applicant *applicant, uint64_t now_ms,
                                             struct mr_refusal *refusal)
{
    return is_wanted(lead, plot_of(lead), applicant->client_id)
               ? __real_mr_lead_register(lead, applicant, now_ms, refusal)
               : mr_refuse(refusal, MR_REFUSAL_BUSY, "no slot is free");
}

enum mr_refusal_code __wrap_mr_lead_check_drawn(const struct mr_lead *lead,
                                                const uint8_t *client_id,
                                                struct mr_refusal *refusal)
{
    const enum plot plot = plot_of(lead);
    if (plot == CHOOSE) {
        return MR_REFUSAL_NONE;
    }
    return is_wanted(lead, plot, client_id)
               ? __real_mr_lead_check_drawn(lead, client_id, refusal)
               : mr_refuse(refusal, MR_REFUSAL_BUSY, "every upload slot is taken");
}

static bool ignores(enum sim_mutant mutant)
{
    const struct sim *sim = sim_active();
    return sim && sim->options.mutant == mutant;
}

enum mr_refusal_code __wrap_mr_helper_check_drawn(const struct helper_drawn *drawn,
                                                  const struct mr_included *set, uint32_t count,
                                                  struct mr_refusal *refusal)
{
    return ignores(SIM_MUTANT_DRAW_IGNORED)
               ? MR_REFUSAL_NONE
               : __real_mr_helper_check_drawn(drawn, set, count, refusal);
}

enum mr_refusal_code __wrap_mr_helper_check_shape(const struct mr_helper *helper,
                                                  const struct mr_shape *shape, uint32_t quorum,
                                                  struct mr_refusal *refusal)
{
    return ignores(SIM_MUTANT_SHAPE_IGNORED)
               ? MR_REFUSAL_NONE
               : __real_mr_helper_check_shape(helper, shape, quorum, refusal);
}
