#include "edge-client/trainer/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge-client/trainer/decimal.h"

#define QUOTED_MAX 40 /* characters of a field that an error shows */

struct reader {
    struct mr_dataset *dataset;
    float scale;
    struct mr_csv csv;
    uint32_t column; /* of the row under way: fields so far */
    size_t features, features_max;
    uint32_t labels_max;
    struct mr_error *error;
};

/* --- what is wrong, with its line ------------------------------------------------------------ */

static void show(char out[QUOTED_MAX + 1], const char *field)
{
    size_t i = 0;
    for (; i < QUOTED_MAX && field[i]; i++) {
        out[i] = field[i] >= 0x20 && field[i] <= 0x7e ? field[i] : '?';
    }
    out[i] = '\0';
}

/* What people who got here have mostly done. */
static const char *remedy(const struct reader *r)
{
    const char *field = r->csv.field;
    if (strchr(field, ';') || strchr(field, '\t')) {
        return ". Columns are separated by commas, and numbers have a decimal point";
    }
    if (strchr(field, ',')) {
        return ". Numbers have a decimal point";
    }
    if (r->csv.length == 0) {
        return ". Fill the gap, or leave the line out";
    }
    return r->dataset->count == 0 ? ". A header line is not wanted: remove it" : "";
}

static int no_number(const struct reader *r)
{
    char field[QUOTED_MAX + 1];
    show(field, r->csv.field);
    return mr_error_set(r->error, "line %" PRIu64 ": column %u, \"%s\", is not a number%s",
                        r->csv.row_line, r->column + 1, field, remedy(r));
}

static int no_class(const struct reader *r)
{
    char field[QUOTED_MAX + 1];
    show(field, r->csv.field);
    return mr_error_set(r->error,
                        "line %" PRIu64 ": the last column, \"%s\", must be the class, a whole "
                        "number 0..65535%s",
                        r->csv.row_line, field, remedy(r));
}

static int wrong_columns(const struct reader *r)
{
    const uint32_t wanted = r->dataset->count ? r->dataset->columns + 1 : 2;
    return mr_error_set(r->error,
                        "line %" PRIu64 ": %u columns, but expected %s%u: every line has the same "
                        "features and then the class",
                        r->csv.row_line, r->column + 1, r->dataset->count ? "" : "at least ",
                        wanted);
}

/* --- rows ------------------------------------------------------------------------------------ */

static int no_memory(const struct reader *r)
{
    return mr_error_set(r->error, "line %" PRIu64 ": out of memory", r->csv.row_line);
}

static int take_feature(struct reader *r)
{
    struct mr_dataset *dataset = r->dataset;
    double value;
    if (mr_decimal_real(&value, r->csv.field, r->csv.length)) {
        return no_number(r);
    }
    const float feature = (float)value * r->scale;
    if (!isfinite(feature)) {
        return mr_error_set(r->error, "line %" PRIu64 ": column %u is beyond the range of float32",
                            r->csv.row_line, r->column + 1);
    }
    if (r->features == r->features_max) {
        const size_t most = r->features_max ? 2 * r->features_max : 1024;
        float *features = reallocarray(dataset->features, most, sizeof *features);
        if (!features) {
            return no_memory(r);
        }
        dataset->features = features;
        r->features_max = most;
    }
    dataset->features[r->features++] = feature;
    return 0;
}

static int take_label(struct reader *r)
{
    struct mr_dataset *dataset = r->dataset;
    uint32_t label;
    if (mr_decimal_whole(&label, UINT16_MAX, r->csv.field, r->csv.length)) {
        return no_class(r);
    }
    if (dataset->count == MR_SHARD_EXAMPLES_MAX) {
        return mr_error_set(r->error, "line %" PRIu64 ": more than %u examples", r->csv.row_line,
                            MR_SHARD_EXAMPLES_MAX);
    }
    if (dataset->count == r->labels_max) {
        const uint32_t most = r->labels_max ? 2 * r->labels_max : 64;
        uint16_t *labels = reallocarray(dataset->labels, most, sizeof *labels);
        if (!labels) {
            return no_memory(r);
        }
        dataset->labels = labels;
        r->labels_max = most;
    }
    dataset->labels[dataset->count++] = (uint16_t)label;
    if (label > dataset->label_max) {
        dataset->label_max = (uint16_t)label;
    }
    return 0;
}

/* A field that another one follows. Too many of them are only counted, up to the row's end. */
static int take_field(struct reader *r)
{
    const uint32_t most = r->dataset->count ? r->dataset->columns : MR_SHARD_COLUMNS_MAX;
    int bad = 0;
    if (r->column == MR_SHARD_COLUMNS_MAX + 1) {
        return wrong_columns(r);
    }
    if (r->column < most) {
        bad = take_feature(r);
    }
    r->column++;
    return bad;
}

static int take_last_field(struct reader *r)
{
    struct mr_dataset *dataset = r->dataset;
    const bool first = dataset->count == 0;
    const bool fits =
        first ? r->column > 0 && r->column <= MR_SHARD_COLUMNS_MAX : r->column == dataset->columns;
    if (!fits) {
        return wrong_columns(r);
    }
    if (take_label(r)) {
        return -1;
    }
    dataset->columns = r->column;
    r->column = 0;
    return 0;
}

static int take_rows(struct reader *r)
{
    for (;;) {
        switch (mr_csv_next(&r->csv, r->error)) {
        case MR_CSV_FIELD:
            if (take_field(r)) {
                return -1;
            }
            break;
        case MR_CSV_LAST_FIELD:
            if (take_last_field(r)) {
                return -1;
            }
            break;
        case MR_CSV_END:
            r->dataset->unended = r->csv.unended;
            return 0;
        case MR_CSV_BAD:
            return -1;
        }
    }
}

int mr_dataset_take(struct mr_dataset *dataset, const struct mr_csv_source *source,
                    const char *name, float feature_scale, struct mr_error *error)
{
    struct mr_error why = {.text = ""};
    memset(dataset, 0, sizeof *dataset);
    struct reader *r = calloc(1, sizeof *r);
    if (!r) {
        return mr_error_set(error, "%s: out of memory", name);
    }
    r->dataset = dataset;
    r->scale = feature_scale;
    r->error = &why;
    mr_csv_open(&r->csv, source);
    int bad = take_rows(r);
    free(r);
    if (!bad && dataset->count == 0) {
        bad = mr_error_set(&why, "no examples in it: a device needs at least one");
    }
    if (bad) {
        mr_dataset_fini(dataset);
        mr_error_set(error, "%s: %s", name, why.text);
    }
    return bad;
}

void mr_dataset_fini(struct mr_dataset *dataset)
{
    free(dataset->features);
    free(dataset->labels);
    memset(dataset, 0, sizeof *dataset);
}

/* --- files ----------------------------------------------------------------------------------- */

struct opened {
    int fd;
    uint64_t bytes; /* read so far */
};

static ssize_t read_file(void *context, void *out, size_t capacity)
{
    struct opened *file = context;
    const ssize_t got = read(file->fd, out, capacity);
    file->bytes += got > 0 ? (uint64_t)got : 0;
    return got;
}

/* Whether somebody wrote to the file meanwhile: then its rows are of no one state of it. */
static bool changed(const struct opened *file, const struct stat *before)
{
    struct stat now;
    return fstat(file->fd, &now) || now.st_size != before->st_size ||
           now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != before->st_mtim.tv_nsec || file->bytes != (uint64_t)now.st_size;
}

static int read_open(struct mr_dataset *dataset, struct opened *file, const char *path,
                     float feature_scale, struct mr_error *error)
{
    struct stat before;
    const struct mr_csv_source source = {read_file, file};
    if (fstat(file->fd, &before)) {
        return mr_error_set(error, "%s: %s (option --data)", path, strerror(errno));
    }
    if (S_ISDIR(before.st_mode)) {
        return mr_error_set(error, "%s: is a folder; name the CSV file in it (option --data)",
                            path);
    }
    if (!S_ISREG(before.st_mode)) {
        return mr_error_set(error,
                            "%s: no ordinary file; rows may be read once more for a later round, "
                            "so write them into a file first (option --data)",
                            path);
    }
    if (mr_dataset_take(dataset, &source, path, feature_scale, error)) {
        return -1;
    }
    if (changed(file, &before)) {
        mr_dataset_fini(dataset);
        return mr_error_set(error,
                            "%s: changed while it was read; nothing of it is used. Write to "
                            "another file and rename it when it is whole",
                            path);
    }
    return 0;
}

int mr_dataset_read(struct mr_dataset *dataset, const char *path, float feature_scale,
                    struct mr_error *error)
{
    memset(dataset, 0, sizeof *dataset);
    /* Without waiting: a pipe that nobody writes to would hold the device for ever. */
    struct opened file = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.fd < 0) {
        return mr_error_set(error, "%s: %s (option --data)", path, strerror(errno));
    }
    const int bad = read_open(dataset, &file, path, feature_scale, error);
    close(file.fd);
    return bad;
}
