/* check.c - rounds against the plain model: how they begin and how they end. */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/plan.h"
#include "base/assert.h"
#include "base/bytes.h"

void sim_check_new(struct sim *sim)
{
    sim->check = calloc(1, sizeof *sim->check);
    MR_ASSERT(sim->check);
}

void sim_check_free(struct sim *sim)
{
    struct sim_check *check = sim->check;
    map_fini(&check->seeds);
    map_fini(&check->chunks);
    map_fini(&check->nonces);
    map_fini(&check->keys);
    map_fini(&check->answered);
    map_fini(&check->answers);
    map_fini(&check->uploads);
    map_fini(&check->verified);
    map_fini(&check->addresses);
    free(check->opened);
    check_next_free(check);
    free(check);
}

struct round *check_round(struct sim *sim, const struct sim_task *task, uint64_t round)
{
    const uint64_t *bases = sim->check->bases[task->index];
    unsigned life = 0;
    for (unsigned i = 1; i <= sim->check->lives[task->index]; i++) {
        life = round >= bases[i] && bases[i] >= bases[life] ? i : life;
    }
    MR_ASSERT(round - bases[life] < ROUNDS_OF_LIFE);
    return &sim->check->rounds[task->index][life * ROUNDS_OF_LIFE + round - bases[life]];
}

uint64_t check_number(const struct sim *sim, const struct sim_task *task, unsigned place)
{
    return sim->check->bases[task->index][place / ROUNDS_OF_LIFE] + place % ROUNDS_OF_LIFE;
}

static void begin_life(struct sim_check *check, const struct sim_task *task, uint64_t base)
{
    const unsigned life = ++check->lives[task->index];
    MR_ASSERT(life < LIVES_MAX);
    check->bases[task->index][life] = base;
}

/* --- what the lead does with its rounds ------------------------------------------------------- */

/* The model that a task's first round begins with. */
static void hash_initial(struct sim_node *lead, const struct sim_task *task,
                         uint8_t hash[MR_HASH_BYTES])
{
    char name[64];
    size_t length = 0;
    snprintf(name, sizeof name, "initial-%s", task->name);
    const uint8_t *initial = sim_disk_look(lead->disk, name, &length);
    SHA256(initial, length, hash);
}

void sim_check_begin(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        const struct sim_task *task = &sim->plan.tasks[i];
        uint8_t initial[MR_HASH_BYTES];
        hash_initial(sim_task_lead(sim, task), task, initial);
        check_next_begin(sim, task, initial);
    }
}

static bool goes_on_from(const struct sim *sim, const struct sim_task *task, const uint8_t *model,
                         const uint8_t *parent)
{
    return memcmp(parent, model, MR_HASH_BYTES) == 0 || check_is_resumed(sim, task, model, parent);
}

/* Every round begins with the model of the last published one: a void round's sum is in none. Where
 * the lead's files were put back it may be one before: what the helpers have of it decides. */
static void check_parent(struct sim *sim, const struct sim_task *task, uint64_t number,
                         const uint8_t *parent)
{
    struct sim_node *lead = sim_task_lead(sim, task);
    const struct round *rounds = sim->check->rounds[task->index];
    uint8_t initial[MR_HASH_BYTES];
    unsigned last = (unsigned)(check_round(sim, task, number) - rounds);
    while (--last && !(rounds[last].published && !rounds[last].lost) &&
           !(rounds[last].made && rounds[last].lost &&
             goes_on_from(sim, task, rounds[last].model, parent))) {
    }
    json_t *record = last ? check_record(lead, task, check_number(sim, task, last)) : NULL;
    if (last && !rounds[last].lost && !record) {
        sim_broken(sim, "the lead has lost the record of round %" PRIu64 " of %s",
                   check_number(sim, task, last), task->name);
    }
    json_decref(record);
    hash_initial(lead, task, initial);
    if (!goes_on_from(sim, task, last ? rounds[last].model : initial, parent)) {
        sim_broken(sim,
                   "round %" PRIu64 " of %s does not begin with the model of round %" PRIu64
                   ", the last one published",
                   number, task->name, check_number(sim, task, last));
    }
}

void sim_check_opened(struct sim *sim, const struct sim_task *task, uint64_t number,
                      const uint8_t *parent)
{
    struct sim_check *check = sim->check;
    if (number - check->bases[task->index][check->lives[task->index]] >= ROUNDS_OF_LIFE) {
        begin_life(check, task, number - 1);
    }
    struct round *round = check_round(sim, task, number);
    check_parent(sim, task, number, parent);
    if (sim_task_lead(sim, task)->older >> task->index & 1) {
        sim_broken(sim, "a lead whose files are older than itself opens round %" PRIu64 " of %s",
                   number, task->name);
    }
    /* A lead that crashed before its number was durable may take it again: nobody has seen it. */
    if (round->opened && !round->unknown) {
        sim_broken(sim, "round %" PRIu64 " of %s was opened twice", number, task->name);
    }
    round->opened = true;
    round->unknown = false;
    round->calm = sim->calm;
    sim_note(sim, sim->current, "round %" PRIu64 " of %s asked for", number, task->name);
}

static void has_published(struct sim_node *lead, const struct sim_task *task, uint64_t number)
{
    struct round *round = check_round(lead->sim, task, number);
    check_revealed(lead, task, number);
    if (round->given_up) {
        sim_broken(lead->sim, "round %" PRIu64 " of %s was given up and then published", number,
                   task->name);
    }
    round->published = true;
    round->included = round->set_members;
    if (round->told & ~round->included) {
        sim_broken(lead->sim,
                   "round %" PRIu64 " of %s was published without d%d, who was told that it counts",
                   number, task->name, __builtin_ctzll(round->told & ~round->included));
    }
}

static void has_given_up(struct sim_node *lead, const struct sim_task *task, uint64_t number,
                         const char *reason)
{
    struct sim *sim = lead->sim;
    struct round *round = check_round(sim, task, number);
    size_t length;
    if (round->published) {
        sim_broken(sim, "round %" PRIu64 " of %s was published and then given up", number,
                   task->name);
    }
    if (!reason || !reason[0]) {
        sim_broken(sim, "round %" PRIu64 " of %s was given up without a reason", number,
                   task->name);
    }
    if (check_kept_sum(lead, task, number, &length)) {
        sim_broken(sim, "round %" PRIu64 " of %s was given up, and the lead has kept its sum",
                   number, task->name);
    }
    round->given_up = true;
}

static bool lost_files(struct sim *sim, const struct sim_task *task)
{
    for (unsigned i = 0; i < task->hubs_count; i++) {
        const struct sim_node *node = sim_hub_node(sim, task->hubs[i]);
        if (node->new_disk || node->put_back) {
            return true;
        }
    }
    return false;
}

/* Among honest hubs a sum is sound, and no hub refuses what another asks, but for one with a new
 * disk or files from a copy, a busy one and one that has given the round up; and where so many
 * devices failed that a set looks as if a lead had left them out. */
static void check_void(struct sim *sim, const struct sim_task *task,
                       const struct mr_lead_report *report)
{
    static const char *const innocent[] = {"busy", "void", "no_round", "set_leaves_out"};
    const char *refused = strstr(report->reason, "refused, ");
    bool excused = !refused || lost_files(sim, task);
    for (unsigned i = 0; refused && i < sizeof innocent / sizeof innocent[0]; i++) {
        const size_t length = strlen(innocent[i]);
        excused |= strncmp(refused + 9, innocent[i], length) == 0 && refused[9 + length] == ':';
    }
    check_lies_named(sim, task, report->round, report->reason);
    excused |= check_round(sim, task, report->round)->lied_to != 0;
    const enum mr_void_kind kind = report->void_kind;
    if (!excused || (kind != MR_VOID_COHORT && kind != MR_VOID_PEER && kind != MR_VOID_TERMS &&
                     kind != MR_VOID_GONE && kind != MR_VOID_LOST && kind != MR_VOID_OLDER)) {
        sim_broken(sim, "round %" PRIu64 " of %s was given up among honest hubs: %.200s",
                   report->round, task->name, report->reason);
    }
}

static struct mr_api_task *served_at(struct sim_node *node, const struct sim_task *task)
{
    struct mr_api_task *served = mr_api_task_find(&sim_hub_until_its_end(node)->api, task->name);
    MR_ASSERT(served);
    return served;
}

static void check_lead(struct sim_node *node, const struct sim_task *task, const char *event)
{
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(served_at(node, task)->lead), &report);
    if (strcmp(event, "round.published") == 0) {
        has_published(node, task, report.round);
    } else if (strcmp(event, "round.void") == 0) {
        has_given_up(node, task, report.round, report.reason);
        check_void(node->sim, task, &report);
    }
}

void check_take_record(struct sim_node *lead, const struct sim_task *task, uint64_t number)
{
    json_t *record = check_record(lead, task, number);
    const char *state = json_string_value(json_object_get(record, "state"));
    if (state && strcmp(state, "published") == 0) {
        has_published(lead, task, number);
    } else if (state) {
        has_given_up(lead, task, number, json_string_value(json_object_get(record, "reason")));
    }
    json_decref(record);
}

static void check_helper(struct sim_node *node, const struct sim_task *task)
{
    struct mr_helper_report report;
    mr_helper_report(mr_helper_driver_core(served_at(node, task)->helper), &report);
    if (report.state == MR_HELPER_DONE) {
        check_revealed(node, task, report.round);
    }
}

void sim_check_event(struct sim_node *node, const char *event, const char *text)
{
    const bool leads = strncmp(event, "round.", 6) == 0;
    check_parts_in_text(node, text);
    if (!sim_hub_until_its_end(node) || (!leads && strcmp(event, "helper.step") != 0)) {
        return; /* it starts, or it is about something else */
    }
    const struct sim_task *task = sim_task_of_event(node->sim, text);
    if (!task || !(leads ? sim_task_leads(task, node) : sim_task_helps(task, node))) {
        sim_broken(node->sim, "%s tells of a task that is not its own: %s %s", node->name, event,
                   text);
    } else if (leads) {
        check_lead(node, task, event);
    } else {
        check_helper(node, task);
    }
}

void sim_check_signed(struct sim *sim, const struct sim_task *task, uint64_t number)
{
    check_round(sim, task, number)->seen = true;
}

static void check_lead_up(struct sim_node *node, const struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(served_at(node, task)->lead), &report);
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        const uint64_t number = check_number(sim, task, i);
        struct round *round = &sim->check->rounds[task->index][i];
        if (round->opened && !round->published && !round->given_up) {
            check_take_record(node, task, number);
        }
        if (!round->opened || round->published || round->given_up || number == report.round) {
            continue;
        }
        if (round->seen && !round->lost) {
            sim_broken(sim,
                       "the lead has forgotten round %" PRIu64 " of %s, which a helper has signed",
                       number, task->name);
        }
        round->unknown = true;
    }
}

/* Whatever rounds it was in as a lead, it is in again, or nobody else knows of them. */
void sim_check_hub_up(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        const struct sim_task *task = &sim->plan.tasks[i];
        if (sim_task_serves(task, node)) { /* it may have been killed before it could say so */
            sim_check_recovered(node, task, &served_at(node, task)->task.age.recovered);
        }
        if (sim_task_leads(task, node)) {
            check_lead_up(node, task);
        }
    }
}

/* What the lead's files do not say of its rounds any more. */
static void lose_rounds(struct sim_node *lead, const struct sim_task *task)
{
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        struct round *round = &lead->sim->check->rounds[task->index][i];
        json_t *record =
            round->opened ? check_record(lead, task, check_number(lead->sim, task, i)) : NULL;
        round->lost |= round->opened && !record;
        json_decref(record);
    }
}

void sim_check_put_back(struct sim_node *node)
{
    struct sim *sim = node->sim;
    node->put_back++;
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        if (sim_task_serves(&sim->plan.tasks[i], node)) {
            node->older |= 1u << i;
        }
        if (sim_task_leads(&sim->plan.tasks[i], node)) {
            lose_rounds(node, &sim->plan.tasks[i]);
        }
    }
}

void sim_check_recovered(struct sim_node *node, const struct sim_task *task,
                         const struct mr_recovered *recovered)
{
    struct sim_check *check = node->sim->check;
    struct epochs *epochs = &check->epochs[node->index][task->index];
    for (unsigned i = 0; i < epochs->count; i++) {
        if (epochs->seen[i] == recovered->epoch) {
            return; /* a copy has it too */
        }
    }
    if (recovered->epoch == 0) {
        return; /* there was none */
    }
    MR_ASSERT(epochs->count < EPOCHS_MAX);
    epochs->seen[epochs->count++] = recovered->epoch;
    node->older &= ~(1u << task->index);
    check_draws_forgotten(node, task);
    if (sim_task_leads(task, node)) {
        begin_life(check, task, recovered->round);
    }
}

uint64_t sim_check_newest(const struct sim *sim, const struct sim_task *task)
{
    const unsigned life = sim->check->lives[task->index];
    const struct round *rounds = &sim->check->rounds[task->index][life * ROUNDS_OF_LIFE];
    unsigned newest = ROUNDS_OF_LIFE - 1;
    while (newest && !rounds[newest].opened) {
        newest--;
    }
    return sim->check->bases[task->index][life] + newest;
}

bool sim_check_calm_round(struct sim *sim, const struct sim_task *task)
{
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        const struct round *round = &sim->check->rounds[task->index][i];
        if (round->calm && round->published) {
            return true;
        }
    }
    return false;
}
