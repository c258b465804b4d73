/* main.c - millrace-edge: command line, help, exit codes. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge-client/cli/cli.h"
#include "base/json_memory.h"

enum kind { TEXT, NUMBER, FLAG };

/* An option of the whole command, of the task whose --config was given last, or the one that begins
 * a task. */
enum scope { COMMAND, TASK, NEXT_TASK };

/* The one table of options: parsing and help come from it. */
#define AT(member) COMMAND, offsetof(struct mr_edge_arguments, member)
#define OF(member) TASK, offsetof(struct mr_edge_task, member)
static const struct {
    const char *name;
    enum kind kind;
    enum scope scope;
    size_t at; /* const char * for TEXT, unsigned for the others */
    const char *value;
    const char *help;
} table[] = {
    {"config", TEXT, NEXT_TASK, offsetof(struct mr_edge_task, config), "FILE",
     "the device's configuration (device.json); again for each further task, each followed by its "
     "own --data, --trainer and --trainer-timeout-ms"},
    {"data", TEXT, OF(data), "FILE", "the device's examples; CSV for the built-in trainer"},
    {"rounds", NUMBER, AT(rounds), "N", "end after N rounds of each task (default: never)"},
    {"trainer", TEXT, OF(trainer), "builtin|PROGRAM", "who trains (default: builtin)"},
    {"trainer-timeout-ms", NUMBER, OF(trainer_timeout_ms), "N",
     "kill PROGRAM after N ms (default: at the round's deadline)"},
    {"transport", TEXT, AT(transport), "auto|udp|http2",
     "how the share travels (default: as device.json says)"},
    {"patience-ms", NUMBER, AT(patience_ms), "N",
     "give up after N ms without the lead (default: never)"},
    {"end-wait-ms", NUMBER, AT(end_wait_ms), "N",
     "after \"committed\", wait for the round's end up to N ms beyond its deadline (default: "
     "60000; 0: "
     "do not wait)"},
    {"cpu-mask", TEXT, AT(cpu_mask), "LEVELS", "CPU levels to use: all, scalar, -avx512, ..."},
    {"dump-dir", TEXT, AT(dump_dir), "DIR", "AUDITS ONLY: write each vector BEFORE it is masked"},
    {"stop-after-chunks", NUMBER, AT(stop_after_chunks), "N",
     "TESTS ONLY: halt after N chunks of an upload"},
    {"finished", TEXT, AT(finished), "N",
     "state-reset: go on after round N; 0 where the hubs' stores were emptied"},
    {"into", TEXT, AT(into), "FILE",
     "pull, install, status, rollback: what the application opens; FILE.millrace is beside it"},
    {"health", TEXT, AT(health), "PROGRAM",
     "install: PROGRAM FILE says by exit code 0 that the application is well with the new model; "
     "else the one before is put back"},
    {"health-timeout-ms", NUMBER, AT(health_timeout_ms), "N",
     "install: so long may that take (default: 60000)"},
    {"installed-as", TEXT, AT(installed_as), "float32|float16|bfloat16",
     "install: FILE has numbers of that type (default: as the task's operators have written into "
     "the model, or float32)"},
    {"wait-ms", NUMBER, AT(wait_ms), "N",
     "pull, install: wait up to N ms for a newer release, at most 30000 (default: 0)"},
    {"json", FLAG, AT(json), "", "one JSON object a line"},
};
#define OPTIONS (sizeof table / sizeof *table)

static const struct {
    const char *name;
    const char *help;
    int (*run)(const struct mr_edge_arguments *arguments);
} commands[] = {
    {"run", "take part in rounds; one line a round (needs --config, --data)", mr_edge_run},
    {"check", "check configuration and certificates, reach every hub (needs --config)",
     mr_edge_check},
    {"pull", "fetch and verify the newest release (needs --config, --into)", mr_edge_pull},
    {"install", "the same, and install it; without --config only what was pulled (needs --into)",
     mr_edge_install},
    {"status", "which releases are here (needs --into)", mr_edge_release_status},
    {"rollback", "put the model before back (needs --into)", mr_edge_rollback},
    {"state", "what the device remembers of its rounds (needs --config)", mr_edge_state},
    {"state-reset", "mend a damaged state, and say what that costs (needs --config)",
     mr_edge_state_reset},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fprintf(out, "usage: millrace-edge COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "  %-12s print the version\n  %-12s print this\n\noptions:\n", "version", "help");
    for (size_t i = 0; i < OPTIONS; i++) {
        fprintf(out, "  --%s %s\n        %s\n", table[i].name, table[i].value, table[i].help);
    }
    fprintf(out, "\nexit codes:\n");
#define EXIT_HELP(exit, value, sentence) fprintf(out, "  %d  %s\n", value, sentence);
    MR_EDGE_EXITS(EXIT_HELP)
}

static int number(const char *text, unsigned *out, const char *name)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || errno || value > UINT32_MAX || *text == '-') {
        fprintf(stderr, "millrace-edge: --%s %s: a whole number is needed\n", name, text);
        return -1;
    }
    *out = (unsigned)value;
    return 0;
}

/* Where the option's value goes; NULL: there are too many tasks. What comes before the first
 * --config is the first task's. */
static void *member_of(struct mr_edge_arguments *arguments, int i)
{
    if (table[i].scope == COMMAND) {
        return (char *)arguments + table[i].at;
    }
    if (table[i].scope == NEXT_TASK && ++arguments->task_count > MR_EDGE_TASKS_MAX) {
        fprintf(stderr, "millrace-edge: --config: at most %d tasks in one process\n",
                MR_EDGE_TASKS_MAX);
        return NULL;
    }
    const unsigned current = arguments->task_count ? arguments->task_count - 1 : 0;
    return (char *)&arguments->tasks[current] + table[i].at;
}

static int take(struct mr_edge_arguments *arguments, int i, const char *text)
{
    void *member = member_of(arguments, i);
    if (!member) {
        return -1;
    }
    switch (table[i].kind) {
    case TEXT:
        *(const char **)member = text;
        return 0;
    case NUMBER:
        return number(text, member, table[i].name);
    case FLAG:
        *(unsigned *)member = 1;
        return 0;
    }
    return -1;
}

static int parse(struct mr_edge_arguments *arguments, int argc, char **argv)
{
    struct option options[OPTIONS + 1];
    memset(options, 0, sizeof options);
    for (size_t i = 0; i < OPTIONS; i++) {
        options[i].name = table[i].name;
        options[i].has_arg = table[i].kind == FLAG ? no_argument : required_argument;
        options[i].val = (int)i;
    }
    for (int i; (i = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (i == '?' || take(arguments, i, optarg)) {
            return -1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "millrace-edge: %s belongs to no option (see millrace-edge help)\n",
                argv[optind]);
        return -1;
    }
    return 0;
}

/* A device has little memory: one arena, big blocks given back at once, and OpenSSL without its
 * texts and configuration file. */
static void spare_memory(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_SSL_STRINGS |
                         OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
                     NULL);
}

/* Else the first file or socket would be the standard output or error that a parent has closed. */
static void open_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) {
            _exit(MR_EDGE_EXIT_FAILED); /* nobody could be told why */
        }
    }
}

/* A full disk or a reader that has gone loses lines: that is no success. */
static int flushed(int code)
{
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "millrace-edge: lines of standard output were lost: %s\n", strerror(errno));
        return code ? code : MR_EDGE_EXIT_FAILED;
    }
    return code;
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    struct mr_edge_arguments arguments = {.end_wait_ms = 60000};
    const char *name = argc > 1 ? argv[1] : "";
    for (unsigned i = 0; i < MR_EDGE_TASKS_MAX; i++) {
        arguments.tasks[i].trainer = "builtin";
    }
    mr_json_stop_without_memory();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("millrace-edge %s\n", mre_version());
        return MR_EDGE_EXIT_OK;
    }
    if (strcmp(name, "help") == 0 || (argc > 1 && strcmp(argv[argc - 1], "--help") == 0)) {
        print_help(stdout);
        return MR_EDGE_EXIT_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            argv[1] = argv[0]; /* what getopt's messages begin with */
            if (parse(&arguments, argc - 1, argv + 1)) {
                return MR_EDGE_EXIT_USAGE;
            }
            spare_memory();
            return flushed(commands[i].run(&arguments));
        }
    }
    print_help(stderr);
    return MR_EDGE_EXIT_USAGE;
}
