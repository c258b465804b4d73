/* dataset.h - a device's examples, read from a CSV file.
 *
 * One example a line: the features, then the class as a whole number 0..65535; no header line; the
 * same number of columns in every line. Features are multiplied by `feature_scale` on reading.
 *
 * All of the file is read or none of it: what is no number, a line of another length, a read that
 * fails, a file that changes meanwhile is an error that names file and line. What a field and a
 * number may look like: csv.h, decimal.h. */
#ifndef MRE_TRAINER_DATASET_H
#define MRE_TRAINER_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "edge-client/trainer/csv.h"

#define MR_SHARD_COLUMNS_MAX  65536
#define MR_SHARD_EXAMPLES_MAX (1u << 24)

struct mr_dataset {
    float *features; /* count x columns */
    uint16_t *labels;
    uint32_t count;
    uint32_t columns; /* features per example */
    uint16_t label_max;
    bool unended; /* the last line had no line end: it may have been cut off */
};

/* 0, or -1 with an error that names file and line. On success _fini is owed. */
int mr_dataset_read(struct mr_dataset *dataset, const char *path, float feature_scale,
                    struct mr_error *error);
/* The same from any source of bytes; `name` stands in the errors. */
int mr_dataset_take(struct mr_dataset *dataset, const struct mr_csv_source *source,
                    const char *name, float feature_scale, struct mr_error *error);
void mr_dataset_fini(struct mr_dataset *dataset);

#endif
