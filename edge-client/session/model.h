/* model.h - the round's model on the device: cached file, hash verified, mapped (inside session/).
 */
#ifndef MR_SESSION_MODEL_H
#define MR_SESSION_MODEL_H

#include "edge-client/session/client.h"
#include "wire/safetensors.h"

struct mr_model {
    char path[4096];
    uint8_t *bytes; /* the file, mapped read-only */
    size_t length;
    struct mr_safetensors parsed;
    struct mre_tensor *tensors; /* the same list in the API's form */
    const float *values;        /* D floats, aligned */
    float *copy;                /* pages behind values where the file is not aligned, or NULL */
};

/* Takes the model from data_dir, or from the lead where it is not there. 0, or the result with
 * outcome's text (the model is then empty). On success mr_model_unload is owed. */
enum mre_result mr_model_load(struct mr_model *model, struct mre_client *client,
                              const struct mr_round_terms *terms, struct mre_outcome *outcome);
void mr_model_unload(struct mr_model *model);

#endif
