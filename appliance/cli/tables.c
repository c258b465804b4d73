/* tables.c - the three tables as data. */
#include "appliance/cli/cli.h"

#include <string.h>

/* The options of a connection to a hub. */
static const char hub_options[] = "--config --hub --hub-index --ca --cert --key --timeout-ms";

#define MR_COMMAND(words_, argument_, body_, text_, options_)                                      \
    {                                                                                              \
        .words = words_,                                                                           \
        .argument = argument_,                                                                     \
        .text = text_,                                                                             \
        .options = options_,                                                                       \
    },
static const struct mr_cli_command commands[] = {
#include "appliance/cli/commands.def"
};

#define MR_CLI_OPTION(name, word_, value_, otherwise_, text_)                                      \
    {                                                                                              \
        .word = word_,                                                                             \
        .value = value_,                                                                           \
        .otherwise = otherwise_,                                                                   \
        .text = text_,                                                                             \
    },
static const struct mr_cli_option options[] = {
#include "appliance/cli/cli_options.def"
};

const struct mr_cli_command *mr_cli_commands(size_t *count)
{
    *count = sizeof commands / sizeof *commands;
    return commands;
}

const struct mr_cli_option *mr_cli_options(void)
{
    return options;
}

static bool has_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    while (*list != '\0') {
        const size_t next = strcspn(list, " ");
        if (next == length && memcmp(list, word, length) == 0) {
            return true;
        }
        list += next;
        list += strspn(list, " ");
    }
    return false;
}

bool mr_cli_takes(const struct mr_cli_command *command, enum mr_cli_option_id option)
{
    const char *word = options[option].word;
    const bool task = has_word(command->options, "@task");
    const bool hub = task || has_word(command->options, "@hub");
    return option == MR_CLI_HELP || option == MR_CLI_JSON || has_word(command->options, word) ||
           (task && option == MR_CLI_TASK) || (hub && has_word(hub_options, word));
}
