#include "appliance/privacy/plan.h"

int mr_plan_make(struct mr_plan *plan, const struct mr_plan_question *question,
                 struct mr_error *error)
{
    (void)plan;
    (void)question;
    return mr_error_set(error, "not yet");
}
