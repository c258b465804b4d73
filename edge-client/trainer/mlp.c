#include "edge-client/trainer/mlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/trainer/real.h"
#include "base/assert.h"

struct mr_mlp_scratch {
    unsigned batch;
    /* Per layer: batch x out. values = activations after the layer; errors = dLoss / d(before
     * ReLU). */
    float *values[MR_MLP_LAYERS_MAX];
    float *errors[MR_MLP_LAYERS_MAX];
};

/* --- shape ----------------------------------------------------------------------------------- */

static const struct mr_tensor *find(const struct mr_tensor *tensors, unsigned count,
                                    const char *name, size_t stem, const char *suffix)
{
    for (unsigned i = 0; i < count; i++) {
        if (strncmp(tensors[i].name, name, stem) == 0 &&
            strcmp(tensors[i].name + stem, suffix) == 0) {
            return &tensors[i];
        }
    }
    return NULL;
}

static int add_layer(struct mr_mlp_shape *shape, const struct mr_tensor *weight,
                     const struct mr_tensor *bias, struct mr_error *error)
{
    uint32_t before = shape->layer_count ? mr_mlp_classes(shape) : 0;
    if (weight->rank != 2 || !bias || bias->rank != 1 || bias->dims[0] != weight->dims[0]) {
        return mr_error_set(error,
                            "tensor %s: the built-in trainer takes NAME.weight [out, in] "
                            "with NAME.bias [out]; use an external trainer for other models",
                            weight->name);
    }
    if (before && weight->dims[1] != before) {
        return mr_error_set(error, "tensor %s: takes %u inputs, but the layer before gives %u",
                            weight->name, weight->dims[1], before);
    }
    if (shape->layer_count == MR_MLP_LAYERS_MAX || !weight->dims[0] || !weight->dims[1] ||
        weight->dims[0] > MR_MLP_WIDTH_MAX || weight->dims[1] > MR_MLP_WIDTH_MAX) {
        return mr_error_set(error, "tensor %s: at most %d layers of 1..%u units", weight->name,
                            MR_MLP_LAYERS_MAX, MR_MLP_WIDTH_MAX);
    }
    shape->layers[shape->layer_count++] = (struct mr_mlp_layer){.in = weight->dims[1],
                                                                .out = weight->dims[0],
                                                                .weight = weight->offset,
                                                                .bias = bias->offset};
    return 0;
}

int mr_mlp_shape_init(struct mr_mlp_shape *shape, const struct mr_tensor *tensors,
                      unsigned tensor_count, struct mr_error *error)
{
    unsigned used = 0;
    shape->layer_count = 0;
    for (unsigned i = 0; i < tensor_count; i++) {
        const char *dot = strrchr(tensors[i].name, '.');
        if (!dot || strcmp(dot, ".weight") != 0) {
            continue;
        }
        const struct mr_tensor *bias =
            find(tensors, tensor_count, tensors[i].name, (size_t)(dot - tensors[i].name), ".bias");
        if (add_layer(shape, &tensors[i], bias, error)) {
            return -1;
        }
        used += 2;
    }
    if (used == 0 || used != tensor_count) {
        return mr_error_set(error,
                            "the model has %u tensors that belong to no NAME.weight and "
                            "NAME.bias pair: the built-in trainer cannot train it",
                            tensor_count - used);
    }
    return 0;
}

uint32_t mr_mlp_features(const struct mr_mlp_shape *shape)
{
    return shape->layers[0].in;
}

uint32_t mr_mlp_classes(const struct mr_mlp_shape *shape)
{
    return shape->layers[shape->layer_count - 1].out;
}

struct mr_mlp_scratch *mr_mlp_scratch_open(const struct mr_mlp_shape *shape, unsigned batch)
{
    MR_ASSERT(batch >= 1 && batch <= MR_MLP_BATCH_MAX);
    struct mr_mlp_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch) {
        return NULL;
    }
    scratch->batch = batch;
    for (unsigned l = 0; l < shape->layer_count; l++) {
        size_t bytes = (size_t)batch * shape->layers[l].out * sizeof(float);
        scratch->values[l] = malloc(bytes);
        scratch->errors[l] = malloc(bytes);
        if (!scratch->values[l] || !scratch->errors[l]) {
            mr_mlp_scratch_close(scratch);
            return NULL;
        }
    }
    return scratch;
}

void mr_mlp_scratch_close(struct mr_mlp_scratch *scratch)
{
    if (!scratch) {
        return;
    }
    for (unsigned l = 0; l < MR_MLP_LAYERS_MAX; l++) {
        free(scratch->values[l]);
        free(scratch->errors[l]);
    }
    free(scratch);
}

/* --- forward --------------------------------------------------------------------------------- */

/* Eight partial sums: fast without reordering by the compiler, the same on every machine. */
static float dot(const float *a, const float *b, size_t n)
{
    float part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t p = 0; p < 8; p++) {
            part[p] += a[i + p] * b[i + p];
        }
    }
    for (; i < n; i++) {
        part[i % 8] += a[i] * b[i];
    }
    return ((part[0] + part[4]) + (part[2] + part[6])) +
           ((part[1] + part[5]) + (part[3] + part[7]));
}

static const float *input_of(const struct mr_mlp_shape *shape, const struct mr_mlp_scratch *scratch,
                             const struct mr_mlp_batch *batch, unsigned l, unsigned i)
{
    return l == 0 ? batch->examples[i]
                  : scratch->values[l - 1] + (size_t)i * shape->layers[l - 1].out;
}

/* Leaves the logits in the last layer's values. */
static void forward(const struct mr_mlp_shape *shape, const float *parameters,
                    struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch)
{
    MR_ASSERT(batch->count <= scratch->batch);
    for (unsigned l = 0; l < shape->layer_count; l++) {
        const struct mr_mlp_layer *layer = &shape->layers[l];
        int last = l + 1 == shape->layer_count;
        for (unsigned i = 0; i < batch->count; i++) {
            const float *in = input_of(shape, scratch, batch, l, i);
            float *out = scratch->values[l] + (size_t)i * layer->out;
            for (uint32_t o = 0; o < layer->out; o++) {
                float sum = dot(parameters + layer->weight + (size_t)o * layer->in, in, layer->in) +
                            parameters[layer->bias + o];
                out[o] = last || sum > 0 ? sum : 0;
            }
        }
    }
}

/* Turns the logits of one example into softmax probabilities; returns its cross-entropy. */
static double softmax(float *logits, uint32_t classes, uint16_t label, int *right)
{
    uint32_t best = 0;
    double sum = 0;
    for (uint32_t c = 1; c < classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    float top = logits[best];
    double own = logits[label] - top;
    for (uint32_t c = 0; c < classes; c++) {
        logits[c] = mr_exp_nonpositive(logits[c] - top);
        sum += logits[c];
    }
    for (uint32_t c = 0; c < classes; c++) {
        logits[c] = (float)(logits[c] / sum);
    }
    *right = best == label;
    return mr_log_from_one(sum) - own;
}

double mr_mlp_evaluate(const struct mr_mlp_shape *shape, const float *parameters,
                       struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch,
                       unsigned *correct)
{
    uint32_t classes = mr_mlp_classes(shape);
    double loss = 0;
    forward(shape, parameters, scratch, batch);
    for (unsigned i = 0; i < batch->count; i++) {
        int right;
        loss += softmax(scratch->values[shape->layer_count - 1] + (size_t)i * classes, classes,
                        batch->labels[i], &right);
        if (correct) {
            *correct += (unsigned)right;
        }
    }
    return batch->count ? loss / batch->count : 0;
}

/* --- backward -------------------------------------------------------------------------------- */

/* Errors of layer l - 1 from those of layer l: through the weights, then the ReLU's gate. */
static void push_back(const struct mr_mlp_shape *shape, const float *parameters,
                      struct mr_mlp_scratch *scratch, unsigned count, unsigned l,
                      const struct mr_kernels *kernels)
{
    const struct mr_mlp_layer *layer = &shape->layers[l];
    for (unsigned i = 0; i < count; i++) {
        const float *error = scratch->errors[l] + (size_t)i * layer->out;
        const float *gate = scratch->values[l - 1] + (size_t)i * layer->in;
        float *below = scratch->errors[l - 1] + (size_t)i * layer->in;
        memset(below, 0, layer->in * sizeof *below);
        for (uint32_t o = 0; o < layer->out; o++) {
            if (error[o] != 0) {
                kernels->axpy(below, error[o], parameters + layer->weight + (size_t)o * layer->in,
                              layer->in);
            }
        }
        for (uint32_t n = 0; n < layer->in; n++) {
            if (gate[n] <= 0) {
                below[n] = 0;
            }
        }
    }
}

static void update(const struct mr_mlp_shape *shape, float *parameters,
                   const struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch,
                   float step, const struct mr_kernels *kernels)
{
    for (unsigned l = 0; l < shape->layer_count; l++) {
        const struct mr_mlp_layer *layer = &shape->layers[l];
        for (unsigned i = 0; i < batch->count; i++) {
            const float *in = input_of(shape, scratch, batch, l, i);
            const float *error = scratch->errors[l] + (size_t)i * layer->out;
            for (uint32_t o = 0; o < layer->out; o++) {
                if (error[o] != 0) {
                    kernels->axpy(parameters + layer->weight + (size_t)o * layer->in,
                                  -step * error[o], in, layer->in);
                }
            }
            kernels->axpy(parameters + layer->bias, -step, error, layer->out);
        }
    }
}

double mr_mlp_step(const struct mr_mlp_shape *shape, float *parameters,
                   struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch, float rate,
                   const struct mr_kernels *kernels)
{
    unsigned last = shape->layer_count - 1;
    uint32_t classes = mr_mlp_classes(shape);
    double loss = mr_mlp_evaluate(shape, parameters, scratch, batch, NULL);
    for (unsigned i = 0; i < batch->count; i++) {
        float *error = scratch->errors[last] + (size_t)i * classes;
        memcpy(error, scratch->values[last] + (size_t)i * classes, classes * sizeof *error);
        error[batch->labels[i]] -= 1;
    }
    for (unsigned l = last; l > 0; l--) {
        push_back(shape, parameters, scratch, batch->count, l, kernels);
    }
    update(shape, parameters, scratch, batch, rate / (float)batch->count, kernels);
    return loss;
}
