#include "appliance/round/drive/recovery.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/older.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/standings.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/round/void_kind.h"
#include "base/assert.h"
#include "base/bytes.h"

struct recovery_job {
    struct mr_recovery_config config;
    struct mr_round_terms terms; /* of the round that ends here */
    bool has_round;
    char reason[MR_RECOVERY_REASON_BYTES];
    struct mr_recovered recovered;
    mr_recovery_fn fn;
    void *fn_context, *token;
    int result;
    struct mr_error error;
};

/* --- what is written, in this order: a hub that is killed in between recovers once more ---------
 */

/* The round counts as opened: in the life that is lost it may have been. A round that has a record
 * had ended before. */
static int end_round(struct recovery_job *job)
{
    const struct mr_round_context *context = job->config.context;
    const struct mr_round_facts facts = {
        .terms = &job->terms, .end = MR_FACTS_VOID, .opened = true, .reason = job->reason};
    const struct mr_record record = {.task = context->task,
                                     .terms = &job->terms,
                                     .state = "void",
                                     .reason = job->reason,
                                     .opened = true};
    char *text = mr_record_round(&record);
    const int written = mr_store_write_round(context->store, job->terms.announcement.round, text,
                                             NULL, 0, &job->error);
    free(text);
    if (written != 0) {
        return written < 0 ? -1 : 0;
    }
    return mr_evidence_complete(job->config.desk, &facts, &job->error);
}

static int say_recovered(struct recovery_job *job)
{
    uint8_t body[MR_EVIDENCE_RECOVERED_BYTES + MR_AGE_WHY_BYTES];
    const struct mr_older *older = &job->config.context->age->older;
    const size_t length = strlen(older->why);
    mr_be64_put(body, job->recovered.epoch);
    mr_be64_put(body + 8, older->sequence);
    mr_be64_put(body + 16, older->round);
    memcpy(body + MR_EVIDENCE_RECOVERED_BYTES, older->why, length);
    return mr_evidence_add(job->config.desk, MR_EVIDENCE_RECOVERED, body,
                           MR_EVIDENCE_RECOVERED_BYTES + length, &job->error);
}

/* No round up to that one is signed any more. */
static int raise_round(struct recovery_job *job)
{
    static const uint8_t nothing[MR_HASH_BYTES];
    uint8_t hash[MR_HASH_BYTES];
    const struct mr_round_context *context = job->config.context;
    return mr_store_signed_round(context->store, hash) >= job->recovered.round
               ? 0
               : mr_store_write_signed(context->store, job->recovered.round, nothing, &job->error);
}

static void recovery_work(void *context)
{
    struct recovery_job *job = context;
    const struct mr_recovery_config *config = &job->config;
    job->result = job->has_round && end_round(job) != 0 ? -1 : 0;
    if (job->result == 0 &&
        (raise_round(job) != 0 || say_recovered(job) != 0 ||
         config->wipe(config->driver, &job->error) != 0 ||
         mr_task_age_write_recovered(config->context->age, &job->recovered, &job->error) != 0)) {
        job->result = -1;
    }
}

static void recovery_done(void *context)
{
    static const uint8_t nothing[MR_HASH_BYTES];
    struct recovery_job *job = context;
    const struct mr_round_context *round = job->config.context;
    uint8_t hash[MR_HASH_BYTES];
    if (job->result == 0) {
        if (mr_store_signed_round(round->store, hash) < job->recovered.round) {
            mr_store_adopt_signed(round->store, job->recovered.round, nothing);
        }
        round->age->recovered = job->recovered;
        round->age->is_older = job->config.halted; /* this process goes on with nothing */
        mr_log_event(round->log, MR_LOG_WARN, "task.recovered",
                     "task=%s epoch=%" PRIu64 " round=%" PRIu64 " code=%s", round->task,
                     job->recovered.epoch, job->recovered.round, job->recovered.code);
        job->config.recovered(job->config.driver, &job->recovered);
    }
    job->fn(job->fn_context, job->token, job->result, &job->recovered, job->config.halted,
            &job->error);
    free(job);
}

/* --- before that ----------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void mr_recovery_reason(char reason[MR_RECOVERY_REASON_BYTES])
{
    snprintf(reason, MR_RECOVERY_REASON_BYTES,
             "%s: this hub went back to a copy, and its operator recovered it",
             mr_void_kind_name(MR_VOID_OLDER));
}

static uint64_t last_signed(const struct mr_round_context *context)
{
    uint8_t hash[MR_HASH_BYTES];
    return mr_store_signed_round(context->store, hash);
}

/* What other hubs say of their newest rounds, as far as it is believed; `own`: this hub's. */
static uint64_t beyond_heard(const struct mr_round_context *context,
                             const struct mr_evidence_desk *desk, uint64_t own)
{
    const uint64_t heard = mr_standings_round(desk, context);
    return heard > own && heard - own > MR_RECOVERY_HEARD_MAX ? own + MR_RECOVERY_HEARD_MAX
                                                              : larger(heard, own);
}

/* Beyond what may have been signed up to that number and after it. */
static uint64_t leave_out(uint64_t number)
{
    uint8_t random[4];
    MR_ASSERT(RAND_bytes(random, sizeof random) == 1);
    return number + MR_RECOVERY_LEAD_JUMP + mr_be32_get(random) % MR_RECOVERY_LEAD_SPREAD;
}

uint64_t mr_recovery_next_round(const struct mr_round_context *context,
                                const struct mr_evidence_desk *desk)
{
    const uint64_t own = last_signed(context);
    const bool recovered = context->age && context->age->recovered.epoch != 0;
    const uint64_t heard = recovered ? beyond_heard(context, desk, own) : own;
    return 1 + (heard > own ? leave_out(heard) : own);
}

static void plan(struct recovery_job *job)
{
    const struct mr_task_age *age = job->config.context->age;
    uint8_t code[8];
    const uint64_t own = larger(last_signed(job->config.context), age->older.round);
    MR_ASSERT(RAND_bytes(code, sizeof code) == 1);
    mr_hex_encode(job->recovered.code, code, sizeof code);
    job->recovered.epoch =
        larger(larger(age->recovered.epoch, age->older.epoch) + 1, mr_round_unix_ms());
    job->recovered.round = job->config.leads
                               ? leave_out(beyond_heard(job->config.context, job->config.desk, own))
                               : own;
    mr_recovery_reason(job->reason);
}

static enum mr_refusal_code tell_cost(const struct mr_round_context *context,
                                      struct mr_refusal *refusal)
{
    return mr_refuse(refusal, MR_REFUSAL_OLDER,
                     "task %s, found: %.160s. To recover gives up what is under way, for good, and "
                     "what this hub learned since the copy; no model that it has is signed on "
                     "again: then every hub runs millrace task resume with the code",
                     context->task, context->age->older.why);
}

enum mr_refusal_code mr_recovery_check(const struct mr_round_context *context, bool accepted,
                                       struct mr_refusal *refusal)
{
    if (!mr_older(context)) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND,
                         "this hub is not older than itself in task %s: there is nothing to "
                         "recover",
                         context->task);
    }
    return accepted ? MR_REFUSAL_NONE : tell_cost(context, refusal);
}

void mr_recovery(const struct mr_recovery_config *config, mr_recovery_fn fn, void *fn_context,
                 void *token)
{
    struct recovery_job *job = calloc(1, sizeof *job);
    MR_ASSERT(job);
    *job = (struct recovery_job){.config = *config,
                                 .has_round = !!config->terms,
                                 .fn = fn,
                                 .fn_context = fn_context,
                                 .token = token};
    if (config->terms) {
        job->terms = *config->terms;
    }
    plan(job);
    mr_job_run(config->jobs, recovery_work, recovery_done, job);
}
