/* number_type.h - float32 values in 16 bits and back: F16 (IEEE 754 binary16) and BF16 (the upper
 * half of a float32).
 *
 * Rounding is to nearest, ties to the even one. A finite value beyond the largest finite number of
 * the type (65,504; 3.39e38) becomes that number; infinity and NaN stay what they are. The bits are
 * the same on every machine. */
#ifndef MR_SESSION_NUMBER_TYPE_H
#define MR_SESSION_NUMBER_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge-client/include/millrace_edge.h"

/* `type` is MRE_F16 or MRE_BF16. */
uint16_t mr_number_short(enum mre_number_type type, float value);
float mr_number_float(enum mre_number_type type, uint16_t number);

/* As number types are called in device.json, in a trainer's task and in model files: "float16",
 * "F16"; NULL where there is no such type. */
const char *mr_number_name(enum mre_number_type type);
const char *mr_number_code(enum mre_number_type type);
/* The type of that name. false: there is none, or `name` is NULL. */
bool mr_number_named(enum mre_number_type *type, const char *name);

/* The length and header of a safetensors file with the same tensors and texts as the one in
 * `bytes`, which was parsed and whose data begins at data_offset, of that type and so of half the
 * data. With spaces behind, so that the data begins at a multiple of 64. malloc'd; NULL: out of
 * memory. */
char *mr_number_header(const uint8_t *bytes, size_t data_offset, enum mre_number_type type,
                       size_t *length);

#endif
