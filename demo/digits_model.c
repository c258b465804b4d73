/* digits_model.c - digits-tool init and eval; reading and writing model files. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo/digits.h"

#define BATCH 64

/* --- files ----------------------------------------------------------------------------------- */

static uint8_t *read_file(const char *path, size_t *length, struct mr_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        mr_error_set(error, "%s: %s", path, strerror(errno));
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        mr_error_set(error, "%s: cannot be read", path);
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    *length = bytes ? (size_t)size : 0;
    return bytes;
}

int digits_model_read(struct digits_model *model, const char *path, struct mr_error *error)
{
    memset(model, 0, sizeof *model);
    model->bytes = read_file(path, &model->length, error);
    if (!model->bytes) {
        return -1;
    }
    if (mr_safetensors_parse(&model->parsed, model->bytes, model->length, error)) {
        free(model->bytes);
        return -1;
    }
    size_t bytes = model->parsed.count * sizeof *model->parameters;
    model->parameters = malloc(bytes);
    if (!model->parameters || mr_mlp_shape_init(&model->shape, model->parsed.tensors,
                                                model->parsed.tensor_count, error)) {
        digits_model_fini(model);
        return -1;
    }
    memcpy(model->parameters, model->bytes + model->parsed.data_offset, bytes);
    return 0;
}

static int write_file(const char *path, const uint8_t *header, size_t header_bytes,
                      const float *parameters, size_t count, struct mr_error *error)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    fwrite(header, 1, header_bytes, file);
    fwrite(parameters, sizeof *parameters, count, file);
    return fclose(file) ? mr_error_set(error, "%s: %s", path, strerror(errno)) : 0;
}

int digits_model_write(const struct digits_model *model, const char *path, struct mr_error *error)
{
    return write_file(path, model->bytes, model->parsed.data_offset, model->parameters,
                      model->parsed.count, error);
}

void digits_model_fini(struct digits_model *model)
{
    mr_safetensors_fini(&model->parsed);
    free(model->bytes);
    free(model->parameters);
    memset(model, 0, sizeof *model);
}

/* --- init ------------------------------------------------------------------------------------ */

/* He et al. (2015): normal with variance 2 / inputs; biases zero. */
static float *draw(const uint32_t *widths, unsigned layers, uint64_t seed, size_t *count)
{
    struct mr_sgd_random random = {.state = seed};
    size_t total = 0, at = 0;
    for (unsigned l = 0; l < layers; l++) {
        total += (size_t)widths[l + 1] * (widths[l] + 1);
    }
    float *parameters = calloc(total, sizeof *parameters);
    for (unsigned l = 0; parameters && l < layers; l++) {
        size_t weights = (size_t)widths[l] * widths[l + 1];
        for (size_t i = 0; i < weights; i++) {
            parameters[at + i] = (float)(digits_normal(&random) * sqrt(2.0 / widths[l]));
        }
        at += weights + widths[l + 1];
    }
    *count = total;
    return parameters;
}

static unsigned parse_layers(uint32_t *widths, const char *text)
{
    unsigned count = 0;
    for (char *end; count <= MR_MLP_LAYERS_MAX; text = end + 1) {
        unsigned long width = strtoul(text, &end, 10);
        if (end == text || width < 1 || width > MR_MLP_WIDTH_MAX) {
            return 0;
        }
        widths[count++] = (uint32_t)width;
        if (*end != ',') {
            return *end ? 0 : count;
        }
    }
    return 0;
}

int digits_init(const struct digits_options *options, struct mr_error *error)
{
    uint32_t widths[MR_MLP_LAYERS_MAX + 1];
    struct mr_tensor tensors[2 * MR_MLP_LAYERS_MAX];
    char names[2 * MR_MLP_LAYERS_MAX][16];
    unsigned count = options->layers ? parse_layers(widths, options->layers) : 0;
    if (count < 2 || !options->out) {
        return mr_error_set(error, "--layers like 64,64,10 and --out are needed");
    }
    memset(tensors, 0, sizeof tensors);
    for (unsigned l = 0; l + 1 < count; l++) {
        struct mr_tensor *weight = &tensors[2 * l], *bias = &tensors[2 * l + 1];
        snprintf(names[2 * l], sizeof names[0], "fc%u.weight", l + 1);
        snprintf(names[2 * l + 1], sizeof names[0], "fc%u.bias", l + 1);
        *weight = (struct mr_tensor){.name = names[2 * l], .rank = 2};
        weight->dims[0] = widths[l + 1];
        weight->dims[1] = widths[l];
        *bias = (struct mr_tensor){.name = names[2 * l + 1], .rank = 1};
        bias->dims[0] = widths[l + 1];
    }
    size_t header_bytes, total;
    uint8_t *header = mr_safetensors_header(tensors, 2 * (count - 1), &header_bytes);
    float *parameters = draw(widths, count - 1, (uint64_t)options->seed, &total);
    int bad = header && parameters
                  ? write_file(options->out, header, header_bytes, parameters, total, error)
                  : mr_error_set(error, "out of memory");
    free(header);
    free(parameters);
    return bad;
}

/* --- eval ------------------------------------------------------------------------------------ */

int digits_accuracy(const struct digits_model *model, const struct mr_dataset *dataset,
                    double *accuracy, double *loss, struct mr_error *error)
{
    const float *examples[BATCH];
    unsigned correct = 0;
    if (mr_sgd_check(&model->shape, dataset, error)) {
        return -1;
    }
    struct mr_mlp_scratch *scratch = mr_mlp_scratch_open(&model->shape, BATCH);
    if (!scratch) {
        return mr_error_set(error, "out of memory");
    }
    *loss = 0;
    for (uint32_t at = 0; at < dataset->count; at += BATCH) {
        uint32_t left = dataset->count - at;
        struct mr_mlp_batch batch = {.examples = examples,
                                     .labels = dataset->labels + at,
                                     .count = left < BATCH ? left : BATCH};
        for (unsigned i = 0; i < batch.count; i++) {
            examples[i] = dataset->features + (size_t)(at + i) * dataset->columns;
        }
        *loss += batch.count *
                 mr_mlp_evaluate(&model->shape, model->parameters, scratch, &batch, &correct);
    }
    mr_mlp_scratch_close(scratch);
    *loss /= dataset->count;
    *accuracy = (double)correct / dataset->count;
    return 0;
}

int digits_eval(const struct digits_options *options, struct mr_error *error)
{
    struct digits_model model;
    struct mr_dataset dataset;
    struct mr_sgd_config config;
    double accuracy, loss;
    if (!options->model || !options->data) {
        return mr_error_set(error, "--model and --data are needed");
    }
    if (mr_sgd_config_parse(&config, options->training, error) ||
        digits_model_read(&model, options->model, error)) {
        return -1;
    }
    if (mr_dataset_read(&dataset, options->data, config.feature_scale, error)) {
        digits_model_fini(&model);
        return -1;
    }
    int bad = digits_accuracy(&model, &dataset, &accuracy, &loss, error);
    if (!bad) {
        printf(options->json ? "{\"accuracy\": %.6f, \"loss\": %.6f, \"examples\": %u}\n"
                             : "accuracy %.4f, loss %.4f over %u examples\n",
               accuracy, loss, dataset.count);
    }
    mr_dataset_fini(&dataset);
    digits_model_fini(&model);
    return bad;
}
