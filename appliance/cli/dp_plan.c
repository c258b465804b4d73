/* dp_plan.c - dp plan: what a budget comes to, before anything is configured. */
#include "appliance/cli/dp_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/cli.h"
#include "base/json_text.h"

static void put(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, mr_json_real(value));
}

static void put_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

json_t *mr_cli_plan_json(const struct mr_plan_question *question, const struct mr_plan *plan)
{
    const bool hub = question->noise == MR_NOISE_HUB;
    json_t *found = json_object();
    json_object_set_new(found, "noise", mr_json_text(hub ? "hub" : "device"));
    put(found, "epsilon", plan->epsilon);
    put(found, "delta", question->delta);
    put_number(found, "rounds", question->rounds);
    put_number(found, "rounds_of_a_device", plan->device_rounds);
    put(found, "rho_budget", mr_rho_value(plan->budget));
    put(found, "rho_round", mr_rho_value(plan->round));
    put(found, "noise_multiplier", plan->z);
    if (hub) {
        put(found, "noise_multiplier_of_all_hubs", plan->z * sqrt(question->hubs));
    }
    put_number(found, "dimension", question->dimension);
    put_number(found, "ring_bits", plan->layout.ring_bits);
    put_number(found, "levels", plan->levels);
    put(found, "scale", (double)plan->scale);
    put(found, "clip_norm", (double)question->clip_norm);
    put_number(found, "sigma2_model", plan->releases[MR_NOISE_MODEL].sigma2);
    put_number(found, "sigma2_norms", plan->releases[MR_NOISE_NORMS].sigma2);
    put_number(found, "sigma2_weight", plan->releases[MR_NOISE_WEIGHT].sigma2);
    put(found, "error_of_a_value", plan->error_lane);
    put(found, "error_of_the_update", plan->error_update);
    put(found, "error_of_the_update_percent_of_clip",
        100 * plan->error_update / (double)question->clip_norm);
    put(found, "error_of_the_weights_percent", 100 * plan->error_weight);
    put(found, "wrap_probability", plan->wrap);
    put(found, "void_probability", plan->tail);
    put_number(found, "upload_bytes", plan->layout.share_bytes);
    return found;
}

/* --- the command line ---------------------------------------------------------------------------
 */

/* An option's value as a number above 0; false (reason written) if it is none. */
static bool real(struct mr_cli *cli, enum mr_cli_option_id option, double *number)
{
    const char *text = cli->values[option];
    char *end = NULL;
    const double value = text ? strtod(text, &end) : 0;
    if (!text || *text == '\0' || *end != '\0' || !isfinite(value) || !(value > 0)) {
        mr_cli_fail(cli, MR_EXIT_USAGE, "%s must be a number above 0, not '%s'",
                    mr_cli_options()[option].word, text ? text : "");
        return false;
    }
    *number = value;
    return true;
}

static bool needed(struct mr_cli *cli)
{
    static const enum mr_cli_option_id options[] = {MR_CLI_EPSILON, MR_CLI_DELTA, MR_CLI_ROUNDS,
                                                    MR_CLI_DEVICES, MR_CLI_DIMENSION};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!cli->values[options[i]]) {
            mr_cli_fail(cli, MR_EXIT_USAGE,
                        "dp plan needs --epsilon, --delta, --rounds, --devices and --dimension; %s "
                        "is missing",
                        mr_cli_options()[options[i]].word);
            return false;
        }
    }
    return true;
}

/* What may be left out is as a hub's configuration has it by default, but for the weights: those of
 * all devices alike tell nothing. */
static bool read_question(struct mr_plan_question *question, struct mr_cli *cli)
{
    uint64_t rounds = 0, devices = 0, dimension = 0, hubs = 0, ring = 0, weight = 1, colluders = 0;
    double clip_norm = 0;
    const char *noise = cli->values[MR_CLI_NOISE];
    if (strcmp(noise, "hub") != 0 && strcmp(noise, "device") != 0) {
        mr_cli_fail(cli, MR_EXIT_USAGE, "--noise must be hub or device, not '%s'", noise);
        return false;
    }
    *question = (struct mr_plan_question){.noise = strcmp(noise, "hub") == 0 ? MR_NOISE_HUB
                                                                             : MR_NOISE_DEVICE,
                                          .chunk_bytes = MR_CHUNK_BYTES_DEFAULT,
                                          .headroom = MR_HEADROOM_MIN};
    if (!needed(cli) || !real(cli, MR_CLI_EPSILON, &question->epsilon) ||
        !real(cli, MR_CLI_DELTA, &question->delta) ||
        !real(cli, MR_CLI_PARTICIPATION, &question->participation) ||
        !real(cli, MR_CLI_CLIP, &clip_norm) ||
        !mr_cli_number(cli, MR_CLI_ROUNDS, 1, 1000000, &rounds) ||
        !mr_cli_number(cli, MR_CLI_DEVICES, 2, UINT32_MAX / 2, &devices) ||
        !mr_cli_number(cli, MR_CLI_DIMENSION, 1, MR_DIMENSION_MAX, &dimension) ||
        !mr_cli_number(cli, MR_CLI_HUBS, 2, MR_HUBS_MAX, &hubs) ||
        !mr_cli_number(cli, MR_CLI_RING_BITS, 8, 32, &ring) ||
        !mr_cli_number(cli, MR_CLI_WEIGHT_MAX, 1, UINT32_MAX, &weight) ||
        !mr_cli_number(cli, MR_CLI_COLLUDERS, 0, devices, &colluders)) {
        return false;
    }
    question->rounds = (uint32_t)rounds;
    question->devices = question->cohort_min = question->cohort_max = (uint32_t)devices;
    question->colluders = (uint32_t)colluders;
    question->hubs = (uint32_t)hubs;
    question->dimension = (uint32_t)dimension;
    question->ring_bits = (uint8_t)ring;
    question->rotation_log2 = mr_quantiser_rotation_log2((uint32_t)dimension);
    question->weight_max = (uint32_t)weight;
    question->clip_norm = (float)clip_norm;
    return true;
}

int mr_command_dp_plan(struct mr_cli *cli)
{
    struct mr_plan_question question;
    struct mr_plan plan;
    struct mr_error error = {""};
    if (!read_question(&question, cli)) {
        return MR_EXIT_USAGE;
    }
    if (mr_plan_make(&plan, &question, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *found = mr_cli_plan_json(&question, &plan);
    mr_cli_print(cli, found);
    json_decref(found);
    return MR_EXIT_OK;
}
