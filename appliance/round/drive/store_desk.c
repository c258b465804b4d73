#include "appliance/round/drive/store_desk.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/import.h"
#include "appliance/round/drive/claims.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/assert.h"
#include "base/bytes.h"

#define TWINS_MAX 16

struct mr_store_desk {
    struct mr_store_desk_config config;
};

struct desk_job {
    struct mr_store_desk *desk;
    struct mr_store_wish wish;
    mr_store_answer_fn fn;
    void *token;
    int result; /* 0; 1: refused; -1: the hub must not go on */
    struct mr_refusal refusal;
    struct mr_error error;
    json_t *answer;
    /* Of a wish that changes the current model. */
    struct mr_version version; /* that a rollback goes to; in the end the new one */
    struct mr_version_place place;
    uint8_t hash[MR_HASH_BYTES];
    uint8_t twins[TWINS_MAX][MR_HASH_BYTES];
    unsigned twins_count;
    uint8_t *converted;     /* owned; NULL: the bytes as they came */
    struct mr_model *model; /* of a rollback: borrowed, so that nothing removes it */
    uint32_t devices;
};

static bool makes_current(const struct desk_job *job)
{
    return job->wish.kind == MR_STORE_IMPORT || job->wish.kind == MR_STORE_ROLLBACK;
}

static struct mr_store *store_of(const struct desk_job *job)
{
    return job->desk->config.context->store;
}

static void refuse(struct desk_job *job, enum mr_refusal_code code)
{
    mr_refuse(&job->refusal, code, "%.390s", job->error.text);
    job->result = 1;
}

/* --- looking and naming: on the job thread -----------------------------------------------------
 */

/* What a function of the catalogue returned; an answer that could not be made is no fault of the
 * disk's while it was only read. */
static void take_answer(struct desk_job *job, json_t *answer)
{
    job->answer = answer;
    if (!answer) {
        refuse(job, MR_REFUSAL_INTERNAL);
    }
}

/* False with the job refused. */
static bool find(struct desk_job *job, const char *which)
{
    const int got = mr_catalogue_find(store_of(job), which, &job->version, &job->error);
    if (got != 0) {
        refuse(job, got > 0 ? MR_REFUSAL_NOT_FOUND : MR_REFUSAL_INTERNAL);
    }
    return got == 0;
}

static void show(struct desk_job *job)
{
    take_answer(job, mr_versions_show_json(mr_store_versions(store_of(job)), job->version.number,
                                           &job->error));
}

static void name_version(struct desk_job *job)
{
    struct mr_versions *versions = mr_store_versions(store_of(job));
    const struct mr_store_wish *wish = &job->wish;
    const bool none = wish->which[0] == '\0';
    if (!find(job, none ? wish->name : wish->which)) {
        if (none && job->refusal.code == MR_REFUSAL_NOT_FOUND) {
            mr_error_set(&job->error,
                         "no version bears the alias %s: `millrace model list` shows "
                         "those that do",
                         wish->name);
            refuse(job, MR_REFUSAL_NOT_FOUND);
        }
        return;
    }
    if (job->version.withdrawn && !none) {
        mr_error_set(&job->error, "version %" PRIu64 " is withdrawn: its round was given up",
                     job->version.number);
        refuse(job, MR_REFUSAL_BAD_REQUEST);
        return;
    }
    job->result = wish->kind == MR_STORE_TAG
                      ? mr_versions_set_tag(versions, job->version.number, wish->name,
                                            wish->value[0] ? wish->value : NULL, &job->error)
                      : mr_versions_set_alias(versions, wish->name, none ? 0 : job->version.number,
                                              wish->by, (int64_t)mr_round_unix_ms(), &job->error);
    if (job->result == 0) {
        show(job);
    }
}

/* --- a model to go on with: on the job thread --------------------------------------------------
 */

static void look_at_import(struct desk_job *job)
{
    struct mr_store_wish *wish = &job->wish;
    size_t length;
    if (mr_import_convert(wish->bytes, wish->length, &job->converted, &length, &job->error) != 0) {
        refuse(job, MR_REFUSAL_BAD_REQUEST);
        return;
    }
    if (job->converted) {
        wish->bytes = job->converted;
        wish->length = length;
    }
    if (mr_catalogue_check(store_of(job), wish->bytes, wish->length, &job->error) != 0) {
        refuse(job, MR_REFUSAL_BAD_REQUEST);
        return;
    }
    SHA256(wish->bytes, wish->length, job->hash);
    job->twins_count = mr_catalogue_twins(store_of(job), job->hash, wish->bytes, wish->length,
                                          job->twins, TWINS_MAX);
}

static void look_work(void *context)
{
    struct desk_job *job = context;
    struct mr_versions *versions = mr_store_versions(store_of(job));
    switch (job->wish.kind) {
    case MR_STORE_LIST:
        take_answer(job, mr_versions_list_json(versions, job->wish.most, &job->error));
        break;
    case MR_STORE_SHOW:
        if (find(job, job->wish.which)) {
            show(job);
        }
        break;
    case MR_STORE_ALIAS:
    case MR_STORE_TAG:
        name_version(job);
        break;
    case MR_STORE_VERIFY:
        take_answer(job, mr_catalogue_verify(store_of(job), &job->error));
        break;
    case MR_STORE_IMPORT:
        look_at_import(job);
        break;
    case MR_STORE_ROLLBACK:
        if (find(job, job->wish.which)) {
            memcpy(job->hash, job->version.hash, MR_HASH_BYTES);
        }
        break;
    }
}

/* --- what it costs: on the loop ----------------------------------------------------------------
 */

/* A rollback's model stays while it is looked at. False with the job refused. */
static bool borrow(struct desk_job *job)
{
    if (job->wish.kind == MR_STORE_ROLLBACK) {
        job->model = mr_store_borrow(job->desk->config.context->store, job->hash, &job->error);
        if (!job->model) {
            refuse(job, MR_REFUSAL_NOT_FOUND);
        }
    }
    return job->result == 0;
}

static bool is_current(struct desk_job *job)
{
    if (memcmp(mr_store_current(store_of(job)), job->hash, MR_HASH_BYTES) != 0) {
        return false;
    }
    mr_error_set(&job->error, "that is the current version's model already");
    refuse(job, MR_REFUSAL_BAD_REQUEST);
    return true;
}

/* The most that any model with these values under another name has. */
static uint32_t devices_of_twins(const struct desk_job *job)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < job->twins_count; i++) {
        const uint32_t devices = mr_claims_devices(job->desk->config.context, job->twins[i]);
        most = devices > most ? devices : most;
    }
    return most;
}

/* False with the refusal that says the cost. */
static bool accepted(struct desk_job *job)
{
    const uint32_t again = devices_of_twins(job);
    job->devices = mr_claims_devices(job->desk->config.context, job->hash);
    if (job->wish.accepted || (job->devices == 0 && again == 0)) {
        return true;
    }
    if (again) {
        mr_error_set(&job->error,
                     "%u devices are in an opened set on the same values under another name and "
                     "would be counted again: the difference of the two sums tells how these "
                     "devices' updates changed, of one device alone where only that one's did",
                     again);
    } else {
        mr_error_set(&job->error,
                     "%u devices are in an opened set on that model and are not counted on it "
                     "again: they wait for the version after the next round of the others; where "
                     "too few others are left, the way on is `millrace task resume`, which says "
                     "what it costs",
                     job->devices);
    }
    refuse(job, MR_REFUSAL_RELEASED);
    return false;
}

/* --- making it current -------------------------------------------------------------------------
 */

static void make_work(void *context)
{
    struct desk_job *job = context;
    const struct mr_catalogue_wish wish = {
        .by = job->wish.by,
        .note = job->wish.note,
        .bytes = job->wish.kind == MR_STORE_IMPORT ? job->wish.bytes : NULL,
        .length = job->wish.length,
        .source = job->version};
    job->result = mr_catalogue_make(store_of(job), &wish, &job->version, &job->error);
    if (job->result == 0) {
        job->result = mr_versions_place(mr_store_versions(store_of(job)), &job->version,
                                        &job->place, &job->error);
    }
    if (job->result == 0) {
        show(job);
    }
}

static void end(struct desk_job *job)
{
    const struct mr_store_desk_config *config = &job->desk->config;
    const struct mr_round_context *round = config->context;
    if (job->model) {
        mr_store_return(round->store, job->model);
    }
    if (makes_current(job)) {
        config->over(config->driver);
    }
    if (job->result < 0) {
        round->fatal(round->fatal_context, job->error.text);
        mr_refuse(&job->refusal, MR_REFUSAL_INTERNAL, "%.390s", job->error.text);
    }
    if (job->result != 0) {
        json_decref(job->answer);
        job->answer = NULL;
    }
    job->fn(job->token, job->result != 0 ? &job->refusal : NULL, job->answer);
    free(job->converted);
    free(job);
}

static void make_done(void *context)
{
    struct desk_job *job = context;
    const struct mr_round_context *round = job->desk->config.context;
    char hex[2 * MR_HASH_BYTES + 1];
    if (job->result >= 0) { /* also where only the answer could not be made */
        mr_store_adopt(round->store, job->version.hash);
        mr_store_set_place(round->store, &job->place);
        mr_hex_encode(hex, job->version.hash, MR_HASH_BYTES);
        mr_log_event(round->log, MR_LOG_WARN,
                     job->wish.kind == MR_STORE_IMPORT ? "model.imported" : "model.rolled_back",
                     "task=%s version=%" PRIu64 " model=%s by=%s released_devices=%u", round->task,
                     job->version.number, hex, job->wish.by, job->devices);
    }
    if (job->answer) {
        json_object_set_new(job->answer, "released_devices", json_integer(job->devices));
    }
    end(job);
}

static void look_done(void *context)
{
    struct desk_job *job = context;
    struct mr_store_desk *desk = job->desk;
    if (!makes_current(job) || job->result != 0 || is_current(job) || !borrow(job) ||
        !accepted(job)) {
        end(job);
        return;
    }
    if (!desk->config.leave(desk->config.driver, &job->refusal)) {
        job->result = 1;
        end(job);
        return;
    }
    mr_job_run(desk->config.jobs, make_work, make_done, job);
}

/* --- life --------------------------------------------------------------------------------------
 */

struct mr_store_desk *mr_store_desk_open(const struct mr_store_desk_config *config)
{
    struct mr_store_desk *desk = calloc(1, sizeof *desk);
    if (desk) {
        desk->config = *config;
    }
    return desk;
}

void mr_store_desk_close(struct mr_store_desk *desk)
{
    free(desk);
}

enum mr_refusal_code mr_store_desk_ask(struct mr_store_desk *desk, const struct mr_store_wish *wish,
                                       mr_store_answer_fn fn, void *token,
                                       struct mr_refusal *refusal)
{
    struct desk_job *job = calloc(1, sizeof *job);
    MR_ASSERT(job);
    *job = (struct desk_job){.desk = desk, .wish = *wish, .fn = fn, .token = token};
    if (makes_current(job) && !desk->config.begin(desk->config.driver, refusal)) {
        free(job);
        return refusal->code;
    }
    mr_job_run(desk->config.jobs, look_work, look_done, job);
    return MR_REFUSAL_NONE;
}
