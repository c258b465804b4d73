/* check_messages.c - what hubs are asked and what they answer, against the plain model. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/control.h"
#include "tests/sim/plan.h"
#include "base/bytes.h"
#include "wire/messages.h"

/* --- seeds ----------------------------------------------------------------------------------- */

/* A seed serves one (device, round, attempt, hub). */
void sim_check_seed(struct sim *sim, const uint8_t seed[MR_SEED_BYTES],
                    const struct mr_key_scope *scope)
{
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    bool fresh;
    const uint64_t use = sim_hash(covered, mr_key_scope_encode(covered, scope), 5);
    uint64_t *known = map_at(&sim->check->seeds, sim_hash(seed, MR_SEED_BYTES, 6), &fresh);
    if (!fresh && *known != use) {
        sim_broken(sim, "%s uses a seed twice, now in attempt %u for hub %u", sim->current->name,
                   scope->attempt, scope->hub_index);
    }
    *known = use;
}

void sim_check_question(struct sim_node *from, const char *path, const uint8_t *body, size_t length)
{
    struct mr_seed_request request;
    struct mr_error error;
    if (sim_path_ends(path, "/seed") &&
        mr_seed_request_decode(&request, body, length, &error) != 0) {
        sim_broken(from->sim, "%s sent a seed that cannot be read: %s", from->name, error.text);
    }
}

/* --- answers of a hub ------------------------------------------------------------------------- */

/* A question and the answer that a hub gave. */
struct answer {
    struct sim *sim;
    struct sim_node *hub, *asker;
    const struct sim_task *task;
    const char *path;
    const uint8_t *question, *bytes;
    size_t question_bytes, length;
};

/* One immutable answer a round: the same question gets the same bytes, any other is refused. */
static void check_immutable(const struct answer *answer, uint64_t round, uint64_t step)
{
    struct sim *sim = answer->sim;
    const char *hub = answer->hub->name, *task = answer->task->name;
    bool fresh;
    const uint64_t asked = sim_hash(answer->question, answer->question_bytes, 7);
    const uint64_t said = sim_hash(answer->bytes, answer->length, 8);
    const uint64_t place =
        check_hash(answer->hub->index << 8 | answer->task->index, round, step, 9);
    uint64_t *first = map_at(&sim->check->answered, place, &fresh);
    if (!fresh && *first != asked) {
        sim_broken(sim, "%s has answered two different questions in round %" PRIu64 " of %s", hub,
                   round, task);
    }
    *first = asked;
    uint64_t *before = map_at(&sim->check->answers, check_hash(place, asked, 0, 10), &fresh);
    /* A hub that lost its disk knows of no signature, and makes another seal key for the round. */
    const bool signs_anew = step == 0 && answer->hub->new_disk;
    if (!fresh && *before != said && !signs_anew) {
        sim_broken(sim,
                   "%s has answered the same question twice, with different bytes, in round "
                   "%" PRIu64 " of %s",
                   hub, round, task);
    }
    *before = said;
}

static void check_cohort(const struct answer *answer)
{
    const uint32_t count = answer->question_bytes >= 4 ? mr_be32_get(answer->question) : 0;
    if (count < answer->task->cohort_min) {
        sim_broken(answer->sim, "%s has committed to a set of %u devices, %u are the least",
                   answer->hub->name, count, answer->task->cohort_min);
    }
}

/* What a hub signs is of the task that it was asked for, and names that task's hubs. */
static void check_terms(const struct answer *answer, const struct mr_announcement *announcement)
{
    const struct sim_task *task = answer->task;
    const char *hub = answer->hub->name;
    bool right =
        strcmp(announcement->task, task->name) == 0 && announcement->hub_count == task->hubs_count;
    for (unsigned i = 0; right && i < task->hubs_count; i++) {
        right = announcement->hubs[i].index == SIM_HUB_INDEX + task->hubs[i];
    }
    if (!right) {
        sim_broken(answer->sim, "%s has signed a round of %s for task %s", hub, announcement->task,
                   task->name);
    }
    if (announcement->cohort_max > mr_quantiser_cohort_max(announcement->ring_bits,
                                                           announcement->levels,
                                                           announcement->headroom)) {
        sim_broken(answer->sim, "%s has signed a round that its ring does not hold", hub);
    }
}

static void check_proposal(const struct answer *answer)
{
    struct mr_round_terms terms;
    struct mr_error error;
    const uint8_t *signature;
    if (mr_proposal_decode(&terms, &signature, answer->question, answer->question_bytes, &error) !=
        0) {
        sim_broken(answer->sim, "%s has signed what cannot be read", answer->hub->name);
        return;
    }
    check_terms(answer, &terms.announcement);
    sim_check_signed(answer->sim, answer->task, terms.announcement.round);
    memcpy(check_round(answer->sim, answer->task, terms.announcement.round)->parent,
           terms.announcement.model_hash, MR_HASH_BYTES);
    check_terms_signed(answer->hub, answer->task, terms.announcement.round, terms.hash);
    check_immutable(answer, terms.announcement.round, 0);
}

static void check_grant(const struct answer *answer)
{
    struct mr_upload_grant grant;
    struct mr_error error;
    bool fresh;
    if (mr_upload_grant_decode(&grant, (const char *)answer->bytes, answer->length, &error) != 0) {
        sim_broken(answer->sim, "a grant that cannot be read: %s", error.text);
        return;
    }
    uint64_t *owner = check_upload_owner(answer->sim, answer->hub, grant.upload_id, &fresh);
    const uint64_t mine = (uint64_t)answer->task->index << 48 | sim_path_round(answer->path) << 8 |
                          (answer->asker->index - SIM_HUBS);
    if (!fresh && *owner != mine) {
        sim_broken(answer->sim, "%s gives one upload id to two devices, rounds or tasks",
                   answer->hub->name);
    }
    *owner = mine;
}

static void check_status(const struct answer *answer)
{
    struct mr_upload_status status;
    struct mr_error error;
    const char *text = (const char *)answer->bytes;
    if (mr_upload_status_decode(&status, text, answer->length, &error) == 0 &&
        status.state == MR_UPLOAD_COMMITTED) {
        sim_check_told(answer->sim, answer->task, sim_path_round(answer->path),
                       answer->asker->index - SIM_HUBS);
    }
}

static void check_steps(const struct answer *answer)
{
    static const char *const steps[] = {"/freeze", "/open", "/reveal", "/draw"};
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (sim_path_ends(answer->path, steps[i])) {
            check_immutable(answer, sim_path_round(answer->path), i + 1);
        }
    }
    if (sim_path_ends(answer->path, steps[0])) {
        check_cohort(answer);
        check_frozen(answer->hub, answer->task, sim_path_round(answer->path), answer->question,
                     answer->question_bytes);
        check_fair_set(answer->hub, answer->task, sim_path_round(answer->path), answer->question,
                       answer->question_bytes);
    } else if (sim_path_ends(answer->path, steps[1])) {
        check_opening(answer->hub, answer->task, sim_path_round(answer->path));
    } else if (sim_path_ends(answer->path, steps[2])) {
        check_model_made(answer->hub, answer->task, sim_path_round(answer->path));
    } else if (sim_path_ends(answer->path, steps[3])) {
        check_list(answer->hub, answer->task, sim_path_round(answer->path), answer->question,
                   answer->question_bytes);
    }
}

/* Whether an answer to it promises anything: not how a round ended, what the model is, or where
 * the hub stands. */
static bool is_promise(const char *path)
{
    return strstr(path, "/peer/rounds") || strstr(path, "/uploads") || sim_path_ends(path, "/seed");
}

void sim_check_answer(struct sim_node *hub, struct sim_node *asker, const char *path,
                      const uint8_t *question, size_t question_bytes, const uint8_t *body,
                      size_t length)
{
    const struct answer answer = {.sim = hub->sim,
                                  .hub = hub,
                                  .asker = asker,
                                  .task = sim_task_of_path(hub->sim, path),
                                  .path = path,
                                  .question = question,
                                  .question_bytes = question_bytes,
                                  .bytes = body,
                                  .length = length};
    if (answer.task && hub->older >> answer.task->index & 1 && is_promise(path)) {
        sim_breach(hub->sim, "%s answers %s, and its files are older than itself", hub->name, path);
    }
    if (!answer.task || !sim_task_serves(answer.task, hub)) {
        sim_broken(hub->sim, "%s answers for a task that it does not serve: %s", hub->name, path);
    } else if (sim_path_ends(path, "/peer/rounds")) {
        check_proposal(&answer);
    } else if (sim_path_ends(path, "/uploads")) {
        check_grant(&answer);
    } else if (sim_path_ends(path, "/seed")) {
        check_seed_taken(hub, answer.task, sim_path_round(path), asker->index - SIM_HUBS);
    } else if (strstr(path, "/uploads/")) {
        check_status(&answer);
    } else {
        check_steps(&answer);
    }
}
