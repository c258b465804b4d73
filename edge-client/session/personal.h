/* personal.h - the tensors of a model that are this device's own (wire/tensor_parts.h): kept in
 * data_dir, put into each round's model before it is trained, taken out of what was trained. They
 * are in nothing that is sent (inside session/ only). */
#ifndef MR_SESSION_PERSONAL_H
#define MR_SESSION_PERSONAL_H

#include "edge-client/session/model.h"

/* Puts this device's own values into `values` (of the whole model), and *path becomes that of a
 * file of the model with them, for trainers that read files. Nothing where the model has no such
 * tensors; where nothing was kept yet, the model's values are the first. 0, or the result with
 * outcome's text. */
enum mre_result mr_personal_load(const struct mre_client *client, const struct mr_model *model,
                                 float *values, char *path, size_t path_bytes,
                                 struct mre_outcome *outcome);

/* After the training: keeps them, durably. `values`: of the whole model, as trained. */
enum mre_result mr_personal_keep(const struct mre_client *client, const struct mr_model *model,
                                 const float *values, struct mre_outcome *outcome);

bool mr_personal_has(const struct mr_model *model);

#endif
