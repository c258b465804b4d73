/* doctor.c - asks every question of the table and prints the findings. */
#include "appliance/cli/doctor.h"
#include "base/json_text.h"

static const struct {
    const char *name;
    mr_doctor_fn ask;
} questions[] = {
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

static void ask(struct mr_cli *cli, const char *name, mr_doctor_fn question, const char *about,
                unsigned counts[3], json_t *list)
{
    struct mr_finding finding = {0};
    question(&finding, about);
    counts[finding.level]++;
    if (!cli->json) {
        print_finding(cli, name, &finding);
        fflush(cli->out);
    }
    json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "name", mr_json_text(name),
                                          "level", mr_json_text(level_names[finding.level]),
                                          "detail", mr_cli_string(finding.detail), "remedy",
                                          mr_cli_string(finding.remedy)));
}

int mr_command_doctor(struct mr_cli *cli)
{
    unsigned counts[3] = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        ask(cli, questions[i].name, questions[i].ask, cli->values[MR_CLI_DIR], counts, list);
    }
    if (cli->argument) {
        ask(cli, "certificates", mr_doctor_certificates, cli->argument, counts, list);
    }
    json_t *all =
        json_pack("{s:o, s:i, s:i, s:i}", "checks", list, "ok", (int)counts[MR_FINDING_OK], "warn",
                  (int)counts[MR_FINDING_WARN], "missing", (int)counts[MR_FINDING_MISSING]);
    if (cli->json) {
        mr_cli_print(cli, all);
    }
    json_decref(all);
    return counts[MR_FINDING_MISSING] == 0 ? MR_EXIT_OK : MR_EXIT_FAILED;
}
