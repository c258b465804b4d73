/* sgd.h - trains an MLP on a dataset as a round's training JSON asks; repeatable from its seed. */
#ifndef MR_TRAINER_SGD_H
#define MR_TRAINER_SGD_H

#include "edge-client/trainer/mlp.h"
#include "edge-client/trainer/dataset.h"

/* Members of the training JSON, all optional; unknown members are refused. */
struct mr_sgd_config {
    uint32_t epochs;     /* 1..1000; 5 */
    uint32_t batch;      /* 1..MR_MLP_BATCH_MAX; 16 */
    float learning_rate; /* > 0, at most 100; 0.05 */
    float feature_scale; /* > 0; 0.0625: features are 0..16 in the digits */
};

/* "" gives the defaults. 0 or -1. */
int mr_sgd_config_parse(struct mr_sgd_config *config, const char *json, struct mr_error *error);

/* A repeatable generator (SplitMix64; Steele, Lea, Flood 2014). */
struct mr_sgd_random {
    uint64_t state;
};
uint64_t mr_sgd_random_next(struct mr_sgd_random *random);
/* Uniform in [0, bound), bound > 0. */
uint32_t mr_sgd_random_below(struct mr_sgd_random *random, uint32_t bound);

/* A seed that everybody can compute: the first 8 bytes of the device's id, big-endian, mixed with
 * the experiment's number and the round. */
uint64_t mr_sgd_seed(const uint8_t client_id[16], uint64_t round, uint64_t experiment);

/* Checks that dataset and model fit each other. 0 or -1. */
int mr_sgd_check(const struct mr_mlp_shape *shape, const struct mr_dataset *dataset,
                 struct mr_error *error);

/* Trains in place; *loss is the mean loss of the last epoch. 0, or -1 when out of memory. */
int mr_sgd_train(const struct mr_mlp_shape *shape, float *parameters,
                 const struct mr_dataset *dataset, const struct mr_sgd_config *config,
                 uint64_t seed, const struct mr_kernels *kernels, float *loss);

/* Share of right answers over the dataset. 0, or -1 when out of memory. */
int mr_sgd_accuracy(const struct mr_mlp_shape *shape, const float *parameters,
                    const struct mr_dataset *dataset, double *accuracy);

#endif
