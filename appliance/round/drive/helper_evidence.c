/* helper_evidence.c - the desk that a helper's answers pass, and what it has for audits. */
#include "appliance/round/drive/helper_driver_internal.h"

static void let_answer_go(void *context, const struct mr_evidence_held *held)
{
    const struct mr_helper_driver *run = context;
    run->listener.answer(run->listener.context, held->token, held->json, held->body, held->length);
}

static void drop_answer(void *context, const struct mr_evidence_held *held)
{
    const struct mr_helper_driver *run = context;
    struct mr_refusal refusal;
    mr_refuse(&refusal, MR_REFUSAL_BUSY, "the hub is stopping");
    run->listener.refuse(run->listener.context, held->token, &refusal);
}

static void tell_facts(void *context, struct mr_round_facts *facts)
{
    const struct mr_helper_driver *run = context;
    mr_helper_facts(run->core, facts);
    mr_round_debit_tell(&run->debit, run->context.hub_index, facts);
}

int mr_helper_driver_open_desk(struct mr_helper_driver *run, struct mr_error *error)
{
    const struct mr_evidence_desk_config config = {.context = &run->context,
                                                   .jobs = run->jobs,
                                                   .facts = tell_facts,
                                                   .let_go = let_answer_go,
                                                   .drop = drop_answer,
                                                   .driver = run};
    return mr_evidence_desk_open(&run->desk, &config, error);
}

const struct mr_audit_shelf *mr_helper_driver_shelf(const struct mr_helper_driver *run)
{
    return run->shelf;
}

uint64_t mr_helper_driver_round_under_way(void *context)
{
    struct mr_helper_report report;
    mr_helper_report(((const struct mr_helper_driver *)context)->core, &report);
    return report.state == MR_HELPER_IDLE || report.state == MR_HELPER_DONE ||
                   report.state == MR_HELPER_VOID
               ? 0
               : report.round;
}
