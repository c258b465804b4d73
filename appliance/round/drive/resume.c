#include "appliance/round/drive/resume.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/claims.h"
#include "appliance/task/age.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

/* In the header's metadata: the hash of the version whose values these are, and the codes of the
 * recoveries that it ends, with commas between. */
#define NAME "millrace.resumed_from"

struct resume_job {
    const struct mr_round_context *context;
    mr_resumed_fn fn;
    void *fn_context, *token;
    struct mr_model *base;
    uint8_t base_hash[MR_HASH_BYTES], hash[MR_HASH_BYTES];
    char codes[MR_RESUME_CODES_MAX + 1];
    int result;
    struct mr_error error;
};

/* After a recovery, until the version is there that goes on from it. */
static bool waits_for_code(const struct mr_round_context *context)
{
    return context->age && context->age->recovered.epoch && !context->age->recovered.has_fresh;
}

/* Any version that is made after a recovery: nothing before it is signed on. */
static bool has_recovered(const struct mr_round_context *context)
{
    return context->age && context->age->recovered.epoch;
}

static void adopt_fresh(const struct resume_job *job)
{
    if (has_recovered(job->context)) {
        struct mr_recovered *recovered = &job->context->age->recovered;
        recovered->has_fresh = true;
        memcpy(recovered->fresh, job->hash, MR_HASH_BYTES);
    }
}

static int store(struct resume_job *job, const uint8_t *bytes, size_t length, const char *from)
{
    char manifest[160];
    SHA256(bytes, length, job->hash);
    snprintf(manifest, sizeof manifest, "{\"parent\": \"%s\", \"resumed\": true}\n", from);
    return mr_store_write_model(job->context->store, job->hash, bytes, length, manifest,
                                &job->error) < 0
               ? -1
               : mr_store_write_current(job->context->store, job->hash, &job->error);
}

static void resume_work(void *context)
{
    struct resume_job *job = context;
    char from[2 * MR_HASH_BYTES + 1], name[sizeof from + sizeof job->codes];
    size_t length, renamed_length = 0;
    const uint8_t *bytes = mr_model_bytes(job->base, &length);
    mr_hex_encode(from, job->base_hash, MR_HASH_BYTES);
    snprintf(name, sizeof name, "%s%s%s", from, *job->codes ? "," : "", job->codes);
    uint8_t *renamed =
        mr_safetensors_rename(bytes, length, NAME, name, &renamed_length, &job->error);
    job->result = renamed ? store(job, renamed, renamed_length, from) : -1;
    if (job->result == 0 && has_recovered(job->context)) { /* the last: then rounds may begin */
        job->result = mr_task_age_write_fresh(job->context->age, job->hash, &job->error);
    }
    free(renamed);
}

static void resume_done(void *context)
{
    struct resume_job *job = context;
    char from[2 * MR_HASH_BYTES + 1], hash[2 * MR_HASH_BYTES + 1];
    mr_store_return(job->context->store, job->base);
    if (job->result == 0) {
        mr_store_adopt(job->context->store, job->hash);
        adopt_fresh(job);
        mr_hex_encode(from, job->base_hash, MR_HASH_BYTES);
        mr_hex_encode(hash, job->hash, MR_HASH_BYTES);
        mr_log_event(job->context->log, MR_LOG_WARN, "task.resumed", "task=%s from=%s model=%s",
                     job->context->task, from, hash);
    }
    job->fn(job->fn_context, job->token, job->result, job->hash, &job->error);
    free(job);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, MR_HASH_BYTES) == 0;
}

/* The current model, its parent (where another hub made the next one and this one did not), or a
 * version that was resumed before: then the same one is made again. A hub that goes on from a
 * recovery takes any that it has: what its operator puts there, the newest of the other hubs'. */
static bool fits(const struct mr_round_context *context, const uint8_t *base)
{
    uint8_t parent[MR_HASH_BYTES];
    const struct mr_store *store = context->store;
    const uint8_t *current = mr_store_current(store);
    return waits_for_code(context) || same(base, current) ||
           (mr_store_parent(store, current, parent) == 0 && same(base, parent));
}

static const uint8_t *base_of(const struct mr_round_context *context,
                              const struct mr_resume_wish *wish)
{
    return wish->model_hash ? wish->model_hash : mr_store_current(context->store);
}

enum mr_refusal_code mr_resume_check(const struct mr_round_context *context,
                                     const struct mr_resume_wish *wish, struct mr_refusal *refusal)
{
    const uint8_t *base = base_of(context, wish);
    const uint32_t devices = mr_claims_devices(context, base);
    if (waits_for_code(context) && !strstr(wish->codes, context->age->recovered.code)) {
        return mr_refuse(refusal, MR_REFUSAL_OLDER,
                         "this hub has recovered: the task goes on with a version of which every "
                         "hub knows the code, --recovery-code %s",
                         context->age->recovered.code);
    }
    if (!fits(context, base)) {
        return mr_refuse(refusal, MR_REFUSAL_NOT_FOUND,
                         "the model to go on from is neither this hub's current one nor the one "
                         "before: see millrace task show on every hub");
    }
    if (!wish->accepted && devices == 0) { /* another hub may have opened what this one lost */
        return mr_refuse(
            refusal, MR_REFUSAL_RELEASED,
            "no device is in a set on that model that this hub opened: the task stands still only "
            "where another hub lost a round, or does not say that it opened none. The next version "
            "has the same values: whoever opened a set on this one after all sees in the "
            "difference of the two sums how its devices' updates changed");
    }
    if (!wish->accepted) {
        return mr_refuse(
            refusal, MR_REFUSAL_RELEASED,
            "%u devices are in an opened set on that model and would be counted again, on the same "
            "values: whoever holds the sum that was lost sees in its difference to the next one "
            "how these devices' updates changed: of one device alone where only that one's did, "
            "and a "
            "device's whole update where it is left out and the others train to the same again",
            devices);
    }
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_resume(const struct mr_round_context *context, struct mr_job_thread *jobs,
                               const struct mr_resume_wish *wish, mr_resumed_fn fn,
                               void *fn_context, void *token, struct mr_refusal *refusal)
{
    struct mr_error error;
    const uint8_t *base = base_of(context, wish);
    if (mr_resume_check(context, wish, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    struct resume_job *job = calloc(1, sizeof *job);
    MR_ASSERT(job);
    *job =
        (struct resume_job){.context = context, .fn = fn, .fn_context = fn_context, .token = token};
    memcpy(job->base_hash, base, MR_HASH_BYTES);
    snprintf(job->codes, sizeof job->codes, "%s", wish->codes);
    job->base = mr_store_borrow(context->store, base, &error);
    if (!job->base) {
        free(job);
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    mr_job_run(jobs, resume_work, resume_done, job);
    return MR_REFUSAL_NONE;
}
