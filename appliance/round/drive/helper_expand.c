/* helper_expand.c - the frozen set's seeds, expanded and added up, with this hub's noise: the
 * result that it commits to. On the job thread. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/expand_list.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "base/assert.h"
#include "base/secret.h"

struct expand_job {
    struct mr_helper_driver *run;
    const struct mr_round_terms *terms;
    uint8_t hash[MR_HASH_BYTES]; /* of the set */
    struct mr_expansion *list;   /* secret, owned */
    uint32_t count;
    uint8_t *expanded; /* the core's in the end; NULL: no memory for it */
};

static void expand_work(void *context)
{
    struct expand_job *job = context;
    const struct mr_round_context *hub = &job->run->context;
    struct mr_hub_noise noise = {.terms = job->terms,
                                 .set_hash = job->hash,
                                 .hub_index = hub->hub_index,
                                 .private_key = hub->private_key};
    if (mr_hub_noise_prepare(&job->run->noise, &job->terms->announcement) == 0) {
        noise.tables = job->run->noise;
        job->expanded = mr_expand_noised(&noise, job->list, job->count, hub->kernels);
    }
}

static void expand_done(void *context)
{
    struct expand_job *job = context;
    mr_helper_expanded(job->run->core, job->expanded);
    mr_secret_free(job->list);
    free(job);
}

void mr_helper_driver_expand(void *context, const struct mr_round_terms *terms,
                             struct mr_expansion *list, uint32_t count)
{
    struct mr_helper_driver *run = context;
    const uint8_t *set_hash;
    uint32_t included;
    if (run->stopping) {
        mr_secret_free(list);
        return;
    }
    struct expand_job *job = malloc(sizeof *job);
    MR_ASSERT(job && run->jobs);
    *job = (struct expand_job){.run = run, .terms = terms, .list = list, .count = count};
    (void)mr_helper_included(run->core, &included, &set_hash);
    memcpy(job->hash, set_hash, MR_HASH_BYTES);
    mr_job_run(run->jobs, expand_work, expand_done, job);
}
