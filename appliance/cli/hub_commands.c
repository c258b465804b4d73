/* hub_commands.c - status, metrics, round list, round show, round open. */
#include "appliance/cli/ask.h"

#include <stdlib.h>
#include <string.h>

/* One long poll; the hub answers earlier when the round changes. */
#define WAIT_MS 20000

/* GET path, and print what comes. */
static int show(struct mr_cli *cli, const char *path)
{
    struct mr_ask ask;
    json_t *answer;
    int code = mr_ask_open(&ask, cli);
    if (code != MR_EXIT_OK) {
        return code;
    }
    code = mr_ask(&ask, "GET", path, NULL, 0, &answer);
    if (code == MR_EXIT_OK) {
        mr_cli_print(cli, answer);
    }
    json_decref(answer);
    mr_ask_close(&ask);
    return code;
}

int mr_command_status(struct mr_cli *cli)
{
    return show(cli, "/v1/status");
}

int mr_command_round_list(struct mr_cli *cli)
{
    return show(cli, "/v1/tasks/default/admin/rounds");
}

/* --- metrics -------------------------------------------------------------------------------- */

/* Prometheus text as {"name{labels}": value}. */
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
            if (name) {
                json_object_set_new(samples, name, json_real(strtod(text + split, NULL)));
            }
            free(name);
        }
        text += length + (text[length] == '\n');
    }
    return samples;
}

int mr_command_metrics(struct mr_cli *cli)
{
    struct mr_ask ask;
    json_t *answer;
    int code = mr_ask_open(&ask, cli);
    if (code != MR_EXIT_OK) {
        return code;
    }
    code = mr_ask(&ask, "GET", "/metrics", NULL, 0, &answer);
    if (code == MR_EXIT_OK && json_is_string(answer)) {
        if (cli->json) {
            json_t *samples = samples_of(json_string_value(answer));
            mr_cli_print(cli, samples);
            json_decref(samples);
        } else {
            fputs(json_string_value(answer), cli->out);
        }
    }
    json_decref(answer);
    mr_ask_close(&ask);
    return code;
}

/* --- rounds --------------------------------------------------------------------------------- */

static bool has_ended(const char *state)
{
    return strcmp(state, "published") == 0 || strcmp(state, "done") == 0 ||
           strcmp(state, "void") == 0;
}

/* Prints the round, waiting for its end where --wait asks for it. */
static int show_round(struct mr_ask *ask, uint64_t round)
{
    const bool wait = ask->cli->values[MR_CLI_WAIT];
    char path[96];
    snprintf(path, sizeof path, "/v1/tasks/default/admin/rounds/%llu", (unsigned long long)round);
    if (wait) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "?wait_ms=%d", WAIT_MS);
    }
    for (;;) {
        json_t *answer;
        int code = mr_ask(ask, "GET", path, NULL, wait ? WAIT_MS : 0, &answer);
        const char *state = json_string_value(json_object_get(answer, "state"));
        const bool again = code == MR_EXIT_OK && wait && state && !has_ended(state);
        if (code == MR_EXIT_OK && !again) {
            mr_cli_print(ask->cli, answer);
            code = wait && state && strcmp(state, "void") == 0 ? MR_EXIT_VOID : MR_EXIT_OK;
        }
        json_decref(answer);
        if (!again) {
            return code;
        }
        if (!ask->cli->json) {
            fprintf(ask->cli->err, "millrace: waiting for round %llu to end\n",
                    (unsigned long long)round);
        }
    }
}

int mr_command_round_show(struct mr_cli *cli)
{
    struct mr_ask ask;
    const char *text = cli->argument;
    const size_t length = strlen(text);
    if (length == 0 || length > 18 || strspn(text, "0123456789") != length) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "ROUND must be a number, not '%s'", text);
    }
    int code = mr_ask_open(&ask, cli);
    if (code == MR_EXIT_OK) {
        code = show_round(&ask, strtoull(text, NULL, 10));
        mr_ask_close(&ask);
    }
    return code;
}

/* What is asked of the new round beyond the hub's configuration; NULL after a wrong option. */
static json_t *overrides(const struct mr_cli *cli, int *code)
{
    static const struct {
        enum mr_cli_option_id option;
        const char *member;
        uint64_t min, max;
    } numbers[] = {
        {MR_CLI_QUORUM, "quorum", 2, UINT32_MAX},
        {MR_CLI_DEADLINE_MS, "deadline_ms", 1, UINT32_MAX},
        {MR_CLI_COHORT_MIN, "cohort_min", 2, UINT32_MAX},
    };
    json_t *body = json_object();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t value = 0;
        if (!mr_cli_number(cli, numbers[i].option, numbers[i].min, numbers[i].max, &value)) {
            json_decref(body);
            *code = MR_EXIT_USAGE;
            return NULL;
        }
        if (cli->values[numbers[i].option] != NULL) {
            json_object_set_new(body, numbers[i].member, json_integer((json_int_t)value));
        }
    }
    const char *training = cli->values[MR_CLI_TRAINING];
    if (training) {
        json_t *object = json_loads(training, JSON_REJECT_DUPLICATES, NULL);
        const bool good = json_is_object(object);
        json_decref(object);
        if (!good) {
            json_decref(body);
            *code = mr_cli_fail(cli, MR_EXIT_USAGE, "--training must be a JSON object");
            return NULL;
        }
        json_object_set_new(body, "training", json_string(training));
    }
    return body;
}

int mr_command_round_open(struct mr_cli *cli)
{
    struct mr_ask ask;
    json_t *answer = NULL;
    int code = MR_EXIT_OK;
    json_t *body = overrides(cli, &code);
    if (!body) {
        return code;
    }
    code = mr_ask_open(&ask, cli);
    if (code == MR_EXIT_OK) {
        code = mr_ask(&ask, "POST", "/v1/tasks/default/admin/rounds", body, 0, &answer);
        const json_t *round = json_object_get(answer, "round");
        if (code == MR_EXIT_OK && cli->values[MR_CLI_WAIT] && json_is_integer(round)) {
            code = show_round(&ask, (uint64_t)json_integer_value(round));
        } else if (code == MR_EXIT_OK) {
            mr_cli_print(cli, answer);
        }
        json_decref(answer);
        mr_ask_close(&ask);
    }
    json_decref(body);
    return code;
}
