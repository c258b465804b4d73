/* pki_command.c - pki init, pki revoke, pki crl. */
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/cli/pki.h"
#include "base/json_text.h"

int mr_command_pki_init(struct mr_cli *cli)
{
    uint64_t hubs = 0, devices = MR_CLI_DEVICES_OTHERWISE, operators = 0, readers = 0, days = 0;
    struct mr_error error = {""};
    if (!cli->values[MR_CLI_DIR]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "--dir is missing: the folder for the keys and certificates");
    }
    if (!mr_cli_number(cli, MR_CLI_HUBS, 1, MR_PKI_HUBS_MAX, &hubs) ||
        !mr_cli_number(cli, MR_CLI_DEVICES, 0, MR_PKI_DEVICES_MAX, &devices) ||
        !mr_cli_number(cli, MR_CLI_OPERATORS, 1, MR_PKI_OPERATORS_MAX, &operators) ||
        !mr_cli_number(cli, MR_CLI_READERS, 0, MR_PKI_OPERATORS_MAX, &readers) ||
        !mr_cli_number(cli, MR_CLI_DAYS, 1, 36500, &days)) {
        return MR_EXIT_USAGE;
    }
    const struct mr_pki_plan plan = {
        .dir = cli->values[MR_CLI_DIR],
        .hubs = (unsigned)hubs,
        .devices = (unsigned)devices,
        .operators = (unsigned)operators,
        .readers = (unsigned)readers,
        .host_names = cli->hosts,
        .host_name_count = cli->host_count,
        .days = (unsigned)days,
        .random_ids = cli->values[MR_CLI_RANDOM_IDS],
        .force = cli->values[MR_CLI_FORCE],
    };
    if (mr_pki_init(&plan, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *made = json_pack("{s:o, s:I, s:I, s:I, s:I}", "dir", mr_cli_string(plan.dir), "hubs",
                             (json_int_t)hubs, "devices", (json_int_t)devices, "operators",
                             (json_int_t)operators, "readers", (json_int_t)readers);
    mr_cli_print(cli, made);
    json_decref(made);
    return MR_EXIT_OK;
}

/* Writes the list anew, with the certificate of that name on it; NULL: with none more. */
static int write_list(struct mr_cli *cli, const char *name)
{
    struct mr_error error = {""};
    const char *dir = cli->values[MR_CLI_DIR];
    if (!dir) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "--dir is missing: the folder of `pki init`");
    }
    if (name && strpbrk(name, "/")) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "NAME must be the name of a certificate in --dir, such as device-003, "
                           "not '%s'",
                           name);
    }
    if (mr_pki_revoke(dir, name, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *done = json_object();
    if (name) {
        json_object_set_new(done, "revoked", mr_cli_string(name));
    }
    json_object_set_new(done, "list", json_string("revoked.pem"));
    mr_cli_print(cli, done);
    json_decref(done);
    return MR_EXIT_OK;
}

int mr_command_pki_revoke(struct mr_cli *cli)
{
    return write_list(cli, cli->argument);
}

int mr_command_pki_crl(struct mr_cli *cli)
{
    return write_list(cli, NULL);
}
