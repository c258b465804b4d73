/* completion.c - the completion script for bash, from the tables of commands and options and, for
 * the keys of hub.yaml, from the table of configuration keys. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/config/options.h"
#include "base/json_text.h"

static int first_length(const struct mr_cli_command *command)
{
    return (int)strcspn(command->words, " ");
}

/* Whether two commands begin with the same word: they are of one group, and stand together. */
static bool same_group(const struct mr_cli_command *a, const struct mr_cli_command *b)
{
    return first_length(a) == first_length(b) &&
           strncmp(a->words, b->words, (size_t)first_length(a)) == 0;
}

/* What may follow nothing. */
static void first_words(FILE *out)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    fputs("        '') words='", out);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !same_group(&commands[i - 1], &commands[i])) {
            fprintf(out, "%.*s ", first_length(&commands[i]), commands[i].words);
        }
    }
    fputs("--help --version' ;;\n", out);
}

/* What may follow the first word of each group. */
static void second_words(FILE *out)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        const int length = first_length(&commands[i]);
        const char *second = commands[i].words + length;
        if (*second == '\0') {
            continue; /* a command of one word */
        }
        if (i == 0 || !same_group(&commands[i - 1], &commands[i])) {
            fprintf(out, "        '%.*s') words='", length, commands[i].words);
        }
        const bool last = i + 1 == count || !same_group(&commands[i], &commands[i + 1]);
        fprintf(out, "%s%s", second + 1, last ? "' ;;\n" : " ");
    }
}

/* What may stand for the command's argument, beside options. */
static void argument_words(FILE *out, const char *argument)
{
    if (strcmp(argument, "SHELL") == 0) {
        fputs("bash ", out);
    } else if (strcmp(argument, "[KEY]") == 0) {
        size_t count;
        const struct mr_option *rows = mr_options(&count);
        for (size_t i = 0; i < count; i++) {
            fprintf(out, "%s%s%s ", rows[i].section, *rows[i].section != '\0' ? "." : "",
                    rows[i].name);
        }
    }
}

/* What may follow each command. */
static void command_words(FILE *out)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "        '%s') words='", commands[i].words);
        argument_words(out, commands[i].argument);
        for (int o = 0; o < MR_CLI_OPTION_COUNT; o++) {
            if (mr_cli_takes(&commands[i], (enum mr_cli_option_id)o)) {
                fprintf(out, "%s ", mr_cli_options()[o].word);
            }
        }
        fprintf(out, "'%s ;;\n", strstr(commands[i].argument, "FILE") ? "; files=1" : "");
    }
}

/* The options that are followed by a file or a folder (`files`), or by any other value. */
static void value_options(FILE *out, bool files)
{
    const char *bar = "";
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        const struct mr_cli_option *option = &mr_cli_options()[i];
        const char *value = option->value ? option->value : "";
        const bool is_file = strcmp(value, "FILE") == 0 || strcmp(value, "DIR") == 0;
        if (*value != '\0' && is_file == files) {
            fprintf(out, "%s%s", bar, option->word);
            bar = " | ";
        }
    }
}

static void script(FILE *out)
{
    fputs("# bash completion of millrace; source it, or put it into\n"
          "# ~/.local/share/bash-completion/completions/millrace\n"
          "_millrace() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before='' words='' files='' word\n"
          "    COMPREPLY=()\n"
          "    case ${COMP_WORDS[COMP_CWORD-1]} in\n        ",
          out);
    value_options(out, true);
    fputs(") compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n        ",
          out);
    value_options(out, false);
    fputs(") return ;;\n"
          "    esac\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "        [[ $word == -* ]] && break\n"
          "        before+=${before:+ }$word\n"
          "    done\n"
          "    case $before in\n",
          out);
    first_words(out);
    second_words(out);
    command_words(out);
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    [[ -n $files && $current != -* ]] && {\n"
          "        compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); }\n"
          "    return 0\n"
          "}\n"
          "complete -F _millrace millrace\n",
          out);
}

int mr_command_completion(struct mr_cli *cli)
{
    char *text = NULL;
    size_t length;
    if (strcmp(cli->argument, "bash") != 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "completion is written for bash only, not '%s'",
                           cli->argument);
    }
    FILE *memory = open_memstream(&text, &length);
    if (!memory) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "out of memory");
    }
    script(memory);
    fclose(memory);
    if (cli->json) {
        json_t *whole =
            json_pack("{s:o, s:o}", "shell", json_string("bash"), "script", mr_json_text(text));
        mr_cli_print(cli, whole);
        json_decref(whole);
    } else {
        fputs(text, cli->out);
    }
    free(text);
    return MR_EXIT_OK;
}
