#include "appliance/round/drive/older.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/job.h"
#include "appliance/task/age.h"
#include "base/assert.h"

bool mr_older(const struct mr_round_context *context)
{
    return context->age && context->age->is_older;
}

enum mr_refusal_code mr_older_refuse(const struct mr_round_context *context,
                                     struct mr_refusal *refusal)
{
    return mr_refuse(refusal, MR_REFUSAL_OLDER,
                     "hub %u is older than itself in task %s, and answers nothing before its "
                     "operator has recovered it (millrace recover): %.200s",
                     context->hub_index, context->task, context->age->older.why);
}

bool mr_older_may_begin(const struct mr_round_context *context, bool parent,
                        struct mr_refusal *refusal)
{
    const struct mr_recovered *recovered = context->age ? &context->age->recovered : NULL;
    if (!recovered || recovered->epoch == 0) {
        return true;
    }
    if (!recovered->has_fresh) {
        mr_refuse(refusal, MR_REFUSAL_OLDER,
                  "hub %u has recovered task %s and may have opened sets on every model that it "
                  "has: it goes on with the version that all hubs make by millrace task resume "
                  "--recovery-code %s",
                  context->hub_index, context->task, recovered->code);
        return false;
    }
    const uint8_t *current = mr_store_current(context->store);
    if (parent && memcmp(current, recovered->fresh, MR_HASH_BYTES) == 0) {
        mr_refuse(refusal, MR_REFUSAL_OLDER,
                  "hub %u has recovered task %s since it had that model, and signs on newer ones "
                  "only",
                  context->hub_index, context->task);
        return false;
    }
    return true;
}

/* --- found ----------------------------------------------------------------------------------- */

struct found_job {
    const struct mr_round_context *context;
    struct mr_older older;
    int result;
    struct mr_error error;
};

static void found_work(void *context)
{
    struct found_job *job = context;
    job->result = mr_task_age_write_older(job->context->age, &job->older, &job->error);
}

static void found_done(void *context)
{
    struct found_job *job = context;
    if (job->result != 0) {
        job->context->fatal(job->context->fatal_context, job->error.text);
    }
    free(job);
}

void mr_older_found(const struct mr_round_context *context, struct mr_job_thread *jobs,
                    const struct mr_older *older)
{
    struct mr_task_age *age = context->age;
    struct found_job *job = calloc(1, sizeof *job);
    MR_ASSERT(job);
    *job = (struct found_job){.context = context, .older = *older};
    age->is_older = true; /* whatever the disk does */
    age->older = *older;
    mr_log_event(context->log, MR_LOG_ERROR, "task.older",
                 "task=%s sequence=%" PRIu64 " round=%" PRIu64 " why=%s", context->task,
                 older->sequence, older->round, older->why);
    if (jobs) {
        mr_job_run(jobs, found_work, found_done, job);
    } else {
        found_work(job);
        found_done(job);
    }
}
