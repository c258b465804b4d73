/* cli.h - the operator's command: its tables, a parsed command line, and how it prints.
 *
 * Three tables say all of it: commands.def, cli_options.def, exit_codes.def. Calls run one way:
 * main, the commands' bodies, a connection (ask), parsing, printing, the tables. One thread. */
#ifndef MR_CLI_CLI_H
#define MR_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum mr_exit {
#define MR_EXIT(name, code, text) MR_EXIT_##name = code,
#include "appliance/cli/exit_codes.def"
};

enum mr_cli_option_id {
#define MR_CLI_OPTION(name, word, value, otherwise, text) MR_CLI_##name,
#include "appliance/cli/cli_options.def"
    MR_CLI_OPTION_COUNT
};

#define MR_CLI_DEVICES_OTHERWISE 3 /* of a federation on this machine */
#define MR_CLI_HOSTS_MAX         16
#define MR_CLI_MORE_MAX          1023

struct mr_cli_option {
    const char *word;      /* with its hyphens */
    const char *value;     /* what help calls its value; NULL: a flag */
    const char *otherwise; /* default as text, or NULL */
    const char *text;
};

struct mr_cli_command {
    const char *words;    /* "round open" */
    const char *argument; /* "", the name of its one argument, "[NAME]": it may be left out, or
                             "NAME...": more may follow */
    const char *text;
    const char *options; /* names separated by blanks; @hub, @task: as in commands.def */
};

/* A command line that has been understood. Strings are borrowed from argv. */
struct mr_cli {
    const struct mr_cli_command *command;
    const char *argument;              /* NULL: none was given */
    const char *more[MR_CLI_MORE_MAX]; /* the others, where a command takes more */
    unsigned more_count;
    const char *values[MR_CLI_OPTION_COUNT]; /* as given, "" for a flag, else default or NULL */
    const char *hosts[MR_CLI_HOSTS_MAX];     /* every --host */
    unsigned host_count;
    FILE *out, *err;
    bool json;
    bool colour; /* out is a terminal and NO_COLOR is not set */
};

const struct mr_cli_command *mr_cli_commands(size_t *count);
const struct mr_cli_option *mr_cli_options(void); /* MR_CLI_OPTION_COUNT of them */
/* Whether the command takes the option. */
bool mr_cli_takes(const struct mr_cli_command *command, enum mr_cli_option_id option);

/* Understands argv (argv[0] is skipped) into `cli`, whose out, err and colour are set. MR_EXIT_OK,
 * or MR_EXIT_USAGE with the reason written to err. */
int mr_cli_parse(struct mr_cli *cli, int argc, char **argv);

/* An option's value as a number; false (reason written) if it is none within min..max. An option
 * that was not given and has no default leaves *number alone and is fine. */
bool mr_cli_number(const struct mr_cli *cli, enum mr_cli_option_id option, uint64_t min,
                   uint64_t max, uint64_t *number);

/* Writes "millrace: …" to err, or {"error":…,"exit":…} to out under --json. Returns `code`. */
int mr_cli_fail(const struct mr_cli *cli, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A file that a command is given, malloc'd. MR_EXIT_OK, or what mr_cli_fail returned. */
int mr_cli_read(const struct mr_cli *cli, const char *path, uint8_t **bytes, size_t *length);

/* Prints a JSON value: as it is, on one line, under --json; else as aligned text (objects as
 * "name  value" lines, lists of objects as tables). Control characters of the value never reach the
 * terminal. */
void mr_cli_print(const struct mr_cli *cli, const json_t *value);

/* The text as a JSON string, as mr_json_text makes it. */
json_t *mr_cli_string(const char *text);

/* Help of the command, or of all when NULL. */
void mr_cli_usage(FILE *out, const struct mr_cli_command *command);

/* The commands' bodies; each returns enum mr_exit. */
int mr_command_status(struct mr_cli *cli);
int mr_command_metrics(struct mr_cli *cli);
int mr_command_task_list(struct mr_cli *cli);
int mr_command_task_show(struct mr_cli *cli);
int mr_command_task_resume(struct mr_cli *cli);
int mr_command_task_go_on(struct mr_cli *cli);
int mr_command_recover(struct mr_cli *cli);
int mr_command_model_list(struct mr_cli *cli);
int mr_command_model_show(struct mr_cli *cli);
int mr_command_model_import(struct mr_cli *cli);
int mr_command_model_export(struct mr_cli *cli);
int mr_command_model_diff(struct mr_cli *cli);
int mr_command_model_divide(struct mr_cli *cli);
int mr_command_model_promote(struct mr_cli *cli);
int mr_command_model_unalias(struct mr_cli *cli);
int mr_command_model_tag(struct mr_cli *cli);
int mr_command_model_rollback(struct mr_cli *cli);
int mr_command_model_verify(struct mr_cli *cli);
int mr_command_model_gc(struct mr_cli *cli);
int mr_command_key_next(struct mr_cli *cli);
int mr_command_key_endorse(struct mr_cli *cli);
int mr_command_key_announce(struct mr_cli *cli);
int mr_command_release_list(struct mr_cli *cli);
int mr_command_release_show(struct mr_cli *cli);
int mr_command_release_hold(struct mr_cli *cli);
int mr_command_release_go_on(struct mr_cli *cli);
int mr_command_release_withdraw(struct mr_cli *cli);
int mr_command_watermark_key(struct mr_cli *cli);
int mr_command_watermark_add(struct mr_cli *cli);
int mr_command_watermark_verify(struct mr_cli *cli);
int mr_command_round_list(struct mr_cli *cli);
int mr_command_round_show(struct mr_cli *cli);
int mr_command_round_open(struct mr_cli *cli);
int mr_command_round_void(struct mr_cli *cli);
int mr_command_round_watch(struct mr_cli *cli);
int mr_command_config_check(struct mr_cli *cli);
int mr_command_config_show(struct mr_cli *cli);
int mr_command_config_explain(struct mr_cli *cli);
int mr_command_config_init(struct mr_cli *cli);
int mr_command_key_new(struct mr_cli *cli);
int mr_command_key_public(struct mr_cli *cli);
int mr_command_pki_init(struct mr_cli *cli);
int mr_command_pki_revoke(struct mr_cli *cli);
int mr_command_pki_crl(struct mr_cli *cli);
int mr_command_audit_verify(struct mr_cli *cli);
int mr_command_audit_export(struct mr_cli *cli);
int mr_command_audit_recompute(struct mr_cli *cli);
int mr_command_dp_plan(struct mr_cli *cli);
int mr_command_budget_list(struct mr_cli *cli);
int mr_command_budget_show(struct mr_cli *cli);
int mr_command_budget_export(struct mr_cli *cli);
int mr_command_doctor(struct mr_cli *cli);
int mr_command_completion(struct mr_cli *cli);
int mr_command_version(struct mr_cli *cli);
int mr_command_help(struct mr_cli *cli);

#endif
