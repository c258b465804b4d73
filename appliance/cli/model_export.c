/* model_export.c - model export. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/model_fetch.h"
#include "appliance/cli/model_folders.h"
#include "base/json_text.h"

static const struct {
    const char *name, *suffix;
    int (*write)(const struct mr_model_export *model, struct mr_error *error);
} formats[] = {{"safetensors", ".safetensors", mr_model_export_file},
               {"mlflow", "-mlflow", mr_model_export_mlflow},
               {"oci", "-oci", mr_model_export_oci}};

#define FORMATS (sizeof formats / sizeof formats[0])

static unsigned format_of(const struct mr_cli *cli)
{
    unsigned i = 0;
    while (i < FORMATS && strcmp(formats[i].name, cli->values[MR_CLI_FORMAT]) != 0) {
        i++;
    }
    return i;
}

static int write_it(struct mr_ask *ask, struct mr_model_export *model)
{
    char path[MR_CLI_TASK_BYTES + 64];
    struct mr_error error = {""};
    const unsigned format = format_of(ask->cli);
    const json_int_t number = json_integer_value(json_object_get(model->version, "version"));
    snprintf(path, sizeof path, "%s-v%lld%s", model->task, (long long)number,
             formats[format].suffix);
    model->path = ask->cli->values[MR_CLI_INTO] ? ask->cli->values[MR_CLI_INTO] : path;
    if (formats[format].write(model, &error) != 0) {
        return mr_cli_fail(ask->cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *answer = json_pack("{s:I, s:O, s:o, s:I}", "version", number, "model_hash",
                               json_object_get(model->version, "model_hash"), "written",
                               mr_json_text(model->path), "bytes", (json_int_t)model->length);
    mr_cli_print(ask->cli, answer);
    json_decref(answer);
    return MR_EXIT_OK;
}

static int export(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES];
    json_t *version = NULL;
    struct mr_h2_response file = {.status = 0};
    (void)context;
    int code = mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        code = mr_model_fetch(ask, task, ask->cli->argument ? ask->cli->argument : "current",
                              &version, &file);
    }
    if (code == MR_EXIT_OK) {
        struct mr_model_export model = {
            .task = task, .version = version, .bytes = file.body, .length = file.length};
        code = write_it(ask, &model);
    }
    mr_h2_response_fini(&file);
    json_decref(version);
    return code;
}

int mr_command_model_export(struct mr_cli *cli)
{
    return format_of(cli) < FORMATS
               ? mr_ask_run(cli, export, NULL)
               : mr_cli_fail(cli, MR_EXIT_USAGE,
                             "--format must be safetensors, mlflow or oci, not '%s'",
                             cli->values[MR_CLI_FORMAT]);
}
