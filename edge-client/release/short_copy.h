/* short_copy.h - a model that is to be installed, once more in 16 bits (inside edge-client/ only).
 *
 * Releases, deltas and what is known of a copy are float32; only what the application opens is
 * shorter. Rounding is that of session/number_type.h, so the same model and type give the same
 * bytes everywhere. */
#ifndef MR_EDGE_RELEASE_SHORT_COPY_H
#define MR_EDGE_RELEASE_SHORT_COPY_H

#include "edge-client/release/slots.h"

/* Sets the model's installed_as and opened: `wanted`, or where that is NULL what the text
 * MR_INSTALLED_MEMBER of the file `from` names, or float32. Where it is not float32 the file `to`
 * is made of `from`, synced. 0 or -1. */
int mr_short_copy(struct mr_slot_model *model, const char *from, const char *to,
                  const enum mre_number_type *wanted, struct mr_error *error);

#endif
