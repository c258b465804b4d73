/* model_folders.h - a model as it is exported: its file, or as other registries take it, an MLflow
 * model folder or an OCI layout.
 *
 * Each is made beside its name, as NAME.partial, and renamed when it is whole, so that what bears
 * the name is whole. */
#ifndef MR_CLI_MODEL_FOLDERS_H
#define MR_CLI_MODEL_FOLDERS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct mr_model_export {
    const char *path;      /* where it goes; nothing may be there */
    const char *task;      /* its name in the registry */
    const json_t *version; /* as the hub shows it */
    const uint8_t *bytes;  /* the safetensors file */
    size_t length;
};

/* 0 or -1. */
int mr_model_export_file(const struct mr_model_export *model, struct mr_error *error);
/* MLmodel, model.safetensors: github.com/mlflow/mlflow, "MLflow Models". The flavour's name is
 * `safetensors`, since MLflow has none for it. */
int mr_model_export_mlflow(const struct mr_model_export *model, struct mr_error *error);
/* oci-layout, index.json, blobs/: the OCI image layout 1.0 with one artefact manifest (image-spec
 * 1.1, "Guidelines for Artifact Usage"), whose one layer is the file. */
int mr_model_export_oci(const struct mr_model_export *model, struct mr_error *error);

#endif
