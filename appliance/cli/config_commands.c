/* config_commands.c - config check, config init. */
#include "appliance/cli/federation_files.h"

#include "appliance/cli/audit_plan.h"
#include "appliance/cli/dp_plan.h"
#include "appliance/config/round_warnings.h"
#include "appliance/hub/hub_check.h"
#include "appliance/privacy/task_plan.h"
#include "base/json_text.h"

static void put_warning(const struct mr_cli *cli, json_t *list, struct mr_error *warning,
                        const char *task)
{
    mr_error_prefix(warning, "task %s", task);
    fprintf(cli->err, "millrace: warning: %s\n", warning->text);
    json_array_append_new(list, mr_cli_string(warning->text));
}

/* What is valid and not wise, of rounds those of the tasks that this hub leads: to standard error,
 * and as a list.
 */
static json_t *warn(const struct mr_cli *cli, const struct mr_hub_config *config)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_task *task = &config->tasks[i];
        struct mr_error warnings[MR_ROUND_WARNINGS_MAX];
        const unsigned count =
            mr_hub_config_leads(config, task) ? mr_round_warnings(warnings, task) : 0;
        for (unsigned k = 0; k < count; k++) {
            mr_error_prefix(&warnings[k], "round");
            put_warning(cli, list, &warnings[k], task->name);
        }
        if (mr_shared_model_warning(&warnings[0], config, i)) {
            put_warning(cli, list, &warnings[0], task->name);
        }
        if (mr_cli_audit_warning(&warnings[0], config, task)) {
            put_warning(cli, list, &warnings[0], task->name);
        }
    }
    return list;
}

/* What the noise of its tasks comes to. */
static void add_plans(json_t *found, const struct mr_hub_config *config)
{
    json_t *plans = json_object();
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_task *task = &config->tasks[i];
        const struct mr_plan_question question = mr_task_plan_question(task, task->dimension);
        struct mr_plan plan;
        struct mr_error ignored; /* mr_hub_check has made it before */
        if (question.noise != MR_NOISE_NONE && mr_plan_make(&plan, &question, &ignored) == 0) {
            json_t *row = mr_cli_plan_json(&question, &plan);
            const char *pool = task->privacy.pool;
            json_object_set_new(row, "pool", mr_cli_string(*pool != '\0' ? pool : task->name));
            json_object_set_new(row, "returns_days", json_integer(task->privacy.returns_days));
            json_object_set_new(plans, task->name, row);
        }
    }
    if (json_object_size(plans) > 0) {
        json_object_set(found, "privacy", plans);
    }
    json_decref(plans);
}

/* What rounds with audit_hours keep on the disk. */
static void add_audits(json_t *found, const struct mr_hub_config *config)
{
    json_t *plans = json_object();
    for (unsigned i = 0; i < config->tasks_count; i++) {
        json_t *plan = mr_cli_audit_plan(config, &config->tasks[i]);
        if (plan) {
            json_object_set_new(plans, config->tasks[i].name, plan);
        }
    }
    if (json_object_size(plans) > 0) {
        json_object_set(found, "audits", plans);
    }
    json_decref(plans);
}

/* Of each task the least devices of a set, and what they are made of. */
static json_t *cohorts(const struct mr_hub_config *config)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_round *round = &config->tasks[i].round;
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I}", "task",
                                              mr_cli_string(config->tasks[i].name), "set_min",
                                              (json_int_t)mr_config_set_min(round), "honest",
                                              (json_int_t)round->cohort_min, "colluders",
                                              (json_int_t)round->colluders));
    }
    return list;
}

int mr_command_config_check(struct mr_cli *cli)
{
    struct mr_hub_config *config;
    struct mr_error error = {""};
    if (mr_hub_check(&config, cli->argument, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    const struct mr_config_upload *upload = &config->upload;
    const uint64_t memory =
        (uint64_t)upload->workers * upload->slots_per_worker * upload->share_bytes_max;
    json_t *found =
        json_pack("{s:o, s:b, s:i, s:i, s:i, s:I}", "file", mr_cli_string(cli->argument), "valid",
                  1, "hub", (int)config->identity.index, "tasks", (int)config->tasks_count, "hubs",
                  (int)config->hubs_count, "staging_bytes", (json_int_t)memory);
    add_plans(found, config);
    add_audits(found, config);
    json_object_set_new(found, "cohorts", cohorts(config));
    json_t *warnings = warn(cli, config);
    if (cli->json) {
        json_object_set(found, "warnings", warnings);
    }
    mr_cli_print(cli, found);
    json_decref(warnings);
    json_decref(found);
    mr_hub_config_free(config);
    return MR_EXIT_OK;
}

int mr_command_config_init(struct mr_cli *cli)
{
    uint64_t hubs = 0, devices = MR_CLI_DEVICES_OTHERWISE, base_port = 0;
    struct mr_error error = {""};
    if (!cli->values[MR_CLI_DIR] || !cli->values[MR_CLI_MODEL]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "--dir and --model are needed: the folder to write to, and the file "
                           "of the first model");
    }
    if (!mr_cli_number(cli, MR_CLI_HUBS, 2, MR_FEDERATION_HUBS_MAX, &hubs) ||
        !mr_cli_number(cli, MR_CLI_DEVICES, 2, 1000, &devices) ||
        !mr_cli_number(cli, MR_CLI_BASE_PORT, 1, 64000, &base_port)) {
        return MR_EXIT_USAGE;
    }
    const struct mr_federation plan = {
        .dir = cli->values[MR_CLI_DIR],
        .model = cli->values[MR_CLI_MODEL],
        .hubs = (unsigned)hubs,
        .devices = (unsigned)devices,
        .base_port = (unsigned)base_port,
        .force = cli->values[MR_CLI_FORCE],
    };
    if (mr_federation_write(&plan, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *made =
        json_pack("{s:o, s:i, s:i, s:o}", "dir", mr_cli_string(plan.dir), "hubs", (int)hubs,
                  "devices", (int)devices, "next",
                  mr_json_text("start each hub with millrace-hub --config hub-N.yaml, then ask it: "
                               "millrace status --config operator.json"));
    mr_cli_print(cli, made);
    json_decref(made);
    return MR_EXIT_OK;
}
