/* audit_export_command.c - audit export: what this hub keeps of a round, for an auditor. Reads
 * data_dir without asking the hub, which may run: what is kept of a frozen set does not change. */
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/config/hub_config.h"
#include "appliance/config/signing_key.h"
#include "appliance/privacy/part.h"

static const char warning[] =
    "this file is one hub's part of the round, in the clear. Whoever also has the parts of all "
    "other "
    "hubs has every device's update: hand over no more than one hub's part of a round. In a round "
    "with noise it also takes this hub's noise off what was opened: only the other hubs' is left";

static int export(const struct mr_cli *cli, const struct mr_hub_config *config, uint64_t round,
                  uint32_t *count, struct mr_error *error)
{
    const char *task = cli->values[MR_CLI_TASK];
    char folder[PATH_MAX];
    uint8_t key[32];
    if (!task && config->tasks_count == 1) {
        task = config->tasks[0].name;
    }
    if (!task || !mr_hub_config_task(config, task)) {
        return mr_error_set(error,
                            task ? "the hub has no task %s"
                                 : "%s is needed: the hub has "
                                   "more than one task",
                            task ? task : "--task");
    }
    const int length = snprintf(folder, sizeof folder, "%s/tasks/%s/audit", config->data_dir, task);
    if (length < 0 || (size_t)length >= sizeof folder) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    if (mr_signing_key_read(key, config->identity.signing_key_file, error) != 0) {
        return -1;
    }
    const struct mr_kept_place place = {.folder = folder, .round = round, .private_key = key};
    const int result = mr_part_export(&place, cli->values[MR_CLI_OUT], count, error);
    OPENSSL_cleanse(key, sizeof key);
    return result;
}

int mr_command_audit_export(struct mr_cli *cli)
{
    struct mr_hub_config *config;
    struct mr_error error = {.text = ""};
    uint64_t round = 0;
    uint32_t count = 0;
    if (!cli->values[MR_CLI_OUT] || !cli->values[MR_CLI_ROUND]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "--round and --out are needed");
    }
    if (!mr_cli_number(cli, MR_CLI_ROUND, 1, MR_ROUND_MAX, &round)) {
        return MR_EXIT_USAGE;
    }
    if (mr_hub_config_read(&config, cli->argument, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    const int failed = export(cli, config, round, &count, &error);
    const int hub = config->identity.index;
    mr_hub_config_free(config);
    if (failed) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *object =
        json_pack("{s:i, s:I, s:I, s:o, s:o}", "hub", hub, "round", (json_int_t)round, "devices",
                  (json_int_t)count, "file", mr_cli_string(cli->values[MR_CLI_OUT]), "warning",
                  mr_cli_string(warning));
    mr_cli_print(cli, object);
    json_decref(object);
    return MR_EXIT_OK;
}
