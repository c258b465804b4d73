/* help.c - help and shell completion, from the tables. */
#include "appliance/cli/cli.h"

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
            fprintf(out, " (%s)", options[i].otherwise);
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
        fprintf(out, "  %-18s %s\n", left, commands[i].text);
    }
    fputs("\nEach takes --help and --json. Exit codes:\n\n", out);
    for (size_t i = 0; i < sizeof exit_texts / sizeof *exit_texts; i++) {
        fprintf(out, "  %-3zu %s\n", i, exit_texts[i]);
    }
}

static json_t *option_list(const struct mr_cli_command *command)
{
    json_t *list = json_array();
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (mr_cli_takes(command, (enum mr_cli_option_id)i)) {
            json_array_append_new(list, json_string(mr_cli_options()[i].word));
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
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o}", "command", commands[i].words,
                                        "argument", commands[i].argument, "text", commands[i].text,
                                        "options", option_list(&commands[i])));
    }
    for (size_t i = 0; i < sizeof exit_texts / sizeof *exit_texts; i++) {
        json_array_append_new(exits,
                              json_pack("{s:i, s:s}", "code", (int)i, "text", exit_texts[i]));
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
    json_t *version = json_pack("{s:s}", "version", MR_VERSION);
    mr_cli_print(cli, version);
    json_decref(version);
    return MR_EXIT_OK;
}

/* --- completion ----------------------------------------------------------------------------- */

/* The words that may follow: first words, second words of a group, options of a command. */
static void bash_words(FILE *out)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    const char *last = "";
    fputs("        '') words='", out);
    for (size_t i = 0; i < count; i++) {
        const int length = (int)strcspn(commands[i].words, " ");
        if ((int)strcspn(last, " ") != length || strncmp(commands[i].words, last, length) != 0) {
            fprintf(out, "%s%.*s", i > 0 ? " " : "", length, commands[i].words);
        }
        last = commands[i].words;
    }
    fputs("' ;;\n", out);
    for (size_t i = 0; i < count; i++) {
        const int length = (int)strcspn(commands[i].words, " ");
        if (commands[i].words[length] == '\0' ||
            (i > 0 && strncmp(commands[i - 1].words, commands[i].words, length + 1) == 0)) {
            continue;
        }
        fprintf(out, "        '%.*s') words='", length, commands[i].words);
        for (size_t j = i;
             j < count && strncmp(commands[j].words, commands[i].words, length + 1) == 0; j++) {
            fprintf(out, "%s%s", j > i ? " " : "", commands[j].words + length + 1);
        }
        fputs("' ;;\n", out);
    }
}

static void bash_options(FILE *out)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "        '%s') words='", commands[i].words);
        for (int o = 0; o < MR_CLI_OPTION_COUNT; o++) {
            if (mr_cli_takes(&commands[i], (enum mr_cli_option_id)o)) {
                fprintf(out, "%s%s", o > 0 ? " " : "", mr_cli_options()[o].word);
            }
        }
        fputs("' ;;\n", out);
    }
}

/* Options that are followed by a file or a folder. */
static void bash_files(FILE *out)
{
    const char *bar = "";
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        const struct mr_cli_option *option = &mr_cli_options()[i];
        if (option->value &&
            (strcmp(option->value, "FILE") == 0 || strcmp(option->value, "DIR") == 0)) {
            fprintf(out, "%s%s", bar, option->word);
            bar = " | ";
        }
    }
}

int mr_command_completion(struct mr_cli *cli)
{
    if (strcmp(cli->argument, "bash") != 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "completion is written for bash only, not '%s'",
                           cli->argument);
    }
    FILE *out = cli->out;
    fputs("# bash completion of millrace; source it, or put it into\n"
          "# ~/.local/share/bash-completion/completions/millrace\n"
          "_millrace() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before='' words='' word\n"
          "    COMPREPLY=()\n"
          "    case ${COMP_WORDS[COMP_CWORD-1]} in\n        ",
          out);
    bash_files(out);
    fputs(") compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
          "    esac\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "        [[ $word == -* ]] && break\n"
          "        before+=${before:+ }$word\n"
          "    done\n"
          "    case $before in\n",
          out);
    bash_words(out);
    bash_options(out);
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    [[ $before == 'config check' && $current != -* ]] && {\n"
          "        compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); }\n"
          "    return 0\n"
          "}\n"
          "complete -F _millrace millrace\n",
          out);
    return MR_EXIT_OK;
}
