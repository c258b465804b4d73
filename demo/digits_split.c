/* digits_split.c - digits-tool split: a held-out part, and shards whose classes are unevenly spread
 * (for each class, the devices' parts follow Dirichlet(alpha)). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "demo/digits.h"

#define LINES_MAX   100000
#define DEVICES_MAX 1000
#define CLASSES     10
#define SHARD_MIN                                                                                  \
    8 /* examples that every device gets at least, or half of an even part if less                 \
       */

struct lines {
    char *text[LINES_MAX];
    int class_of[LINES_MAX];
    int owner[LINES_MAX]; /* device, or -1 = held out */
    uint32_t count;
};

double digits_normal(struct mr_sgd_random *random)
{
    double u = ((double)(mr_sgd_random_next(random) >> 11) + 1) * 0x1p-53;
    double v = (double)(mr_sgd_random_next(random) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* Gamma(shape, 1): Marsaglia and Tsang (2000); below 1 by the power of a uniform. */
static double gamma_draw(struct mr_sgd_random *random, double shape)
{
    double boost = 1;
    if (shape < 1) {
        boost = pow(((double)(mr_sgd_random_next(random) >> 11) + 1) * 0x1p-53, 1 / shape);
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = digits_normal(random), v = pow(1 + c * x, 3);
        double u = ((double)(mr_sgd_random_next(random) >> 11) + 1) * 0x1p-53;
        if (v > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v)) {
            return boost * d * v;
        }
    }
}

static int read_lines(struct lines *lines, const char *path, struct mr_error *error)
{
    char line[4096];
    gzFile file = gzopen(path, "rb"); /* reads plain text as well */
    if (!file) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    while (lines->count < LINES_MAX && gzgets(file, line, sizeof line)) {
        const char *comma = strrchr(line, ',');
        if (!comma || comma[1] < '0' || comma[1] > '9') {
            break;
        }
        lines->class_of[lines->count] = comma[1] - '0';
        lines->text[lines->count++] = strdup(line);
    }
    int whole = gzeof(file);
    gzclose(file);
    return whole && lines->count
               ? 0
               : mr_error_set(error, "%s: line %u is not understood", path, lines->count + 1);
}

static void deal(struct lines *lines, const uint32_t *order, uint32_t held_out, unsigned devices,
                 double alpha, struct mr_sgd_random *random)
{
    static double part[CLASSES][DEVICES_MAX]; /* cumulative */
    for (unsigned c = 0; c < CLASSES; c++) {
        double sum = 0;
        for (unsigned d = 0; d < devices; d++) {
            part[c][d] = sum += gamma_draw(random, alpha);
        }
        for (unsigned d = 0; d < devices; d++) {
            part[c][d] /= sum;
        }
    }
    for (uint32_t i = 0; i < lines->count; i++) {
        uint32_t line = order[i];
        double u = (double)(mr_sgd_random_next(random) >> 11) * 0x1p-53;
        unsigned d = 0;
        while (d + 1 < devices && part[lines->class_of[line]][d] <= u) {
            d++;
        }
        lines->owner[line] = i < held_out ? -1 : (int)d;
    }
}

/* Devices left almost empty get examples of the fullest one. */
static void fill_up(struct lines *lines, uint32_t held_out, unsigned devices)
{
    uint32_t size[DEVICES_MAX] = {0};
    uint32_t least = (lines->count - held_out) / devices / 2;
    least = least < SHARD_MIN ? least : SHARD_MIN;
    for (uint32_t i = 0; i < lines->count; i++) {
        if (lines->owner[i] >= 0) {
            size[lines->owner[i]]++;
        }
    }
    for (unsigned d = 0; d < devices; d++) {
        while (size[d] < least) {
            unsigned fullest = 0;
            for (unsigned k = 1; k < devices; k++) {
                fullest = size[k] > size[fullest] ? k : fullest;
            }
            uint32_t i = 0;
            while (lines->owner[i] != (int)fullest) {
                i++;
            }
            lines->owner[i] = (int)d;
            size[fullest]--;
            size[d]++;
        }
    }
}

static int write_part(const struct lines *lines, const char *folder, const char *name, int owner,
                      struct mr_error *error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    if (!file) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    for (uint32_t i = 0; i < lines->count; i++) {
        if (lines->owner[i] == owner) {
            fputs(lines->text[i], file);
        }
    }
    return fclose(file) ? mr_error_set(error, "%s: %s", path, strerror(errno)) : 0;
}

static int split(struct lines *lines, const struct digits_options *options, struct mr_error *error)
{
    struct mr_sgd_random random = {.state = (uint64_t)options->seed};
    unsigned devices = (unsigned)options->devices;
    if (read_lines(lines, options->input, error)) {
        return -1;
    }
    if (lines->count == 0) {
        return mr_error_set(error, "%s has no rows", options->input);
    }
    uint32_t *order = malloc(lines->count * sizeof *order);
    if (!order) {
        return mr_error_set(error, "out of memory");
    }
    for (uint32_t i = 0; i < lines->count; i++) {
        uint32_t j = mr_sgd_random_below(&random, i + 1);
        order[i] = i;
        order[i] = order[j];
        order[j] = i;
    }
    const uint32_t held_out = (uint32_t)(lines->count * options->held_out);
    deal(lines, order, held_out, devices, options->alpha, &random);
    free(order);
    fill_up(lines, held_out, devices);
    if (mkdir(options->out, 0777) && errno != EEXIST) {
        return mr_error_set(error, "--out %s: %s", options->out, strerror(errno));
    }
    int bad = write_part(lines, options->out, "held-out.csv", -1, error);
    for (unsigned d = 0; !bad && d < devices; d++) {
        char name[32];
        snprintf(name, sizeof name, "device-%03u.csv", d);
        bad = write_part(lines, options->out, name, (int)d, error);
    }
    return bad;
}

int digits_split(const struct digits_options *options, struct mr_error *error)
{
    if (!options->input || !options->out || options->devices < 1 ||
        options->devices > DEVICES_MAX || !(options->alpha > 0) || !(options->held_out >= 0) ||
        !(options->held_out < 1)) {
        return mr_error_set(error,
                            "--input, --out, --devices 1..%d, --alpha > 0 and --held-out in "
                            "[0, 1) are needed",
                            DEVICES_MAX);
    }
    struct lines *lines = calloc(1, sizeof *lines);
    if (!lines) {
        return mr_error_set(error, "out of memory");
    }
    int bad = split(lines, options, error);
    for (uint32_t i = 0; i < lines->count; i++) {
        free(lines->text[i]);
    }
    free(lines);
    return bad;
}
