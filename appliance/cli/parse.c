/* parse.c - from argv to a struct mr_cli, by the tables. */
#include "appliance/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/nearest.h"

#define WORDS_MAX 64

static int usage_error(const struct mr_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int usage_error(const struct mr_cli *cli, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mr_cli_fail(cli, MR_EXIT_USAGE, "%s", text);
    fprintf(cli->err, "millrace: see `millrace %s%s--help`\n",
            cli->command ? cli->command->words : "", cli->command ? " " : "");
    return MR_EXIT_USAGE;
}

/* --- which command -------------------------------------------------------------------------- */

/* How many of the words stand at the head of argv, if they all do; else 0. */
static int match(const char *words, int argc, char **argv)
{
    int used = 0;
    while (*words != '\0') {
        const size_t length = strcspn(words, " ");
        if (used == argc || strlen(argv[used]) != length ||
            memcmp(argv[used], words, length) != 0) {
            return 0;
        }
        used++;
        words += length;
        words += strspn(words, " ");
    }
    return used;
}

/* "round" alone, or "round opne": names the group's commands. */
static int unknown_command(const struct mr_cli *cli, int argc, char **argv)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    const char *words[WORDS_MAX];
    char typed[64];
    if (argc == 0) {
        return usage_error(cli, "which command?");
    }
    const bool two = argc > 1 && argv[1][0] != '-';
    snprintf(typed, sizeof typed, "%.31s%s%.31s", argv[0], two ? " " : "", two ? argv[1] : "");
    for (size_t i = 0; i < count; i++) {
        words[i] = commands[i].words;
    }
    const char *meant = mr_nearest_word(typed, words, count);
    if (meant) {
        return usage_error(cli, "no command '%s'; did you mean '%s'?", typed, meant);
    }
    return usage_error(cli, "no command '%s'", typed);
}

/* Sets cli->command; returns how many words it took, or 0. */
static int find_command(struct mr_cli *cli, int argc, char **argv)
{
    size_t count;
    const struct mr_cli_command *commands = mr_cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        const int used = match(commands[i].words, argc, argv);
        if (used > 0) {
            cli->command = &commands[i];
            return used;
        }
    }
    return 0;
}

/* --- its options ---------------------------------------------------------------------------- */

static int find_option(const struct mr_cli *cli, const char *word, size_t length)
{
    const struct mr_cli_option *options = mr_cli_options();
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (strlen(options[i].word) == length && memcmp(options[i].word, word, length) == 0 &&
            mr_cli_takes(cli->command, (enum mr_cli_option_id)i)) {
            return i;
        }
    }
    return -1;
}

static int unknown_option(const struct mr_cli *cli, const char *word)
{
    const struct mr_cli_option *options = mr_cli_options();
    const char *words[MR_CLI_OPTION_COUNT];
    size_t count = 0;
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (mr_cli_takes(cli->command, (enum mr_cli_option_id)i)) {
            words[count++] = options[i].word;
        }
    }
    const char *meant = mr_nearest_word(word, words, count);
    return meant ? usage_error(cli, "%s does not take %s; did you mean %s?", cli->command->words,
                               word, meant)
                 : usage_error(cli, "%s does not take %s", cli->command->words, word);
}

static int take_value(struct mr_cli *cli, int option, const char *value)
{
    cli->values[option] = value;
    if (option == MR_CLI_HOST) {
        if (cli->host_count == MR_CLI_HOSTS_MAX) {
            return usage_error(cli, "--host: at most %d", MR_CLI_HOSTS_MAX);
        }
        cli->hosts[cli->host_count++] = value;
    }
    return MR_EXIT_OK;
}

/* One option at argv[*at], "--word value" or "--word=value"; moves *at behind it. */
static int take_option(struct mr_cli *cli, int argc, char **argv, int *at)
{
    const char *word = argv[(*at)++];
    const char *equals = strchr(word, '=');
    const int option = find_option(cli, word, equals ? (size_t)(equals - word) : strlen(word));
    if (option < 0) {
        return unknown_option(cli, word);
    }
    const struct mr_cli_option *row = &mr_cli_options()[option];
    if (!row->value) {
        cli->values[option] = "";
        return equals ? usage_error(cli, "%s takes no value", row->word) : MR_EXIT_OK;
    }
    if (equals) {
        return take_value(cli, option, equals + 1);
    }
    if (*at == argc) {
        return usage_error(cli, "%s needs a value: %s %s", row->word, row->word, row->value);
    }
    return take_value(cli, option, argv[(*at)++]);
}

static int take_words(struct mr_cli *cli, int argc, char **argv)
{
    for (int at = 0; at < argc;) {
        int bad = MR_EXIT_OK;
        if (argv[at][0] == '-' && argv[at][1] != '\0') {
            bad = take_option(cli, argc, argv, &at);
        } else if (*cli->command->argument != '\0' && !cli->argument) {
            cli->argument = argv[at++];
        } else if (strstr(cli->command->argument, "...") && cli->more_count < MR_CLI_MORE_MAX) {
            cli->more[cli->more_count++] = argv[at++];
        } else {
            bad = usage_error(cli, "%s does not take '%s'", cli->command->words, argv[at]);
        }
        if (bad != MR_EXIT_OK) {
            return bad;
        }
    }
    return MR_EXIT_OK;
}

/* "--help" and "--version" in the place of a command are commands. */
static char *plain_word(char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "--version") == 0) {
        return word + 2;
    }
    return strcmp(word, "-h") == 0 ? "help" : word;
}

int mr_cli_parse(struct mr_cli *cli, int argc, char **argv)
{
    argc--;
    argv++;
    for (int i = 0; i < argc; i++) {
        cli->json |=
            strcmp(argv[i], "--json") == 0; /* errors of the command line come as JSON too */
    }
    if (argc > 0) {
        argv[0] = plain_word(argv[0]);
    }
    const int used = find_command(cli, argc, argv);
    if (used == 0) {
        return unknown_command(cli, argc, argv);
    }
    const int bad = take_words(cli, argc - used, argv + used);
    if (bad != MR_EXIT_OK) {
        return bad;
    }
    for (int i = 0; i < MR_CLI_OPTION_COUNT; i++) {
        if (!cli->values[i] && mr_cli_takes(cli->command, (enum mr_cli_option_id)i)) {
            cli->values[i] = mr_cli_options()[i].otherwise;
        }
    }
    cli->json = cli->values[MR_CLI_JSON];
    const char *argument = cli->command->argument;
    const bool needed = *argument != '\0' && *argument != '[';
    if (needed && !cli->argument && !cli->values[MR_CLI_HELP]) {
        return usage_error(cli, "%s needs its %s", cli->command->words, argument);
    }
    return MR_EXIT_OK;
}

bool mr_cli_number(const struct mr_cli *cli, enum mr_cli_option_id option, uint64_t min,
                   uint64_t max, uint64_t *number)
{
    const char *text = cli->values[option];
    if (!text) {
        return true;
    }
    const size_t length = strlen(text);
    const bool digits = length > 0 && length < 20 && strspn(text, "0123456789") == length;
    const uint64_t value = digits ? strtoull(text, NULL, 10) : 0;
    if (!digits || value < min || value > max) {
        usage_error(cli, "%s must be a whole number from %llu to %llu, not '%s'",
                    mr_cli_options()[option].word, (unsigned long long)min, (unsigned long long)max,
                    text);
        return false;
    }
    *number = value;
    return true;
}
