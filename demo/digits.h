/* digits.h - digits-tool: what the demo needs besides the programs under test.
 *
 * Splits the data, makes the first model, evaluates models, and repeats a whole training by plain
 * averaging with the device's own training code. Not installed. */
#ifndef MR_DEMO_DIGITS_H
#define MR_DEMO_DIGITS_H

#include "edge-client/trainer/mlp.h"
#include "edge-client/trainer/sgd.h"
#include "base/error.h"

/* Options of all subcommands; each takes those its usage names. */
struct digits_options {
    const char *input;
    const char *out;
    const char *model;
    const char *data;
    const char *layers;
    const char *shards;
    const char *included; /* path with {round} in it; NULL = every device in every round */
    const char *pki;      /* certificates device-NNN.pem; NULL = ids are the numbers */
    const char *training;
    double devices;
    double alpha;
    double seed;
    double held_out;
    double rounds;
    double clip_norm;
    double weight_max;
    double server_learning_rate;
    double scale; /* > 0: quantise as devices do (w = 16); 0 = plain floats */
    double rotation_log2;
    double json;
};

int digits_split(const struct digits_options *options, struct mr_error *error);
int digits_init(const struct digits_options *options, struct mr_error *error);
int digits_eval(const struct digits_options *options, struct mr_error *error);
int digits_plain(const struct digits_options *options, struct mr_error *error);

/* A model file in memory, and its parameters as an aligned copy that may be changed. */
struct digits_model {
    uint8_t *bytes;
    size_t length;
    struct mr_safetensors parsed;
    struct mr_mlp_shape shape;
    float *parameters;
};
int digits_model_read(struct digits_model *model, const char *path, struct mr_error *error);
int digits_model_write(const struct digits_model *model, const char *path, struct mr_error *error);
void digits_model_fini(struct digits_model *model);

/* Share of right answers over a dataset, and its mean loss. */
int digits_accuracy(const struct digits_model *model, const struct mr_dataset *dataset,
                    double *accuracy, double *loss, struct mr_error *error);

/* Normal distribution by Box and Muller. */
double digits_normal(struct mr_sgd_random *random);

#endif
