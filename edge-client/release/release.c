/* release.c - the calls of millrace_edge.h about releases. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "edge-client/files/files.h"
#include "edge-client/release/fetch.h"
#include "edge-client/release/slots.h"
#include "edge-client/session/follow_keys.h"
#include "edge-client/session/log.h"
#include "edge-client/session/outcome.h"
#include "edge-client/trainer/child.h"
#include "wire/safetensors.h"

static enum mre_result
open_by(int (*open_one)(struct mr_slots *slots, const char *file, struct mr_error *error),
        struct mr_slots *slots, const char *file, struct mre_outcome *outcome)
{
    struct mr_error error;
    memset(outcome, 0, sizeof *outcome);
    *slots = (struct mr_slots){.lock = -1};
    char *path = mr_path_absolute(file);
    if (!path) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory, or no working directory");
    }
    const int bad = open_one(slots, path, &error);
    free(path);
    return bad ? mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text) : MRE_OK;
}

static enum mre_result open_slots(struct mr_slots *slots, const char *file,
                                  struct mre_outcome *outcome)
{
    return open_by(mr_slots_open, slots, file, outcome);
}

static enum mre_result failed(struct mre_outcome *outcome, const struct mr_error *error)
{
    return mr_outcome_set(outcome, MRE_FAILED, "%s", error->text);
}

static enum mre_result refused(struct mre_outcome *outcome, enum mr_release_fault fault)
{
    snprintf(outcome->code, sizeof outcome->code, "%s", mr_release_fault_name(fault));
    return mr_outcome_set(outcome, MRE_RELEASE_REFUSED, "%s", mr_release_fault_sentence(fault));
}

/* --- pull ------------------------------------------------------------------------------------- */

/* "1.2.3" as a release has it. */
static uint32_t client_version(void)
{
    unsigned major = 0, minor = 0, patch = 0;
    (void)sscanf(mre_version(), "%u.%u.%u", &major, &minor, &patch);
    return major << 16 | (minor & 255) << 8 | (patch & 255);
}

static struct mr_release_trust trust_of(const struct mre_client *client,
                                        const struct mr_slots *slots)
{
    struct mr_release_trust trust = {
        .task = client->task,
        .hubs = client->pinned,
        .hub_count = client->hub_count,
        .threshold = client->release_threshold,
        .now_s = client->env.unix_ms(client->env.context) / 1000,
        .client = client_version(),
        .target_bytes_max = 4 * (uint64_t)MR_DIMENSION_MAX + MR_SAFETENSORS_HEADER_MAX + 8,
        .client_id = client->identity.client_id,
        .floor = slots->floor,
    };
    if (trust.target_bytes_max > SIZE_MAX / 2) {
        trust.target_bytes_max = SIZE_MAX / 2;
    }
    memcpy(trust.floor_hash, slots->floor_manifest, MR_HASH_BYTES);
    return trust;
}

static bool is_model(const struct mr_slot_model *model, const struct mr_release *release)
{
    return model && memcmp(model->model, release->target_hash, MR_HASH_BYTES) == 0;
}

/* The floor is on the disk with what is said of the release, and before a fetch that may be long.
 */
static enum mre_result take(struct mre_client *client, const struct mr_signed_release *chosen,
                            struct mr_slots *slots, struct mre_outcome *outcome)
{
    struct mr_error error;
    const struct mr_release *release = &chosen->release;
    struct mr_slot_model model = {.known = true, .version = release->version};
    memcpy(model.model, release->target_hash, MR_HASH_BYTES);
    memcpy(model.manifest, chosen->hash, MR_HASH_BYTES);
    mr_slots_raise(slots, &release->version, chosen->hash);
    mr_hex_encode(outcome->model, release->target_hash, MR_HASH_BYTES);
    outcome->round = release->version.round;
    if (is_model(mr_slots_active(slots), release) || is_model(mr_slots_next(slots), release)) {
        return mr_outcome_set(outcome, MRE_OK, "the newest release is here");
    }
    struct mr_release_fetched fetched;
    const enum mre_result result = mr_release_fetch(client, release, slots, &fetched, outcome);
    if (result == MRE_RELEASE_REFUSED || result == MRE_FAILED) {
        (void)mr_slots_failed(slots, chosen->hash, NULL); /* what is said is why it failed */
        mr_release_report(client, slots);
    }
    if (result) {
        return result;
    }
    outcome->code[0] = '\0';
    outcome->fetched_bytes = fetched.bytes;
    const int bad = mr_slots_pulled(slots, &model, fetched.into, &error);
    outcome->kept_ms = mr_client_pull_ms(client);
    return bad ? failed(outcome, &error)
               : mr_outcome_set(outcome, MRE_UPDATED, "version %llu.%u was pulled %s, %llu bytes",
                                (unsigned long long)release->version.round, release->version.step,
                                fetched.by_delta ? "by delta" : "whole",
                                (unsigned long long)fetched.bytes);
}

/* Who is told of a release finds its floor on the disk. */
static enum mre_result settled(struct mr_slots *slots, enum mre_result result,
                               struct mre_outcome *outcome)
{
    struct mr_error error;
    return mr_slots_settle(slots, &error) != 0 ? failed(outcome, &error) : result;
}

static enum mre_result pull(struct mre_client *client, struct mr_slots *slots, unsigned wait_ms,
                            struct mre_outcome *outcome)
{
    struct mr_release_answers answers;
    unsigned chosen;
    const bool waits = wait_ms > 0;
    client->pull_began_us = client->env.now_us(client->env.context);
    if (waits) { /* what needs no release is done before, when there is time */
        mr_release_report(client, slots);
    }
    enum mre_result result = mr_release_gather(&answers, client, &slots->floor, wait_ms, outcome);
    outcome->heard_ms = mr_client_pull_ms(client);
    (void)mr_next_keys_follow(client, answers.next_key, outcome);
    if (!result && answers.count == 0) {
        result = mr_outcome_set(outcome, MRE_OK, "no hub has a release yet");
    } else if (!result) {
        const struct mr_release_trust trust = trust_of(client, slots);
        enum mr_release_fault fault =
            mr_release_judge(answers.list, answers.count, &trust, &chosen);
        if (!waits) {
            mr_release_report(client, slots);
        }
        if (fault == MR_RELEASE_HELD_BACK &&
            is_model(mr_slots_active(slots), &answers.list[chosen].release)) {
            fault = MR_RELEASE_TAKEN; /* it is here: that others wait changes nothing */
        }
        if (fault == MR_RELEASE_TAKEN && mr_slots_refuses(slots, answers.list[chosen].hash)) {
            fault = MR_RELEASE_UNHEALTHY;
        }
        result = fault == MR_RELEASE_TAKEN ? take(client, &answers.list[chosen], slots, outcome)
                                           : refused(outcome, fault);
    }
    mr_release_answers_fini(&answers);
    return settled(slots, result, outcome);
}

/* Without a pull: after an installation that has been judged. */
enum mre_result mre_release_report(struct mre_client *client, const char *file,
                                   struct mre_outcome *outcome)
{
    struct mr_slots slots;
    enum mre_result result = open_slots(&slots, file, outcome);
    if (result) {
        return result;
    }
    mr_release_report(client, &slots);
    result = slots.outcome_owed
                 ? mr_outcome_set(outcome, MRE_UNREACHABLE,
                                  "not every hub has heard how it went: the next pull tells them")
                 : mr_outcome_set(outcome, MRE_OK, "every hub knows how it went");
    result = settled(&slots, result, outcome);
    mr_slots_close(&slots);
    return result;
}

enum mre_result mre_release_pull(struct mre_client *client, const char *file, unsigned wait_ms,
                                 struct mre_outcome *outcome)
{
    struct mr_slots slots;
    enum mre_result result = open_slots(&slots, file, outcome);
    if (result) {
        return result;
    }
    if (slots.trial) {
        result = mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                "an installation was cut off before it was judged: install first");
    } else {
        result = pull(client, &slots, wait_ms, outcome);
    }
    mr_slots_close(&slots);
    mr_log_outcome(client, outcome);
    return result;
}

/* --- install ---------------------------------------------------------------------------------- */

/* FILE leads to a copy that nobody has judged yet. */
static enum mre_result judge(struct mr_slots *slots, mre_healthy_fn healthy, void *context,
                             struct mre_outcome *outcome)
{
    struct mr_error error;
    mr_hex_encode(outcome->model, slots->models[slots->active].model, MR_HASH_BYTES);
    outcome->round = slots->models[slots->active].version.round;
    if (!healthy || healthy(context, slots->file) == 0) {
        return slots->trial && mr_slots_confirm(slots, MR_RELEASE_KEPT, &error) != 0
                   ? failed(outcome, &error)
                   : mr_outcome_set(outcome, MRE_UPDATED, "installed");
    }
    const int back = mr_slots_go_back(slots, &error);
    if (back < 0) {
        return failed(outcome, &error);
    }
    if (back > 0 && mr_slots_confirm(slots, MR_RELEASE_WENT_BACK, &error) != 0) {
        return failed(outcome, &error);
    }
    refused(outcome, MR_RELEASE_UNHEALTHY);
    return mr_outcome_set(outcome, MRE_RELEASE_REFUSED,
                          back > 0 ? "the health check failed; there is no copy to go back to, so "
                                     "it stays"
                                   : "the health check failed: the model before is back");
}

static enum mre_result install(const char *file, const enum mre_number_type *wanted,
                               mre_healthy_fn healthy, void *context, struct mre_outcome *outcome)
{
    struct mr_slots slots;
    struct mr_error error;
    enum mre_result result = open_slots(&slots, file, outcome);
    if (result) {
        return result;
    }
    if (!slots.trial && !mr_slots_next(&slots)) {
        result = mr_outcome_set(outcome, MRE_OK, "nothing waits to be installed");
    } else if (!slots.trial && mr_slots_install(&slots, wanted, !healthy, &error) != 0) {
        result = failed(outcome, &error);
    } else {
        result = judge(&slots, healthy, context, outcome);
    }
    mr_slots_close(&slots);
    return result;
}

enum mre_result mre_release_install(const char *file, mre_healthy_fn healthy, void *context,
                                    struct mre_outcome *outcome)
{
    return install(file, NULL, healthy, context, outcome);
}

enum mre_result mre_release_install_as(const char *file, enum mre_number_type type,
                                       mre_healthy_fn healthy, void *context,
                                       struct mre_outcome *outcome)
{
    if (type > MRE_BF16) {
        memset(outcome, 0, sizeof *outcome);
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "installed_as: float32, float16 or bfloat16");
    }
    return install(file, &type, healthy, context, outcome);
}

/* --- the way back, and what is here ------------------------------------------------------------
 */

enum mre_result mre_release_rollback(const char *file, struct mre_outcome *outcome)
{
    struct mr_slots slots;
    struct mr_error error;
    enum mre_result result = open_slots(&slots, file, outcome);
    if (result) {
        return result;
    }
    const int back = mr_slots_go_back(&slots, &error);
    if (back == 0) {
        mr_hex_encode(outcome->model, slots.models[slots.active].model, MR_HASH_BYTES);
    }
    result = back < 0   ? failed(outcome, &error)
             : back > 0 ? mr_outcome_set(outcome, MRE_BAD_CONFIG, "there is no other copy")
                        : mr_outcome_set(outcome, MRE_UPDATED,
                                         "the copy before is back; the other release is refused");
    mr_slots_close(&slots);
    return result;
}

static void describe(char hex[65], struct mre_release_version *version,
                     const struct mr_slot_model *model)
{
    if (model) {
        mr_hex_encode(hex, model->model, MR_HASH_BYTES);
        *version = (struct mre_release_version){model->version.round, model->version.step};
    }
}

enum mre_result mre_release_status(const char *file, struct mre_release_state *state,
                                   struct mre_outcome *outcome)
{
    struct mr_slots slots;
    memset(state, 0, sizeof *state);
    const enum mre_result result = open_by(mr_slots_look, &slots, file, outcome);
    if (result) {
        return result;
    }
    describe(state->installed, &state->installed_version, mr_slots_active(&slots));
    describe(state->previous, &state->previous_version, mr_slots_before(&slots));
    describe(state->pulled, &state->pulled_version, mr_slots_next(&slots));
    state->seen = (struct mre_release_version){slots.floor.round, slots.floor.step};
    state->trial = slots.trial;
    state->refused = slots.refused_count;
    mr_slots_close(&slots);
    return mr_outcome_set(outcome, MRE_OK, "%s is whole", slots.folder);
}

enum mre_result mre_release_opened(const char *file, struct mre_release_copy *opened,
                                   struct mre_outcome *outcome)
{
    struct mr_slots slots;
    memset(opened, 0, sizeof *opened);
    const enum mre_result result = open_by(mr_slots_look, &slots, file, outcome);
    if (result) {
        return result;
    }
    const struct mr_slot_model *active = mr_slots_active(&slots);
    if (active) {
        opened->number_type = active->installed_as;
        mr_hex_encode(opened->sha256, active->opened, MR_HASH_BYTES);
    }
    mr_slots_close(&slots);
    return mr_outcome_set(outcome, MRE_OK, "%s is whole", slots.folder);
}

/* --- a program as the health check -------------------------------------------------------------
 */

static int64_t monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int mre_program_healthy(void *context, const char *file)
{
    const struct mre_program *program = context;
    char *path = mr_path_absolute(program->path);
    char *folder = mr_path_absolute(file);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    const int lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char *const arguments[] = {path, (char *)(uintptr_t)file, NULL};
    struct mr_error error;
    struct mr_child child;
    int value = -1, result = -1;
    if (path && slash && lock >= 0) {
        *slash = '\0';
        const struct mr_child_setup setup = {
            .argv = arguments, .folder = *folder ? folder : "/", .lock = lock};
        if (mr_child_start(&child, &setup, &error) == 0) {
            const enum mr_child_end end =
                mr_child_await(&child, monotonic_ms() + program->timeout_ms, 0, &value);
            result = end == MR_CHILD_EXITED && value == 0 ? 0 : -1;
        }
    }
    if (lock >= 0) {
        close(lock);
    }
    free(path);
    free(folder);
    return result;
}
