/* tensor_parts.h - which tensors of a model rounds train. Two texts of the file's "__metadata__"
 * say which they leave alone, so that the model's hash, and whoever signs it, covers that:
 *
 *   millrace.frozen     nobody trains it: the same for all, for ever
 *   millrace.personal   each device trains its own, and it never leaves the device
 *
 * Each is a list of patterns with commas between: a tensor's name, or what it begins with and `*`.
 * A round's D counts the others, in file order: nothing of frozen and personal tensors is in a
 * share, a sum or an optimiser's state. docs/wire-format.md, "Model files". Pure. */
#ifndef MR_WIRE_TENSOR_PARTS_H
#define MR_WIRE_TENSOR_PARTS_H

#include <stdbool.h>

#include "kernels/kernels.h"
#include "wire/safetensors.h"

#define MR_FROZEN_MEMBER   "millrace.frozen"
#define MR_PERSONAL_MEMBER "millrace.personal"
/* A third text, which is for those who install the model: the number type of the file that
 * applications open, "float16" or "bfloat16". Nothing in a round looks at it. */
#define MR_INSTALLED_MEMBER "millrace.installed_as"

/* Sets `part` of every tensor, `trained` and the spans; the tensors are in file order. A text is
 * NULL where the file has none. 0, or -1 with an error: a pattern that no tensor has, a tensor in
 * both lists, nothing left to train. */
int mr_tensor_parts_read(struct mr_safetensors *model, const char *frozen, const char *personal,
                         struct mr_error *error);

/* out[trained] = what rounds train of the file's values; `data` at any alignment. */
void mr_tensor_parts_gather(const struct mr_safetensors *model, float *out, const uint8_t *data);
/* The way back: the other values stay as they are. */
void mr_tensor_parts_scatter(const struct mr_safetensors *model, uint8_t *data, const float *in);
/* Adds step[trained] to what rounds train, where it lies; by way of a copy where a foreign header
 * lets it begin on no float's boundary. *finite: whether all of it still is. 0, or -1 when out of
 * memory. */
int mr_tensor_parts_add(const struct mr_safetensors *model, uint8_t *data, const float *step,
                        const struct mr_kernels *kernels, bool *finite);
/* The span of a trained value; `value` is below model->trained. */
const struct mr_tensor_span *mr_tensor_parts_span(const struct mr_safetensors *model, size_t value);

#endif
