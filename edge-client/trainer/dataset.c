#include "edge-client/trainer/dataset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct mr_dataset *dataset;
    const char *path;
    float scale;
    uint32_t line;
    uint32_t capacity;
    struct mr_error *error;
};

static uint32_t columns_in(const char *text)
{
    uint32_t columns = 1;
    for (; *text; text++) {
        columns += *text == ',' && columns < MR_SHARD_COLUMNS_MAX + 2;
    }
    return columns;
}

static int grow(struct reader *r)
{
    struct mr_dataset *dataset = r->dataset;
    if (dataset->count < r->capacity) {
        return 0;
    }
    uint32_t capacity = r->capacity ? 2 * r->capacity : 64;
    size_t row = dataset->columns * sizeof *dataset->features;
    float *features = realloc(dataset->features, capacity * row);
    if (features) {
        dataset->features = features;
    }
    uint16_t *labels = realloc(dataset->labels, capacity * sizeof *labels);
    if (labels) {
        dataset->labels = labels;
    }
    if (!features || !labels) {
        return mr_error_set(r->error, "%s: out of memory at line %u", r->path, r->line);
    }
    r->capacity = capacity;
    return 0;
}

static int take_features(struct reader *r, const char **text)
{
    float *row = r->dataset->features + (size_t)r->dataset->count * r->dataset->columns;
    for (uint32_t c = 0; c < r->dataset->columns; c++) {
        char *end;
        row[c] = strtof(*text, &end) * r->scale;
        if (end == *text || *end != ',' || !isfinite(row[c])) {
            return mr_error_set(r->error,
                                "%s:%u: column %u is not a number; each line must be %u features "
                                "and then the class",
                                r->path, r->line, c + 1, r->dataset->columns);
        }
        *text = end + 1;
    }
    return 0;
}

static int take_line(struct reader *r, const char *text)
{
    uint32_t columns = columns_in(text);
    if (r->dataset->count == 0) {
        r->dataset->columns = columns - 1;
    }
    if (columns < 2 || columns > MR_SHARD_COLUMNS_MAX + 1 || columns - 1 != r->dataset->columns) {
        return mr_error_set(r->error, "%s:%u: %u columns, but expected %u", r->path, r->line,
                            columns, columns < 2 ? 2 : r->dataset->columns + 1);
    }
    if (r->dataset->count == MR_SHARD_EXAMPLES_MAX) {
        return mr_error_set(r->error, "%s: more than %u examples", r->path, MR_SHARD_EXAMPLES_MAX);
    }
    if (grow(r) || take_features(r, &text)) {
        return -1;
    }
    char *end;
    errno = 0;
    unsigned long label = strtoul(text, &end, 10);
    if (end == text || (*end && *end != '\n' && *end != '\r') || errno || label > UINT16_MAX ||
        *text == '-') {
        return mr_error_set(r->error,
                            "%s:%u: the last column is the class, a whole number 0..65535", r->path,
                            r->line);
    }
    r->dataset->labels[r->dataset->count++] = (uint16_t)label;
    if (label > r->dataset->label_max) {
        r->dataset->label_max = (uint16_t)label;
    }
    return 0;
}

int mr_dataset_read(struct mr_dataset *dataset, const char *path, float feature_scale,
                    struct mr_error *error)
{
    struct reader r = {.dataset = dataset, .path = path, .scale = feature_scale, .error = error};
    char *line = NULL;
    size_t capacity = 0;
    int bad = 0;
    memset(dataset, 0, sizeof *dataset);
    FILE *file = fopen(path, "re");
    if (!file) {
        return mr_error_set(error, "%s: %s (option --data)", path, strerror(errno));
    }
    while (!bad && getline(&line, &capacity, file) > 0) {
        r.line++;
        if (line[0] != '\n' && line[0] != '\r') {
            bad = take_line(&r, line);
        }
    }
    if (!bad && dataset->count == 0) {
        bad = mr_error_set(error, "%s: no examples in it: a device needs at least one", path);
    }
    free(line);
    fclose(file);
    if (bad) {
        mr_dataset_fini(dataset);
    }
    return bad;
}

void mr_dataset_fini(struct mr_dataset *dataset)
{
    free(dataset->features);
    free(dataset->labels);
    memset(dataset, 0, sizeof *dataset);
}
