/* main.c - the operator's command `millrace`. */
#include "appliance/cli/cli.h"
#include "base/json_memory.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* What each command does, in the order of mr_cli_commands(). */
static int (*const bodies[])(struct mr_cli *cli) = {
#define MR_COMMAND(words, argument, body, text, options) body,
#include "appliance/cli/commands.def"
};

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && (!no || *no == '\0') &&
           (!terminal || *terminal == '\0' || terminal[0] != 'd');
}

int main(int argc, char **argv)
{
    struct mr_cli cli = {.out = stdout, .err = stderr, .colour = wants_colour()};
    mr_json_stop_without_memory();
    signal(SIGPIPE, SIG_IGN);
    int code = mr_cli_parse(&cli, argc, argv);
    if (code == MR_EXIT_OK) {
        if (cli.values[MR_CLI_HELP]) {
            mr_cli_usage(stdout, cli.command);
        } else {
            size_t count;
            code = bodies[cli.command - mr_cli_commands(&count)](&cli);
        }
    }
    if (fflush(stdout) != 0 && code == MR_EXIT_OK) {
        perror("millrace: standard output");
        code = MR_EXIT_FAILED;
    }
    return code;
}
