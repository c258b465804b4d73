#include "edge-client/trainer/sgd.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json_reader.h"

/* --- training JSON --------------------------------------------------------------------------- */

struct member {
    const char *name;
    double low, high;
    bool whole;
    double value;
};

enum { EPOCHS, BATCH, LEARNING_RATE, FEATURE_SCALE, MEMBERS };

static int take(struct member *members, const char *name, const json_t *value,
                struct mr_error *error)
{
    for (int i = 0; i < MEMBERS; i++) {
        struct member *m = &members[i];
        if (strcmp(m->name, name) != 0) {
            continue;
        }
        double v = json_number_value(value);
        if (!json_is_number(value) || !(v >= m->low && v <= m->high) ||
            (m->whole && v != floor(v))) {
            return mr_error_set(error, "training.%s must be a %snumber in [%g, %g]", name,
                                m->whole ? "whole " : "", m->low, m->high);
        }
        m->value = v;
        return 0;
    }
    return mr_error_set(error, "training.%s: the built-in trainer knows no such member", name);
}

int mr_sgd_config_parse(struct mr_sgd_config *config, const char *json, struct mr_error *error)
{
    struct member members[MEMBERS] = {
        [EPOCHS] = {"epochs", 1, 1000, true, 5},
        [BATCH] = {"batch", 1, MR_MLP_BATCH_MAX, true, 16},
        [LEARNING_RATE] = {"learning_rate", 1e-9, 100, false, 0.05},
        [FEATURE_SCALE] = {"feature_scale", 1e-9, 1e9, false, 0.0625},
    };
    if (*json) {
        json_error_t why;
        json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(object)) {
            char text[MR_JSON_WHY_BYTES];
            json_decref(object);
            return mr_error_set(error, "the round's training text is no JSON object: %s",
                                object ? "another kind of value" : mr_json_why(text, &why));
        }
        const char *name;
        json_t *value;
        int bad = 0;
        json_object_foreach(object, name, value) {
            bad = bad ? bad : take(members, name, value, error);
        }
        json_decref(object);
        if (bad) {
            return -1;
        }
    }
    config->epochs = (uint32_t)members[EPOCHS].value;
    config->batch = (uint32_t)members[BATCH].value;
    config->learning_rate = (float)members[LEARNING_RATE].value;
    config->feature_scale = (float)members[FEATURE_SCALE].value;
    return 0;
}

/* --- randomness that can be repeated --------------------------------------------------------- */

uint64_t mr_sgd_random_next(struct mr_sgd_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t mr_sgd_random_below(struct mr_sgd_random *random, uint32_t bound)
{
    /* Numbers from the incomplete last stretch of 2^32 are drawn again: no remainder is favoured.
     */
    uint32_t refuse_below = -bound % bound;
    for (;;) {
        uint32_t x = (uint32_t)(mr_sgd_random_next(random) >> 32);
        if (x >= refuse_below) {
            return x % bound;
        }
    }
}

uint64_t mr_sgd_seed(const uint8_t client_id[16], uint64_t round, uint64_t experiment)
{
    struct mr_sgd_random mix = {.state = mr_be64_get(client_id) ^ experiment};
    mix.state = mr_sgd_random_next(&mix) ^ round;
    return mr_sgd_random_next(&mix);
}

/* --- training -------------------------------------------------------------------------------- */

int mr_sgd_check(const struct mr_mlp_shape *shape, const struct mr_dataset *dataset,
                 struct mr_error *error)
{
    if (dataset->columns != mr_mlp_features(shape)) {
        return mr_error_set(error,
                            "the data has %u features a line, but the model takes %u: data and "
                            "model belong to different tasks",
                            dataset->columns, mr_mlp_features(shape));
    }
    if (dataset->label_max >= mr_mlp_classes(shape)) {
        return mr_error_set(error, "the data has class %u, but the model knows classes 0..%u only",
                            dataset->label_max, mr_mlp_classes(shape) - 1);
    }
    return 0;
}

static void shuffle(uint32_t *order, uint32_t count, struct mr_sgd_random *random)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = mr_sgd_random_below(random, i);
        uint32_t held = order[i - 1];
        order[i - 1] = order[j];
        order[j] = held;
    }
}

struct epoch {
    uint32_t *order;
    const float **examples;
    uint16_t *labels;
    struct mr_mlp_scratch *scratch;
};

static double run_epoch(const struct mr_mlp_shape *shape, float *parameters,
                        const struct mr_dataset *dataset, const struct mr_sgd_config *config,
                        const struct epoch *e, const struct mr_kernels *kernels)
{
    double loss = 0;
    for (uint32_t at = 0; at < dataset->count; at += config->batch) {
        uint32_t left = dataset->count - at;
        struct mr_mlp_batch batch = {.examples = e->examples,
                                     .labels = e->labels,
                                     .count = left < config->batch ? left : config->batch};
        for (unsigned i = 0; i < batch.count; i++) {
            e->examples[i] = dataset->features + (size_t)e->order[at + i] * dataset->columns;
            e->labels[i] = dataset->labels[e->order[at + i]];
        }
        loss += batch.count *
                mr_mlp_step(shape, parameters, e->scratch, &batch, config->learning_rate, kernels);
    }
    return loss / dataset->count;
}

int mr_sgd_train(const struct mr_mlp_shape *shape, float *parameters,
                 const struct mr_dataset *dataset, const struct mr_sgd_config *config,
                 uint64_t seed, const struct mr_kernels *kernels, float *loss)
{
    struct mr_sgd_random random = {.state = seed};
    struct epoch e = {.order = calloc(dataset->count, sizeof *e.order),
                      .examples = malloc(config->batch * sizeof *e.examples),
                      .labels = malloc(config->batch * sizeof *e.labels),
                      .scratch = mr_mlp_scratch_open(shape, config->batch)};
    int bad = !e.order || !e.examples || !e.labels || !e.scratch;
    for (uint32_t i = 0; !bad && i < dataset->count; i++) {
        e.order[i] = i;
    }
    for (uint32_t epoch = 0; !bad && epoch < config->epochs; epoch++) {
        shuffle(e.order, dataset->count, &random);
        *loss = (float)run_epoch(shape, parameters, dataset, config, &e, kernels);
    }
    mr_mlp_scratch_close(e.scratch);
    free(e.order);
    free(e.examples);
    free(e.labels);
    return bad ? -1 : 0;
}

#define TOGETHER 32u

int mr_sgd_accuracy(const struct mr_mlp_shape *shape, const float *parameters,
                    const struct mr_dataset *dataset, double *accuracy)
{
    struct mr_mlp_scratch *scratch = mr_mlp_scratch_open(shape, TOGETHER);
    const float *examples[TOGETHER];
    unsigned correct = 0;
    for (uint32_t at = 0; scratch && at < dataset->count; at += TOGETHER) {
        const uint32_t left = dataset->count - at, n = left < TOGETHER ? left : TOGETHER;
        for (unsigned i = 0; i < n; i++) {
            examples[i] = dataset->features + (size_t)(at + i) * dataset->columns;
        }
        const struct mr_mlp_batch batch = {
            .examples = examples, .labels = dataset->labels + at, .count = n};
        (void)mr_mlp_evaluate(shape, parameters, scratch, &batch, &correct);
    }
    *accuracy = dataset->count ? (double)correct / dataset->count : 0;
    const int result = scratch ? 0 : -1;
    mr_mlp_scratch_close(scratch);
    return result;
}
