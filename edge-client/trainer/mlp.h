/* mlp.h - a multi-layer perceptron over a flat vector of parameters: ReLU between layers, softmax
 * cross-entropy at the end, plain SGD.
 *
 * The vector is the model file's: tensors NAME.weight [out, in] (row-major) and NAME.bias [out],
 * the layers in the order of their weights in the file. Needs no gradient buffer: a batch's errors
 * are kept per layer, and each update is added straight into the weights. */
#ifndef MR_TRAINER_MLP_H
#define MR_TRAINER_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "base/error.h"
#include "wire/safetensors.h"

#define MR_MLP_LAYERS_MAX 16
#define MR_MLP_BATCH_MAX  1024
#define MR_MLP_WIDTH_MAX  (1u << 20)

struct mr_mlp_layer {
    uint32_t in;
    uint32_t out;
    size_t weight; /* offset of [out][in] */
    size_t bias;   /* offset of [out] */
};

struct mr_mlp_shape {
    unsigned layer_count;
    struct mr_mlp_layer layers[MR_MLP_LAYERS_MAX];
};

/* Reads the layers out of a tensor list. 0, or -1 with an error that names the tensor. */
int mr_mlp_shape_init(struct mr_mlp_shape *shape, const struct mr_tensor *tensors,
                      unsigned tensor_count, struct mr_error *error);

/* Features per example and classes. */
uint32_t mr_mlp_features(const struct mr_mlp_shape *shape);
uint32_t mr_mlp_classes(const struct mr_mlp_shape *shape);

/* Working memory for batches of up to `batch` examples: activations and errors. */
struct mr_mlp_scratch;
struct mr_mlp_scratch *mr_mlp_scratch_open(const struct mr_mlp_shape *shape, unsigned batch);
void mr_mlp_scratch_close(struct mr_mlp_scratch *scratch);

/* One batch: examples[i] points at the features of example i. */
struct mr_mlp_batch {
    const float *const *examples;
    const uint16_t *labels;
    unsigned count;
};

/* Mean loss of the batch; *correct (may be NULL) is increased by the right answers. */
double mr_mlp_evaluate(const struct mr_mlp_shape *shape, const float *parameters,
                       struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch,
                       unsigned *correct);

/* One SGD step: parameters -= rate * gradient of the batch's mean loss. Returns the loss before. */
double mr_mlp_step(const struct mr_mlp_shape *shape, float *parameters,
                   struct mr_mlp_scratch *scratch, const struct mr_mlp_batch *batch, float rate,
                   const struct mr_kernels *kernels);

#endif
