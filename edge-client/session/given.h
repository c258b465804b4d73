/* given.h - the model as the training function gets it: in the device's number type (inside
 * session/ only). */
#ifndef MR_SESSION_GIVEN_H
#define MR_SESSION_GIVEN_H

#include "edge-client/session/model.h"

struct mr_given {
    const float *values; /* the model, rounded to the type: what a change is counted from */
    const char *file;    /* a safetensors file of that type */
    float *rounded;      /* pages behind `values`, `count` floats; NULL in F32 */
    size_t count;
    char path[4096];
};

/* Of the whole model: `values` and `file` are this device's, and are handed on where the type is
 * F32. 0, or the result with outcome's text. mr_given_end is owed either way. */
enum mre_result mr_given_begin(struct mr_given *given, const struct mre_client *client,
                               const struct mr_model *model, const float *values, const char *file,
                               struct mre_outcome *outcome);
void mr_given_end(struct mr_given *given);

#endif
