/* check_tasks.c - the rules of one task: its name, its hubs, its rounds. */
#include <jansson.h>
#include <string.h>

#include "appliance/config/hub_check_internal.h"
#include "appliance/config/metric_list.h"
#include "wire/announcement.h"
#include "wire/optimiser.h"
#include "wire/quantiser.h"
#include "wire/task.h"

static int at(const struct mr_place *place, const char *section, unsigned entry, const char *name)
{
    return mr_document_blame(place->document, section, entry, name, place->error);
}

/* --- a task's rounds ------------------------------------------------------------------------ */

static int check_training(const struct mr_config_round *round, unsigned task,
                          const struct mr_place *place)
{
    if (*round->training == '\0') {
        return 0;
    }
    for (const char *c = round->training; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            mr_error_set(place->error, "must be printable ASCII: write other letters as \\uXXXX");
            return at(place, "tasks.round", task, "training");
        }
    }
    json_error_t why;
    json_t *json = json_loads(round->training, JSON_REJECT_DUPLICATES, &why);
    const bool object = json_is_object(json);
    json_decref(json);
    if (!object) {
        mr_error_set(place->error, "must be a JSON object such as '{\"epochs\": 5}' (%s)",
                     !json ? why.text : "it is another kind of JSON");
        return at(place, "tasks.round", task, "training");
    }
    return 0;
}

static int check_shape(const struct mr_config_round *round, unsigned task,
                       const struct mr_place *place)
{
    if (round->ring_bits != MR_RING_AUTO && !mr_ring_width_known(round->ring_bits)) {
        mr_error_set(place->error, "must be one of " MR_RING_WIDTHS_TEXT ", or auto, not %u",
                     round->ring_bits);
        return at(place, "tasks.round", task, "ring_bits");
    }
    if (round->chunk_bytes % 64 != 0) {
        mr_error_set(place->error, "must be a multiple of 64, not %u", round->chunk_bytes);
        return at(place, "tasks.round", task, "chunk_bytes");
    }
    return 0;
}

/* The message of the check names the number as the announcement has it: so do the options. */
static int check_optimiser(const struct mr_config_round *round, unsigned task,
                           const struct mr_place *place)
{
    static const char *const names[] = {"learning_rate", "beta1", "beta2", "tau"};
    static const char *const options[] = {"server_learning_rate", "server_beta1", "server_beta2",
                                          "server_tau"};
    struct mr_optimiser optimiser;
    unsigned i = 0;
    mr_optimiser_make(&optimiser, round->server_optimiser, round->server_learning_rate,
                      round->server_beta1, round->server_beta2, round->server_tau);
    if (mr_optimiser_check(&optimiser, place->error) == 0) {
        return 0;
    }
    while (i < 3 && strncmp(place->error->text, names[i], strlen(names[i])) != 0) {
        i++;
    }
    return at(place, "tasks.round", task, options[i]);
}

/* A lead that is there ends a round in four steps after the deadline: its own commit, then freeze,
 * open and reveal, each with as much time as peer_timeout_ms. */
static int check_grace(const struct mr_config_round *round, unsigned task,
                       const struct mr_place *place)
{
    const uint64_t least = UINT64_C(4) * round->peer_timeout_ms;
    if (round->lead_grace_ms < least) {
        mr_error_set(place->error,
                     "must be at least four times peer_timeout_ms (%llu): a lead that is there may "
                     "need so long to end a round",
                     (unsigned long long)least);
        return at(place, "tasks.round", task, "lead_grace_ms");
    }
    return 0;
}

/* Where the most devices are left to what fits, weight_max is what leaves no room for them. */
static int check_weights(const struct mr_config_round *round, unsigned task, uint32_t weights,
                         const struct mr_place *place)
{
    const uint32_t least = mr_config_set_min(round);
    const uint32_t wanted = round->quorum > least ? round->quorum : least;
    if (round->cohort_max == 0 && wanted > weights) {
        mr_error_set(place->error,
                     "%u leaves room for %u devices (their weights add up to less than 2^32), but "
                     "cohort_min and quorum ask for %u: at most %u",
                     round->weight_max, weights, wanted, UINT32_MAX / wanted);
        return at(place, "tasks.round", task, "weight_max");
    }
    return 0;
}

/* The honest ones and the colluders fit into a round, and its quorum is no smaller. */
static int check_least(const struct mr_config_round *round, unsigned task,
                       const struct mr_place *place)
{
    const uint32_t least = mr_config_set_min(round);
    if (least > round->cohort_max) {
        mr_error_set(place->error,
                     "%u is above the most devices of a round, with %u colluders: cohort_max is "
                     "%u, or the ring of ring_bits %u holds no more",
                     round->cohort_min, round->colluders, round->cohort_max, round->ring_bits);
        return at(place, "tasks.round", task, "cohort_min");
    }
    if (round->quorum < least || round->quorum > round->cohort_max) {
        mr_error_set(place->error,
                     "must be from cohort_min with colluders (%u) to the most devices of a round "
                     "(%u), not %u",
                     least, round->cohort_max, round->quorum);
        return at(place, "tasks.round", task, "quorum");
    }
    if (round->admitted_max != 0 && round->admitted_max <= round->cohort_max) {
        mr_error_set(place->error,
                     "must be 0, or above the most devices of a round (cohort_max, %u), not %u",
                     round->cohort_max, round->admitted_max);
        return at(place, "tasks.round", task, "admitted_max");
    }
    return 0;
}

/* ring_bits auto becomes a number. */
static int choose_ring(struct mr_config_round *round, unsigned task, const struct mr_place *place)
{
    if (round->ring_bits != MR_RING_AUTO) {
        return 0;
    }
    if (round->cohort_max == 0) {
        mr_error_set(place->error, "auto goes by the most devices of a round: set cohort_max");
        return at(place, "tasks.round", task, "ring_bits");
    }
    round->ring_auto = true;
    round->ring_bits = mr_config_ring(round);
    if (round->ring_bits == 0) {
        round->ring_bits =
            mr_ring_widths[MR_RING_WIDTHS - 1]; /* the next check says what it holds */
    }
    return 0;
}

/* Names what would fit: devices times levels. */
static int check_ring(const struct mr_config_round *round, unsigned task,
                      const struct mr_place *place)
{
    const uint32_t ring = mr_quantiser_cohort_max(round->ring_bits, 1, round->headroom);
    const uint8_t asked = mr_config_levels_asked(round);
    const uint32_t levels = asked > 0 ? asked : 1;
    if (round->cohort_max <= ring / levels) {
        return 0;
    }
    mr_error_set(place->error,
                 "%u devices of levels %u do not fit into a ring of %u bits with headroom %u, "
                 "which holds %u devices times levels: %u of a single level, %u of all 127; choose "
                 "a wider ring_bits%s or fewer devices",
                 round->cohort_max, levels, round->ring_bits, round->headroom, ring, ring,
                 ring / MR_LEVELS_MAX, levels > 1 ? ", fewer levels" : "");
    return at(place, "tasks.round", task, "cohort_max");
}

/* Narrow rings hold few devices of all levels: where cohort_max is left to one, that is seldom what
 * is meant. */
static int check_left_to_ring(const struct mr_config_round *round, unsigned task, uint32_t holds,
                              const struct mr_place *place)
{
    const uint32_t least = mr_config_set_min(round);
    const uint32_t wanted = round->quorum > least ? round->quorum : least;
    if (round->ring_bits >= 16 || round->cohort_max != 0 || holds >= wanted) {
        return 0;
    }
    mr_error_set(place->error,
                 "a ring of %u bits with headroom %u holds %u devices of %u levels, and cohort_min "
                 "and quorum ask for %u: devices times levels may be %u; set cohort_max, and the "
                 "levels follow from it, or choose a wider ring_bits",
                 round->ring_bits, round->headroom, holds, mr_config_levels_most(round), wanted,
                 mr_quantiser_cohort_max(round->ring_bits, 1, round->headroom));
    return at(place, "tasks.round", task, "ring_bits");
}

static int check_cohort(struct mr_config_round *round, unsigned task, const struct mr_place *place)
{
    if (choose_ring(round, task, place) != 0 || check_ring(round, task, place) != 0) {
        return -1;
    }
    const uint32_t full =
        mr_quantiser_cohort_max(round->ring_bits, mr_config_levels_most(round), round->headroom);
    const uint32_t weights = UINT32_MAX / round->weight_max;
    const uint32_t holds = full < weights ? full : weights;
    if (check_left_to_ring(round, task, full, place) != 0) {
        return -1;
    }
    if (round->cohort_max > weights) {
        mr_error_set(place->error,
                     "%u devices of weight %u overflow the sum of weights: at most %u devices, or "
                     "a smaller round.weight_max",
                     round->cohort_max, round->weight_max, weights);
        return at(place, "tasks.round", task, "cohort_max");
    }
    if (check_weights(round, task, weights, place) != 0) {
        return -1;
    }
    if (round->cohort_max == 0) {
        round->cohort_max = holds;
    }
    return check_least(round, task, place);
}

/* --- the tasks ------------------------------------------------------------------------------ */

static int check_name(const struct mr_hub_config *config, unsigned entry,
                      const struct mr_place *place)
{
    const char *name = config->tasks[entry].name;
    if (!mr_task_name_valid(name)) {
        mr_error_set(place->error,
                     "must be 1 to %d of a-z, 0-9 and hyphens, the first no hyphen, not '%s'",
                     MR_TASK_NAME_MAX, name);
        return at(place, "tasks", entry, "name");
    }
    for (unsigned i = 0; i < entry; i++) {
        if (strcmp(config->tasks[i].name, name) == 0) {
            mr_error_set(place->error,
                         "'%s' is taken by the entry in line %u: every task has its own", name,
                         mr_document_line(place->document, "tasks", i, "name"));
            return at(place, "tasks", entry, "name");
        }
    }
    return 0;
}

/* Each in the address book, none twice, helpers strictly rising (as announced), this hub among
 * them. */
static int check_task_hubs(const struct mr_hub_config *config, unsigned entry,
                           const struct mr_place *place)
{
    const struct mr_config_task *task = &config->tasks[entry];
    bool own = false;
    for (unsigned i = 0; i < task->hubs_count; i++) {
        own = own || task->hubs[i] == config->identity.index;
        if (!mr_hub_config_address(config, task->hubs[i])) {
            mr_error_set(place->error, "%u is not in the list of hubs: add it to 'hubs'",
                         task->hubs[i]);
            return at(place, "tasks", entry, "hubs");
        }
        if (i > 0 && task->hubs[i] == task->hubs[0]) {
            mr_error_set(place->error, "%u stands in it twice", task->hubs[i]);
            return at(place, "tasks", entry, "hubs");
        }
        if (i >= 2 && task->hubs[i] <= task->hubs[i - 1]) {
            mr_error_set(place->error,
                         "%u after %u: helpers stand after the lead in rising order of their index",
                         task->hubs[i], task->hubs[i - 1]);
            return at(place, "tasks", entry, "hubs");
        }
    }
    if (!own) {
        mr_error_set(place->error,
                     "this hub (%u) is not among them: leave the task out, or add the hub",
                     config->identity.index);
        return at(place, "tasks", entry, "hubs");
    }
    return 0;
}

static int check_rollout(const struct mr_config_releases *releases, unsigned entry,
                         const struct mr_place *place)
{
    struct mr_config_rollout rollout;
    int bad = mr_config_rollout(&rollout, releases->rollout, place->error);
    if (bad == 0 && rollout.tags > 0 && *releases->tags_file == '\0') {
        bad = mr_error_set(place->error,
                           "begins with the tag '%s', and nothing says which devices have it: name "
                           "the file in tags_file",
                           rollout.tag[0]);
    }
    return bad == 0 ? 0 : at(place, "tasks.releases", entry, "rollout");
}

static int check_client_min(const struct mr_config_releases *releases, unsigned entry,
                            const struct mr_place *place)
{
    uint32_t version;
    return mr_config_client_min(&version, releases->client_min, place->error) == 0
               ? 0
               : at(place, "tasks.releases", entry, "client_min");
}

/* An evaluation tells metrics, and nothing else. */
static int check_metrics(const struct mr_config_round *round, unsigned entry,
                         const struct mr_place *place)
{
    struct mr_announced_metric list[MR_METRICS_MAX];
    const int count = mr_config_metrics(list, round->metrics, place->error);
    if (count < 0) {
        return at(place, "tasks.round", entry, "metrics");
    }
    if (count == 0 && (round->evaluate_before || round->evaluate_every > 0)) {
        mr_error_set(place->error,
                     "needs metrics: name in tasks.round.metrics what devices report");
        return at(place, "tasks.round", entry,
                  round->evaluate_before ? "evaluate_before" : "evaluate_every");
    }
    bool known = round->stop_metric[0] == '\0';
    for (int i = 0; i < count && !known; i++) {
        known = strcmp(list[i].name, round->stop_metric) == 0;
    }
    if (!known) {
        mr_error_set(place->error, "is not in tasks.round.metrics: '%s'", round->stop_metric);
        return at(place, "tasks.round", entry, "stop_metric");
    }
    return 0;
}

int mr_config_check_task(struct mr_hub_config *config, unsigned entry, const struct mr_place *place)
{
    struct mr_config_round *round = &config->tasks[entry].round;
    return check_name(config, entry, place) != 0 || check_task_hubs(config, entry, place) != 0 ||
                   check_shape(round, entry, place) != 0 || check_grace(round, entry, place) != 0 ||
                   check_optimiser(round, entry, place) != 0 ||
                   check_cohort(round, entry, place) != 0 ||
                   check_training(round, entry, place) != 0 ||
                   check_metrics(round, entry, place) != 0 ||
                   check_rollout(&config->tasks[entry].releases, entry, place) != 0 ||
                   check_client_min(&config->tasks[entry].releases, entry, place) != 0
               ? -1
               : 0;
}
