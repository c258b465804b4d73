/* builtin.c - the built-in trainer behind the installed header's mre_mlp_*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/files/files.h"
#include "edge-client/session/outcome.h"
#include "edge-client/trainer/sgd.h"

#define TENSORS_MAX (2 * MR_MLP_LAYERS_MAX)

struct mre_mlp {
    char *path;
    float feature_scale; /* that the dataset was read with */
    struct mr_dataset dataset;
};

static int read_shard(struct mre_mlp *mlp, float feature_scale, struct mr_error *error)
{
    mr_dataset_fini(&mlp->dataset);
    mlp->feature_scale = feature_scale;
    return mr_dataset_read(&mlp->dataset, mlp->path, feature_scale, error);
}

enum mre_result mre_mlp_open(struct mre_mlp **mlp, const char *csv_file,
                             struct mre_outcome *outcome)
{
    struct mr_error error;
    struct mr_sgd_config config;
    memset(outcome, 0, sizeof *outcome);
    *mlp = NULL;
    struct mre_mlp *m = calloc(1, sizeof *m);
    if (!m || !(m->path = mr_path_absolute(csv_file))) {
        free(m);
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory");
    }
    if (mr_sgd_config_parse(&config, "", &error) || read_shard(m, config.feature_scale, &error)) {
        mre_mlp_close(m);
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    if (m->dataset.unended) {
        mr_outcome_set(
            outcome, MRE_OK,
            "%s: the last line has no line end. It is used; if the file was cut off, its "
            "last number is wrong",
            csv_file);
    }
    *mlp = m;
    return MRE_OK;
}

void mre_mlp_close(struct mre_mlp *mlp)
{
    if (!mlp) {
        return;
    }
    mr_dataset_fini(&mlp->dataset);
    free(mlp->path);
    free(mlp);
}

static int shape_of(struct mr_mlp_shape *shape, const struct mre_task *task, struct mr_error *error)
{
    struct mr_tensor tensors[TENSORS_MAX];
    if (task->tensor_count > TENSORS_MAX) {
        return mr_error_set(error,
                            "the model has %u tensors: the built-in trainer takes at most %d",
                            task->tensor_count, TENSORS_MAX);
    }
    memset(tensors, 0, sizeof tensors);
    for (unsigned i = 0; i < task->tensor_count; i++) {
        const struct mre_tensor *t = &task->tensors[i];
        tensors[i].name = t->name;
        tensors[i].rank = t->rank;
        tensors[i].offset = t->offset;
        tensors[i].count = t->count;
        for (unsigned d = 0; d < t->rank && d < 8; d++) {
            tensors[i].dims[d] = t->dims[d];
        }
    }
    return mr_mlp_shape_init(shape, tensors, task->tensor_count, error);
}

/* The one metric that this trainer knows, of these parameters. */
static int measure(double values[MRE_METRICS_MAX], const struct mre_mlp *mlp,
                   const struct mr_mlp_shape *shape, const float *parameters,
                   const struct mre_task *task, struct mr_error *error)
{
    double accuracy;
    for (unsigned i = 0; i < task->metric_count; i++) {
        if (strcmp(task->metrics[i].name, "accuracy") != 0) {
            return mr_error_set(error,
                                "the round wants the metric %s, and the built-in trainer knows "
                                "accuracy alone: use an external trainer",
                                task->metrics[i].name);
        }
    }
    if (task->metric_count == 0) {
        return 0;
    }
    if (mr_sgd_accuracy(shape, parameters, &mlp->dataset, &accuracy) != 0) {
        return mr_error_set(error, "out of memory");
    }
    return mre_metric_report(task, values, "accuracy", accuracy);
}

/* Before, training, after: what of it the round asks for. */
static int run_round(const struct mre_mlp *mlp, const struct mr_mlp_shape *shape,
                     const struct mr_sgd_config *config, const struct mre_task *task, float *vector,
                     struct mre_report *report, struct mr_error *error)
{
    if (task->kind == MRE_EVALUATION) {
        return measure(report->metrics, mlp, shape, task->model, task, error);
    }
    if (task->kind == MRE_EVALUATED_TRAINING &&
        measure(report->metrics_before, mlp, shape, task->model, task, error) != 0) {
        return -1;
    }
    if (mr_sgd_train(shape, vector, &mlp->dataset, config, task->seed,
                     mr_kernels_select(UINT32_MAX), &report->loss) != 0) {
        return mr_error_set(error, "out of memory");
    }
    return measure(report->metrics, mlp, shape, vector, task, error);
}

enum mre_trained mre_mlp_train(void *context, const struct mre_task *task, float *vector,
                               struct mre_report *report)
{
    struct mre_mlp *mlp = context;
    struct mr_mlp_shape shape;
    struct mr_sgd_config config;
    struct mr_error error = {.text = "out of memory"};
    int bad = mr_sgd_config_parse(&config, task->training, &error) ||
              shape_of(&shape, task, &error) ||
              (config.feature_scale != mlp->feature_scale &&
               read_shard(mlp, config.feature_scale, &error)) ||
              mr_sgd_check(&shape, &mlp->dataset, &error) ||
              run_round(mlp, &shape, &config, task, vector, report, &error);
    if (bad) {
        snprintf(report->why, sizeof report->why, "%s", error.text);
        return MRE_TRAINED_NOT;
    }
    report->examples = mlp->dataset.count;
    return task->kind == MRE_EVALUATION ? MRE_TRAINED_EVALUATED : MRE_TRAINED_PARAMETERS;
}
