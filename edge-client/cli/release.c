/* release.c - millrace-edge pull, install, status, rollback: models for applications. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_text.h"
#include "edge-client/cli/cli.h"
#include "edge-client/cli/line.h"
#include "edge-client/session/number_type.h"

#define HEALTH_TIMEOUT_MS 60000u

static int say(const struct mr_edge_arguments *arguments, const struct mre_outcome *outcome)
{
    if (arguments->json) {
        mr_edge_print_json(json_pack(
            "{s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I}", "result",
            mr_json_text(mre_result_name(outcome->result)), "code", mr_json_text(outcome->code),
            "text", mr_json_text(outcome->text), "model", mr_json_text(outcome->model), "round",
            (json_int_t)outcome->round, "warning", mr_json_text(outcome->warning), "heard_ms",
            (json_int_t)outcome->heard_ms, "fetched_ms", (json_int_t)outcome->fetched_ms,
            "verified_ms", (json_int_t)outcome->verified_ms, "kept_ms",
            (json_int_t)outcome->kept_ms, "fetched_bytes", (json_int_t)outcome->fetched_bytes));
    } else {
        printf("%s%s%s%s: %s%s%s\n", mre_result_name(outcome->result), *outcome->code ? " (" : "",
               outcome->code, *outcome->code ? ")" : "", outcome->text,
               *outcome->model ? "; model " : "", outcome->model);
        if (*outcome->warning) {
            fprintf(stderr, "millrace-edge: %s\n", outcome->warning);
        }
    }
    return mr_edge_exit_of(outcome->result);
}

static bool has_file(const struct mr_edge_arguments *arguments)
{
    if (!arguments->into) {
        fprintf(stderr, "millrace-edge: --into FILE is needed: what the application opens\n");
    }
    return arguments->into;
}

/* Pulls; MRE_OK or MRE_UPDATED where all is well. */
static int pull(const struct mr_edge_arguments *arguments, struct mre_outcome *outcome)
{
    struct mre_config *config;
    struct mre_client *client;
    const int code = mr_edge_load(arguments, &arguments->tasks[0], &config);
    if (code) {
        return code;
    }
    if (mre_client_open(&client, mre_config_options(config), outcome) == MRE_OK) {
        mre_release_pull(client, arguments->into, arguments->wait_ms, outcome);
        mre_client_close(client);
    }
    mre_config_free(config);
    return MR_EDGE_EXIT_OK;
}

int mr_edge_pull(const struct mr_edge_arguments *arguments)
{
    struct mre_outcome outcome;
    if (!has_file(arguments)) {
        return MR_EDGE_EXIT_USAGE;
    }
    const int code = pull(arguments, &outcome);
    return code ? code : say(arguments, &outcome);
}

/* The hubs hear how it went; where they cannot be told now, the next pull does. */
static void report(const struct mr_edge_arguments *arguments)
{
    struct mre_config *config;
    struct mre_client *client;
    struct mre_outcome outcome;
    if (mr_edge_load(arguments, &arguments->tasks[0], &config)) {
        return;
    }
    if (mre_client_open(&client, mre_config_options(config), &outcome) == MRE_OK) {
        mre_release_report(client, arguments->into, &outcome);
        mre_client_close(client);
    }
    mre_config_free(config);
}

static enum mre_result install(const struct mr_edge_arguments *arguments,
                               struct mre_outcome *outcome)
{
    struct mre_program program = {
        .path = arguments->health,
        .timeout_ms =
            arguments->health_timeout_ms ? arguments->health_timeout_ms : HEALTH_TIMEOUT_MS,
    };
    const mre_healthy_fn healthy = arguments->health ? mre_program_healthy : NULL;
    enum mre_number_type type;
    return mr_number_named(&type, arguments->installed_as)
               ? mre_release_install_as(arguments->into, type, healthy, &program, outcome)
               : mre_release_install(arguments->into, healthy, &program, outcome);
}

static bool has_type(const struct mr_edge_arguments *arguments)
{
    enum mre_number_type type;
    const bool fits = !arguments->installed_as || mr_number_named(&type, arguments->installed_as);
    if (!fits) {
        fprintf(stderr, "millrace-edge: --installed-as %s: float32, float16 or bfloat16\n",
                arguments->installed_as);
    }
    return fits;
}

/* A program that cannot be run says nothing of the model: judged by it, a good release would be put
 * back, and a roll-out stopped by the reports of many devices, for a mistyped path. */
static bool has_health(const struct mr_edge_arguments *arguments)
{
    struct stat about;
    const char *path = arguments->health;
    if (!path) {
        return true;
    }
    const bool there = stat(path, &about) == 0;
    if (there && S_ISREG(about.st_mode) && access(path, X_OK) == 0) {
        return true;
    }
    fprintf(stderr,
            "millrace-edge: --health %s cannot be run: %s; nothing was installed: name a program "
            "that this user may run\n",
            path, there && !S_ISREG(about.st_mode) ? "it is no file" : strerror(errno));
    return false;
}

/* What waits first: an installation that was cut off has to be judged before anything is pulled. */
int mr_edge_install(const struct mr_edge_arguments *arguments)
{
    struct mre_outcome outcome;
    if (!has_file(arguments) || !has_type(arguments) || !has_health(arguments)) {
        return MR_EDGE_EXIT_USAGE;
    }
    bool judged = install(arguments, &outcome) != MRE_OK;
    if (!judged && arguments->tasks[0].config) {
        const int code = pull(arguments, &outcome);
        if (code) {
            return code;
        }
        judged = outcome.result == MRE_UPDATED;
        if (judged) {
            install(arguments, &outcome);
        }
    }
    if (judged && arguments->tasks[0].config) {
        report(arguments);
    }
    return say(arguments, &outcome);
}

int mr_edge_rollback(const struct mr_edge_arguments *arguments)
{
    struct mre_outcome outcome;
    if (!has_file(arguments)) {
        return MR_EDGE_EXIT_USAGE;
    }
    mre_release_rollback(arguments->into, &outcome);
    return say(arguments, &outcome);
}

static void print_copy(const char *what, const char *model,
                       const struct mre_release_version *version)
{
    if (*model) {
        printf("%-9s version %llu.%u, model %s\n", what, (unsigned long long)version->round,
               version->step, model);
    } else {
        printf("%-9s none\n", what);
    }
}

int mr_edge_release_status(const struct mr_edge_arguments *arguments)
{
    struct mre_outcome outcome;
    struct mre_release_state state;
    struct mre_release_copy opened;
    if (!has_file(arguments)) {
        return MR_EDGE_EXIT_USAGE;
    }
    if (mre_release_status(arguments->into, &state, &outcome) != MRE_OK ||
        mre_release_opened(arguments->into, &opened, &outcome) != MRE_OK) {
        return say(arguments, &outcome);
    }
    const char *type = mr_number_name(opened.number_type);
    if (arguments->json) {
        mr_edge_print_json(json_pack(
            "{s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:b, s:i, s:o, s:o}", "installed",
            mr_json_text(state.installed), "round", (json_int_t)state.installed_version.round,
            "step", (json_int_t)state.installed_version.step, "previous",
            mr_json_text(state.previous), "pulled", mr_json_text(state.pulled), "seen_round",
            (json_int_t)state.seen.round, "seen_step", (json_int_t)state.seen.step, "trial",
            state.trial, "refused", (int)state.refused, "installed_as", mr_json_text(type),
            "sha256", mr_json_text(opened.sha256)));
        return MR_EDGE_EXIT_OK;
    }
    print_copy("installed", state.installed, &state.installed_version);
    if (*opened.sha256) {
        printf("%-9s %s, SHA-256 %s\n", "file", type, opened.sha256);
    }
    print_copy("previous", state.previous, &state.previous_version);
    print_copy("pulled", state.pulled, &state.pulled_version);
    printf("%-9s version %llu.%u; %u releases were put back%s\n", "seen",
           (unsigned long long)state.seen.round, state.seen.step, state.refused,
           state.trial ? "; the installed one is on trial" : "");
    return MR_EDGE_EXIT_OK;
}
