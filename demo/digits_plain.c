/* digits_plain.c - digits-tool plain: the same training as the federation's, by plain averaging.
 *
 * Each round every included device trains with the device's own code and seed; the changes are
 * weighted and clipped as devices do, averaged in float, and added to the model. With --scale the
 * values are quantised (and rotated) as well: a simulation of what the secure sum carries. */
#include <errno.h>
#include <math.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/share/prepare.h"
#include "demo/digits.h"
#include "base/bytes.h"
#include "wire/identity.h"

struct device {
    uint8_t id[MR_CLIENT_ID_BYTES];
    struct mr_dataset dataset;
    int included;
};

#define EXPERIMENT 1 /* training_seed of the devices (demo/federation.py) */

struct plain {
    const struct digits_options *options;
    const struct mr_kernels *kernels;
    struct mr_sgd_config sgd;
    struct digits_model model;
    struct mr_dataset held_out;
    struct device *devices;
    unsigned device_count;
    struct mr_round_terms terms;
    float *vector; /* lanes */
    double *sum;   /* lanes */
    int8_t *q;     /* lanes */
    uint64_t weights;
    uint64_t saturated;
    struct mr_error *error;
};

/* --- devices --------------------------------------------------------------------------------- */

/* The client id in the certificate of device `number`. */
static int identify(struct plain *p, unsigned number, uint8_t id[MR_CLIENT_ID_BYTES])
{
    char path[4096];
    struct mr_identity identity = {.role = MR_ROLE_NONE};
    memset(id, 0, MR_CLIENT_ID_BYTES);
    mr_be32_put(id + 4, number);
    if (!p->options->pki) {
        return 0;
    }
    snprintf(path, sizeof path, "%s/device-%03u.pem", p->options->pki, number);
    FILE *file = fopen(path, "re");
    if (!file) {
        return 1; /* a dataset without a device: it never takes part */
    }
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    GENERAL_NAMES *names =
        certificate ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            mr_identity_parse(
                &identity, (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier));
        }
    }
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    if (identity.role != MR_ROLE_DEVICE) {
        return mr_error_set(p->error, "%s: no device's certificate", path);
    }
    memcpy(id, identity.client_id, MR_CLIENT_ID_BYTES);
    return 0;
}

static int read_devices(struct plain *p)
{
    for (unsigned number = 0;; number++) {
        char path[4096];
        uint8_t id[MR_CLIENT_ID_BYTES];
        snprintf(path, sizeof path, "%s/device-%03u.csv", p->options->shards, number);
        FILE *file = fopen(path, "re");
        if (!file) {
            break;
        }
        fclose(file);
        int known = identify(p, number, id);
        if (known < 0) {
            return -1;
        }
        if (known > 0) {
            continue;
        }
        struct device *grown = realloc(p->devices, (p->device_count + 1) * sizeof *grown);
        if (!grown) {
            return mr_error_set(p->error, "out of memory");
        }
        p->devices = grown;
        struct device *device = &p->devices[p->device_count];
        memset(device, 0, sizeof *device);
        memcpy(device->id, id, sizeof id);
        if (mr_dataset_read(&device->dataset, path, p->sgd.feature_scale, p->error) ||
            mr_sgd_check(&p->model.shape, &device->dataset, p->error)) {
            return -1;
        }
        p->device_count++;
    }
    return p->device_count
               ? 0
               : mr_error_set(p->error, "--shards %s: no device-000.csv there", p->options->shards);
}

/* Marks the devices whose ids stand in the round's file, one a line. */
static int read_included(struct plain *p, unsigned round)
{
    char path[4096], line[256];
    const char *pattern = p->options->included;
    const char *mark = pattern ? strstr(pattern, "{round}") : NULL;
    for (unsigned i = 0; i < p->device_count; i++) {
        p->devices[i].included = !pattern;
    }
    if (!pattern) {
        return 0;
    }
    if (!mark) {
        return mr_error_set(p->error, "--included %s: {round} is needed in it", pattern);
    }
    snprintf(path, sizeof path, "%.*s%u%s", (int)(mark - pattern), pattern, round,
             mark + strlen("{round}"));
    FILE *file = fopen(path, "re");
    if (!file) {
        return mr_error_set(p->error, "%s: %s", path, strerror(errno));
    }
    int bad = 0;
    while (!bad && fgets(line, sizeof line, file)) {
        uint8_t id[MR_CLIENT_ID_BYTES];
        unsigned i = 0;
        line[strcspn(line, "\r\n")] = 0;
        if (!line[0]) {
            continue;
        }
        bad = mr_hex_decode(id, sizeof id, line);
        while (!bad && i < p->device_count && memcmp(p->devices[i].id, id, sizeof id) != 0) {
            i++;
        }
        if (bad || i == p->device_count) {
            bad = mr_error_set(p->error, "%s: %s is no device of ours", path, line);
        } else {
            p->devices[i].included = 1;
        }
    }
    if (!bad && ferror(file)) {
        bad = mr_error_set(p->error, "%s: cannot be read to its end", path);
    }
    fclose(file);
    return bad;
}

/* --- a round --------------------------------------------------------------------------------- */

static int add_device(struct plain *p, const struct device *device, uint64_t round)
{
    uint32_t trailer[MR_TRAILER_LANES];
    uint8_t random[MR_PREPARE_RANDOM_BYTES];
    struct mr_training_report report = {.examples = device->dataset.count};
    size_t dimension = p->model.parsed.count, lanes = p->terms.layout.lanes;
    memcpy(p->vector, p->model.parameters, dimension * sizeof *p->vector);
    if (mr_sgd_train(&p->model.shape, p->vector, &device->dataset, &p->sgd,
                     mr_sgd_seed(device->id, round, EXPERIMENT), p->kernels, &report.loss)) {
        return mr_error_set(p->error, "out of memory");
    }
    p->kernels->axpy(p->vector, -1.0f, p->model.parameters, dimension);
    if (mr_prepare_delta(p->vector, trailer, &p->terms, &report, p->kernels, p->error)) {
        return -1;
    }
    if (p->options->scale > 0) {
        struct mr_sgd_random noise = {.state = mr_sgd_seed(device->id, round, EXPERIMENT) + 1};
        for (size_t i = 0; i < sizeof random; i += 8) {
            mr_be64_put(random + i, mr_sgd_random_next(&noise));
        }
        struct mr_rounding rounding;
        mr_prepare_quantise(p->q, trailer, &rounding, p->vector, &p->terms, random, p->kernels);
        p->saturated += rounding.clipped;
        for (size_t i = 0; i < lanes; i++) {
            p->vector[i] = (float)p->q[i] / p->terms.announcement.scale;
        }
    }
    for (size_t i = 0; i < lanes; i++) {
        p->sum[i] += p->vector[i];
    }
    p->weights += trailer[MR_TRAILER_WEIGHT];
    return 0;
}

static int rotate_back(struct plain *p)
{
    struct mr_mask_stream signs;
    size_t lanes = p->terms.layout.lanes;
    if (p->terms.layout.rotation_block <= 1) {
        return 0;
    }
    uint8_t *bits = malloc((lanes + 7) / 8);
    if (!bits || mr_rotation_derive(&signs, p->terms.announcement.rotation_seed,
                                    p->terms.announcement.round)) {
        free(bits);
        return mr_error_set(p->error, "the rotation cannot be derived");
    }
    p->kernels->hadamard(p->vector, lanes, p->terms.layout.rotation_block);
    p->kernels->mask_expand(bits, &signs, 0, (lanes + 7) / 8);
    p->kernels->flip_signs(p->vector, bits, lanes);
    free(bits);
    return 0;
}

static int run_round(struct plain *p, unsigned round)
{
    size_t lanes = p->terms.layout.lanes;
    p->terms.announcement.round = round;
    memset(p->sum, 0, lanes * sizeof *p->sum);
    p->weights = 0;
    if (read_included(p, round)) {
        return -1;
    }
    for (unsigned i = 0; i < p->device_count; i++) {
        if (p->devices[i].included && add_device(p, &p->devices[i], round)) {
            return -1;
        }
    }
    if (!p->weights) {
        return mr_error_set(p->error, "round %u: no device in it", round);
    }
    double factor = p->terms.announcement.weight_max / (double)p->weights;
    for (size_t i = 0; i < lanes; i++) {
        p->vector[i] = (float)(p->sum[i] * factor);
    }
    if (rotate_back(p)) {
        return -1;
    }
    p->kernels->axpy(p->model.parameters, (float)p->options->server_learning_rate, p->vector,
                     p->model.parsed.count);
    return 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int prepare(struct plain *p)
{
    const struct digits_options *o = p->options;
    struct mr_announcement *terms = &p->terms.announcement;
    if (!o->model || !o->shards || !o->data || !(o->clip_norm > 0) || !(o->weight_max >= 1)) {
        return mr_error_set(p->error, "--model, --shards and --data are needed");
    }
    if (mr_sgd_config_parse(&p->sgd, o->training, p->error) ||
        digits_model_read(&p->model, o->model, p->error) ||
        mr_dataset_read(&p->held_out, o->data, p->sgd.feature_scale, p->error) || read_devices(p)) {
        return -1;
    }
    terms->weight_max = (uint32_t)o->weight_max;
    terms->clip_norm = (float)o->clip_norm;
    terms->scale = (float)o->scale;
    terms->levels = MR_LEVELS_MAX;
    terms->cohort_min = 2;
    terms->cohort_max = mr_quantiser_cohort_max(16, MR_LEVELS_MAX, MR_HEADROOM_MIN);
    uint8_t rotation = o->scale > 0 ? (uint8_t)o->rotation_log2 : 0;
    if (mr_layout_init(&p->terms.layout, 16, p->model.parsed.count, rotation, 1408)) {
        return mr_error_set(p->error, "--rotation-log2: at most 16");
    }
    p->vector = calloc(p->terms.layout.lanes, sizeof *p->vector);
    p->sum = calloc(p->terms.layout.lanes, sizeof *p->sum);
    p->q = calloc(p->terms.layout.lanes, sizeof *p->q);
    return p->vector && p->sum && p->q ? 0 : mr_error_set(p->error, "out of memory");
}

static int run_all(struct plain *p)
{
    double accuracy = 0, loss = 0;
    unsigned rounds = (unsigned)p->options->rounds;
    printf(p->options->json ? "{\"accuracy\": [" : "");
    for (unsigned round = 1; round <= rounds; round++) {
        if (run_round(p, round) ||
            digits_accuracy(&p->model, &p->held_out, &accuracy, &loss, p->error)) {
            return -1;
        }
        if (p->options->json) {
            printf("%s%.6f", round > 1 ? ", " : "", accuracy);
        } else {
            printf("round %u: accuracy %.4f, loss %.4f, saturated %llu\n", round, accuracy, loss,
                   (unsigned long long)p->saturated);
        }
    }
    if (p->options->json) {
        printf("], \"loss\": %.6f, \"saturated\": %llu}\n", loss, (unsigned long long)p->saturated);
    }
    return p->options->out ? digits_model_write(&p->model, p->options->out, p->error) : 0;
}

int digits_plain(const struct digits_options *options, struct mr_error *error)
{
    struct plain p = {.options = options, .kernels = mr_kernels_select(UINT32_MAX), .error = error};
    int bad = prepare(&p) || run_all(&p);
    for (unsigned i = 0; i < p.device_count; i++) {
        mr_dataset_fini(&p.devices[i].dataset);
    }
    free(p.devices);
    free(p.vector);
    free(p.sum);
    free(p.q);
    mr_dataset_fini(&p.held_out);
    digits_model_fini(&p.model);
    return bad;
}
