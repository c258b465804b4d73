/* import.h - a model file from outside, as rounds can start from it. Pure.
 *
 * The rule: a file whose tensors are all F32 stays byte for byte, so that the same file is the same
 * model everywhere. F16 and BF16 become F32, each value exactly (both are subsets of it; a NaN
 * keeps its sign and its payload's high bits); tensors keep their names, shapes, order in the data
 * and the metadata; the header is written as docs/wire-format.md has it. The same file gives the
 * same bytes on every machine. Any other dtype is refused by name. */
#ifndef MR_MODEL_IMPORT_H
#define MR_MODEL_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* *out is malloc'd, NULL where the file stays as it is. 0 or -1. */
int mr_import_convert(const uint8_t *bytes, size_t length, uint8_t **out, size_t *out_length,
                      struct mr_error *error);

#endif
