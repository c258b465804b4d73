/* check.c - millrace-edge check: every answer a person needs before the first round. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/cli/cli.h"
#include "edge-client/cli/line.h"
#include "base/json_text.h"

static void say(const struct mr_edge_arguments *arguments, const char *task, const char *what,
                int good, const char *text)
{
    if (!arguments->json) {
        printf("%-4s %s: %-8s %s\n", good ? "ok" : "FAIL", task, what, text);
        return;
    }
    json_t *line = json_pack("{s:o, s:o, s:b, s:o}", "task", mr_json_text(task), "check",
                             mr_json_text(what), "ok", good, "text", mr_json_text(text));
    mr_edge_print_json(line);
}

static int check_task(const struct mr_edge_arguments *arguments, const struct mr_edge_task *task)
{
    struct mre_config *config;
    struct mre_client *client;
    struct mre_outcome outcome;
    int code = mr_edge_load(arguments, task, &config);
    if (code) {
        return code;
    }
    const struct mre_options *options = mre_config_options(config);
    if (mre_client_open(&client, options, &outcome)) {
        say(arguments, options->task, "config", 0, outcome.text);
        mre_config_free(config);
        return mr_edge_exit_of(outcome.result);
    }
    char text[128];
    snprintf(text, sizeof text, "device %s", mre_client_id(client));
    code = mr_edge_exit_of(mre_client_check(client, &outcome));
    say(arguments, options->task, "config", !code, code ? outcome.text : text);
    for (unsigned i = 0; i < options->hub_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "hub %u", options->hubs[i].index);
        enum mre_result result = mre_client_reach(client, i, &outcome);
        /* Which hub it is stands before it: once is enough. */
        const size_t again = strlen(name);
        const bool twice =
            strncmp(outcome.text, name, again) == 0 && strncmp(outcome.text + again, ": ", 2) == 0;
        say(arguments, options->task, name, result == MRE_OK,
            outcome.text + (twice ? again + 2 : 0));
        if (result && !code) {
            code = mr_edge_exit_of(result);
        }
    }
    mre_client_close(client);
    mre_config_free(config);
    return code;
}

int mr_edge_check(const struct mr_edge_arguments *arguments)
{
    int worst = check_task(arguments, &arguments->tasks[0]);
    for (unsigned i = 1; i < arguments->task_count; i++) {
        const int code = check_task(arguments, &arguments->tasks[i]);
        worst = code > worst ? code : worst;
    }
    return worst;
}
