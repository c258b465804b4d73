/* hub_commands.c - status, metrics. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/ask.h"
#include "appliance/cli/cell.h"
#include "base/json_text.h"

static int status(struct mr_ask *ask, void *context)
{
    json_t *answer;
    (void)context;
    const int code = mr_ask(ask, "GET", "/v1/status", NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(ask->cli, answer);
    }
    json_decref(answer);
    return code;
}

int mr_command_status(struct mr_cli *cli)
{
    return mr_ask_run(cli, status, NULL);
}

/* Prometheus text as {"name{labels}": value}; null for a value that JSON has no number for. */
static json_t *samples_of(const char *text)
{
    json_t *samples = json_object();
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        size_t split = length;
        while (split > 0 && text[split - 1] != ' ') {
            split--;
        }
        if (*text != '#' && split > 1) {
            char *name = strndup(text, split - 1);
            json_t *value = mr_json_real(strtod(text + split, NULL));
            if (name) {
                json_object_set_new(samples, name, value ? value : json_null());
            }
            free(name);
        }
        text += length + (text[length] == '\n');
    }
    return samples;
}

static int metrics(struct mr_ask *ask, void *context)
{
    json_t *answer;
    (void)context;
    const int code = mr_ask(ask, "GET", "/metrics", NULL, 0, &answer);
    if (code == MR_EXIT_OK && json_is_string(answer) && ask->cli->json) {
        json_t *samples = samples_of(json_string_value(answer));
        mr_cli_print(ask->cli, samples);
        json_decref(samples);
    } else if (code == MR_EXIT_OK && json_is_string(answer)) {
        mr_cell_put_clean(ask->cli->out, json_string_value(answer), "\n");
    }
    json_decref(answer);
    return code;
}

int mr_command_metrics(struct mr_cli *cli)
{
    return mr_ask_run(cli, metrics, NULL);
}
