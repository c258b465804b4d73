/* help.c - help and version, from the tables. */
#include "appliance/cli/cli.h"
#include "base/json_text.h"

#include <string.h>

static const char *const exit_texts[] = {
#define MR_EXIT(name, code, text) [code] = text,
#include "appliance/cli/exit_codes.def"
};

static void command_help(FILE *out, const struct mr_cli_command *command)
{
    const struct mr_cli_option *options = mr_cli_options();
    fprintf(out, "usage: millrace %s%s%s [OPTIONS]\n\n%s\n\n", command->words,
            *command->argument != '\0' ? " " : "", command->argument, command->text);
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (!mr_cli_takes(command, (enum mr_cli_option_id)i)) {
            continue;
        }
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", options[i].word, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        fprintf(out, "  %-18s %s", left, options[i].text);
        if (options[i].otherwise) {
            fprintf(out, " (default: %s)", options[i].otherwise);
        }
        fputc('\n', out);
    }
}

void mr_cli_usage(FILE *out, const struct mr_cli_command *command)
{
    if (command) {
        command_help(out, command);
        return;
    }
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    fputs("usage: millrace COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < count; i++) {
        char left[48];
        snprintf(left, sizeof left, "%s %s", commands[i].words, commands[i].argument);
        fprintf(out, "  %-20s %s\n", left, commands[i].text);
    }
    fputs("\nEvery command takes --help and --json. Exit codes:\n\n", out);
    for (size_t i = 0; i < sizeof exit_texts / sizeof *exit_texts; i++) {
        fprintf(out, "  %-3zu %s\n", i, exit_texts[i]);
    }
}

static json_t *option_list(const struct mr_cli_command *command)
{
    json_t *list = json_array();
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (mr_cli_takes(command, (enum mr_cli_option_id)i)) {
            json_array_append_new(list, mr_json_text(mr_cli_options()[i].word));
        }
    }
    return list;
}

/* The tables as JSON: what tools and tests read. */
static json_t *tables(void)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    json_t *list = json_array(), *exits = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o}", "command", mr_json_text(commands[i].words),
                            "argument", mr_json_text(commands[i].argument), "text",
                            mr_json_text(commands[i].text), "options", option_list(&commands[i])));
    }
    for (size_t i = 0; i < sizeof exit_texts / sizeof *exit_texts; i++) {
        json_array_append_new(
            exits, json_pack("{s:i, s:o}", "code", (int)i, "text", mr_json_text(exit_texts[i])));
    }
    return json_pack("{s:o, s:o}", "commands", list, "exit_codes", exits);
}

int mr_command_help(struct mr_cli *cli)
{
    if (!cli->json) {
        mr_cli_usage(cli->out, NULL);
        return MR_EXIT_OK;
    }
    json_t *all = tables();
    mr_cli_print(cli, all);
    json_decref(all);
    return MR_EXIT_OK;
}

int mr_command_version(struct mr_cli *cli)
{
    if (!cli->json) {
        fputs("millrace " MR_VERSION "\n", cli->out);
        return MR_EXIT_OK;
    }
    json_t *version = json_pack("{s:o}", "version", mr_json_text(MR_VERSION));
    mr_cli_print(cli, version);
    json_decref(version);
    return MR_EXIT_OK;
}
