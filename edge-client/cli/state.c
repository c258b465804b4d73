/* state.c - millrace-edge state, state-reset: what a device remembers of its rounds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "edge-client/cli/cli.h"
#include "edge-client/cli/line.h"

static void print_json(const char *task, const struct mre_state *state, const char *text)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < state->counted_count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:I}", "model",
                                              mr_json_text(state->counted[i].model), "round",
                                              (json_int_t)state->counted[i].round));
    }
    mr_edge_print_json(json_pack("{s:o, s:I, s:I, s:I, s:b, s:o, s:o}", "task", mr_json_text(task),
                                 "finished", (json_int_t)state->finished, "round",
                                 (json_int_t)state->round, "attempts", (json_int_t)state->attempts,
                                 "models_lost", (int)state->models_lost, "counted", list, "text",
                                 mr_json_text(text)));
}

static void print(const struct mr_edge_arguments *arguments, const char *task,
                  const struct mre_state *state, const char *text)
{
    if (arguments->json) {
        print_json(task, state, text);
        return;
    }
    printf("%s: %s\n%s: last finished round %llu; %u attempts begun in round %llu\n", task, text,
           task, (unsigned long long)state->finished, state->attempts,
           (unsigned long long)state->round);
    if (state->models_lost) {
        printf("%s: models that it was counted on were forgotten: the first one announced counts "
               "as one of them\n",
               task);
    }
    for (unsigned i = 0; i < state->counted_count; i++) {
        printf("%s: may have been counted on model %s", task, state->counted[i].model);
        printf(state->counted[i].round ? ", in round %llu\n" : "\n",
               (unsigned long long)state->counted[i].round);
    }
}

/* The value of --finished. 0, or -1 with the text printed. */
static int take_finished(const char *text, uint64_t *finished)
{
    char *end;
    errno = 0;
    *finished = strtoull(text, &end, 10);
    if (end == text || *end || errno || *text == '-') {
        fprintf(stderr, "millrace-edge: --finished %s: a round's number is needed\n", text);
        return -1;
    }
    return 0;
}

static int each(const struct mr_edge_arguments *arguments, const struct mr_edge_task *task,
                bool reset)
{
    struct mre_config *config;
    struct mre_outcome outcome;
    struct mre_state state;
    uint64_t finished = 0;
    if (arguments->finished && take_finished(arguments->finished, &finished)) {
        return MR_EDGE_EXIT_USAGE;
    }
    const int code = mr_edge_load(arguments, task, &config);
    if (code) {
        return code;
    }
    const struct mre_options *options = mre_config_options(config);
    const enum mre_result result =
        reset ? mre_state_reset(options, arguments->finished ? &finished : NULL, &state, &outcome)
              : mre_state_read(options, &state, &outcome);
    if (result) {
        fprintf(stderr, "millrace-edge: %s: %s\n", options->task, outcome.text);
    } else {
        print(arguments, options->task, &state, outcome.text);
    }
    mre_config_free(config);
    return mr_edge_exit_of(result);
}

static int all(const struct mr_edge_arguments *arguments, bool reset)
{
    int worst = each(arguments, &arguments->tasks[0], reset);
    for (unsigned i = 1; i < arguments->task_count; i++) {
        const int code = each(arguments, &arguments->tasks[i], reset);
        worst = code > worst ? code : worst;
    }
    return worst;
}

int mr_edge_state(const struct mr_edge_arguments *arguments)
{
    return all(arguments, false);
}

int mr_edge_state_reset(const struct mr_edge_arguments *arguments)
{
    return all(arguments, true);
}
