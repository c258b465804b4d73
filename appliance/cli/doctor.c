/* doctor.c - asks every question of the table and prints the findings. */
#include "appliance/cli/doctor.h"
#include "base/json_text.h"

#include "appliance/hub/hub_check.h"

static const struct {
    const char *name;
    mr_doctor_fn ask;
} questions[] = {
    {"user", mr_doctor_user},
    {"config", mr_doctor_config},
    {"certificates", mr_doctor_certificates},
    {"memory", mr_doctor_memory},
    {"cpu", mr_doctor_cpu},
    {"io_uring", mr_doctor_io_uring},
    {"receive_buffer", mr_doctor_receive_buffer},
    {"udp_gro", mr_doctor_gro},
    {"udp_gso", mr_doctor_gso},
    {"hugepages", mr_doctor_hugepages},
    {"memlock", mr_doctor_memlock},
    {"open_files", mr_doctor_files},
    {"capabilities", mr_doctor_capabilities},
    {"sandbox", mr_doctor_sandbox},
    {"clock", mr_doctor_clock},
    {"disk", mr_doctor_disk},
    {"disk_space", mr_doctor_space},
    {"tpm", mr_doctor_tpm},
    {"tls", mr_doctor_tls},
    {"opener", mr_doctor_opener},
    {"dpdk", mr_doctor_dpdk},
};

static const char *const level_names[] = {"ok", "warn", "missing"};
static const char *const level_colours[] = {"\033[32m", "\033[33m", "\033[31m"};

static void print_finding(const struct mr_cli *cli, const char *name,
                          const struct mr_finding *finding)
{
    const bool colour = cli->colour;
    fprintf(cli->out, "%s%-7s%s %-15s %s\n", colour ? level_colours[finding->level] : "",
            level_names[finding->level], colour ? "\033[0m" : "", name, finding->detail);
    if (*finding->remedy != '\0') {
        fprintf(cli->out, "%24s%s\n", "", finding->remedy);
    }
}

/* Asks them all; how many there are of each level. */
static json_t *ask_all(struct mr_cli *cli, const struct mr_doctor_subject *subject,
                       unsigned counts[3])
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        struct mr_finding finding = {0};
        questions[i].ask(&finding, subject);
        if (*finding.detail == '\0') {
            continue;
        }
        counts[finding.level]++;
        if (!cli->json) {
            print_finding(cli, questions[i].name, &finding);
            fflush(cli->out);
        }
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "name",
                                              mr_json_text(questions[i].name), "level",
                                              mr_json_text(level_names[finding.level]), "detail",
                                              mr_cli_string(finding.detail), "remedy",
                                              mr_cli_string(finding.remedy)));
    }
    return list;
}

int mr_command_doctor(struct mr_cli *cli)
{
    unsigned counts[3] = {0};
    struct mr_hub_config *config = NULL;
    struct mr_error error = {""};
    const char *dir = cli->values[MR_CLI_DIR];
    struct mr_doctor_subject subject = {.file = cli->argument, .user = cli->values[MR_CLI_USER]};
    if (subject.user && mr_doctor_become(subject.user, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "%s", error.text);
    }
    if (subject.file) {
        mr_hub_check(&config, subject.file, &error);
    }
    subject.config = config;
    subject.wrong = error.text;
    subject.dir = dir ? dir : config ? config->data_dir : ".";
    json_t *list = ask_all(cli, &subject, counts);
    json_t *all =
        json_pack("{s:o, s:i, s:i, s:i}", "checks", list, "ok", (int)counts[MR_FINDING_OK], "warn",
                  (int)counts[MR_FINDING_WARN], "missing", (int)counts[MR_FINDING_MISSING]);
    if (cli->json) {
        mr_cli_print(cli, all);
    }
    json_decref(all);
    mr_hub_config_free(config);
    return counts[MR_FINDING_MISSING] == 0 ? MR_EXIT_OK : MR_EXIT_FAILED;
}
