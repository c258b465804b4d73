/* model_diff.c - two versions side by side: what is said of them, and their tensors. */
#include <math.h>
#include <string.h>

#include "appliance/cli/model_fetch.h"
#include "base/json_text.h"
#include "wire/safetensors.h"

struct side {
    json_t *version;
    struct mr_h2_response file;
    struct mr_safetensors model;
    bool parsed;
};

static void fini(struct side *side)
{
    json_decref(side->version);
    if (side->parsed) {
        mr_safetensors_fini(&side->model);
    }
    mr_h2_response_fini(&side->file);
}

static int take(struct mr_ask *ask, const char *task, const char *which, struct side *side)
{
    struct mr_error error;
    int code = mr_model_fetch(ask, task, which, &side->version, &side->file);
    if (code != MR_EXIT_OK) {
        return code;
    }
    side->parsed =
        mr_safetensors_parse(&side->model, side->file.body, side->file.length, &error) == 0;
    return side->parsed
               ? MR_EXIT_OK
               : mr_cli_fail(ask->cli, MR_EXIT_FAILED, "version %s: %s", which, error.text);
}

static float value_of(const struct side *side, const struct mr_tensor *tensor, size_t i)
{
    float value;
    memcpy(&value, side->file.body + side->model.data_offset + 4 * (tensor->offset + i),
           sizeof value);
    return value;
}

static const struct mr_tensor *find(const struct side *side, const char *name)
{
    for (unsigned i = 0; i < side->model.tensor_count; i++) {
        if (strcmp(side->model.tensors[i].name, name) == 0) {
            return &side->model.tensors[i];
        }
    }
    return NULL;
}

/* One tensor of both: how many of its values differ, the largest difference, and their L2 norm. */
static json_t *compare(const struct side *a, const struct side *b, const struct mr_tensor *x,
                       const struct mr_tensor *y)
{
    double most = 0, squares = 0;
    size_t changed = 0;
    for (size_t i = 0; i < x->count; i++) {
        const double by = (double)value_of(b, y, i) - (double)value_of(a, x, i);
        changed += by != 0;
        squares += by * by;
        most = fabs(by) > most ? fabs(by) : most;
    }
    return json_pack("{s:o, s:I, s:I, s:o, s:o}", "tensor", mr_json_text(x->name), "values",
                     (json_int_t)x->count, "changed", (json_int_t)changed, "largest",
                     mr_json_real(most), "l2", mr_json_real(sqrt(squares)));
}

static json_t *only_in(const struct mr_tensor *tensor, const char *side)
{
    return json_pack("{s:o, s:I, s:o}", "tensor", mr_json_text(tensor->name), "values",
                     (json_int_t)tensor->count, "only_in", mr_json_text(side));
}

static json_t *tensors_of(const struct side *a, const struct side *b)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < a->model.tensor_count; i++) {
        const struct mr_tensor *x = &a->model.tensors[i], *y = find(b, x->name);
        json_array_append_new(list, y && y->count == x->count ? compare(a, b, x, y)
                                                              : only_in(x, "first"));
    }
    for (unsigned i = 0; i < b->model.tensor_count; i++) {
        const struct mr_tensor *y = &b->model.tensors[i], *x = find(a, y->name);
        if (!x || x->count != y->count) {
            json_array_append_new(list, only_in(y, "second"));
        }
    }
    return list;
}

static int diff(struct mr_ask *ask, void *context)
{
    char task[MR_CLI_TASK_BYTES];
    struct side a = {.parsed = false}, b = {.parsed = false};
    (void)context;
    int code = mr_task_choose(ask, task);
    if (code == MR_EXIT_OK) {
        code = take(ask, task, ask->cli->argument, &a);
    }
    if (code == MR_EXIT_OK) {
        code = take(ask, task, ask->cli->more[0], &b);
    }
    if (code == MR_EXIT_OK) {
        json_t *answer = json_pack("{s:O, s:O, s:o}", "first", a.version, "second", b.version,
                                   "tensors", tensors_of(&a, &b));
        mr_cli_print(ask->cli, answer);
        json_decref(answer);
    }
    fini(&a);
    fini(&b);
    return code;
}

int mr_command_model_diff(struct mr_cli *cli)
{
    return cli->more_count == 1
               ? mr_ask_run(cli, diff, NULL)
               : mr_cli_fail(cli, MR_EXIT_USAGE,
                             "give two versions, as in: millrace model diff previous current");
}
