/* model_divide.c - says in a model file which of its tensors rounds train, and in which number type
 * devices install it (wire/tensor_parts.h). */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/cli/model_folders.h"
#include "base/json_text.h"
#include "wire/tensor_parts.h"

struct file {
    uint8_t *bytes;
    size_t length;
};

/* The file with that text; the one before is freed. 0 or -1. */
static int set_text(struct file *file, const char *member, const char *text, struct mr_error *error)
{
    size_t length;
    uint8_t *renamed =
        mr_safetensors_rename(file->bytes, file->length, member, text, &length, error);
    if (!renamed) {
        return -1;
    }
    free(file->bytes);
    *file = (struct file){renamed, length};
    return 0;
}

static bool is_type(const char *name)
{
    return !name || strcmp(name, "float16") == 0 || strcmp(name, "bfloat16") == 0;
}

/* The texts, and whether the file makes sense with them; an option that is not given takes its
 * text away. 0 or -1. */
static int divide(const struct mr_cli *cli, struct file *file, struct mr_safetensors *model,
                  struct mr_error *error)
{
    const int result =
        set_text(file, MR_FROZEN_MEMBER, cli->values[MR_CLI_FROZEN], error) ||
        set_text(file, MR_PERSONAL_MEMBER, cli->values[MR_CLI_PERSONAL], error) ||
        set_text(file, MR_INSTALLED_MEMBER, cli->values[MR_CLI_INSTALLED_AS], error) ||
        mr_safetensors_parse(model, file->bytes, file->length, error);
    return result == 0 ? 0 : -1;
}

static size_t count_of(const struct mr_safetensors *model, enum mr_tensor_part part)
{
    size_t count = 0;
    for (unsigned i = 0; i < model->tensor_count; i++) {
        count += model->tensors[i].part == (uint8_t)part ? model->tensors[i].count : 0;
    }
    return count;
}

static int write_and_tell(struct mr_cli *cli, const struct file *file,
                          const struct mr_safetensors *model)
{
    struct mr_error error = {""};
    const struct mr_model_export export = {
        .path = cli->values[MR_CLI_INTO], .bytes = file->bytes, .length = file->length};
    if (mr_model_export_file(&export, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    json_t *answer =
        json_pack("{s:o, s:I, s:I, s:I}", "written", mr_json_text(export.path), "trained",
                  (json_int_t)model->trained, "frozen", (json_int_t)count_of(model, MR_PART_FROZEN),
                  "personal", (json_int_t)count_of(model, MR_PART_PERSONAL));
    mr_cli_print(cli, answer);
    json_decref(answer);
    return MR_EXIT_OK;
}

int mr_command_model_divide(struct mr_cli *cli)
{
    struct file file = {NULL, 0};
    struct mr_safetensors model;
    struct mr_error error = {""};
    if (!cli->values[MR_CLI_INTO]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "--into is missing: name the new file");
    }
    if (!is_type(cli->values[MR_CLI_INSTALLED_AS])) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "--installed-as %s: float16 or bfloat16; leave it out for float32",
                           cli->values[MR_CLI_INSTALLED_AS]);
    }
    const int read = mr_cli_read(cli, cli->argument, &file.bytes, &file.length);
    if (read != MR_EXIT_OK) {
        return read;
    }
    if (divide(cli, &file, &model, &error) != 0) {
        free(file.bytes);
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s: %s", cli->argument, error.text);
    }
    const int code = write_and_tell(cli, &file, &model);
    mr_safetensors_fini(&model);
    free(file.bytes);
    return code;
}
