/* releases.h - a task's releases at this hub: the manifest of the current model, made and signed by
 * this hub alone from what its own store says, and its word that it is the newest.
 *
 *   releases/<round>.<step>.manifest   on the disk before it is signed or served: one version has
 *                                      one manifest, for ever
 *
 * Loop's thread only; what takes long is a job's. docs/decisions/0049-releases.md. */
#ifndef MR_MODEL_RELEASES_H
#define MR_MODEL_RELEASES_H

#include "appliance/config/hub_config.h"
#include "appliance/model/deltas.h"
#include "appliance/model/release_times.h"
#include "appliance/model/rollouts.h"
#include "appliance/model/store.h"
#include "appliance/observe/log.h"
#include "appliance/runtime/loop.h"
#include "kernels/kernels.h"
#include "wire/release.h"

struct mr_releases;

/* What is pointed at is the caller's and stays until _close. */
struct mr_releases_config {
    const char *task;
    const char *data_dir; /* the task's */
    uint16_t hub_index;
    const struct mr_signing_pair *keys;
    const struct mr_config_releases *policy;
    struct mr_loop *loop;
    struct mr_log *log;
    struct mr_store *store;
    const struct mr_kernels *kernels;
    void (*changed)(void *context); /* another release is the newest; not from inside a call */
    void *context;
};

/* Takes up the newest manifest on the disk; has no work yet. 0 or -1. */
int mr_releases_open(struct mr_releases **releases, const struct mr_releases_config *config,
                     struct mr_error *error);
/* As the drivers' three steps: nothing new begins; the thread ends (any thread); freed. */
void mr_releases_halt(struct mr_releases *releases);
void mr_releases_join(struct mr_releases *releases);
void mr_releases_close(struct mr_releases *releases); /* NULL allowed */

void mr_releases_set_policy(struct mr_releases *releases, const struct mr_config_releases *policy);

/* The store's current model may be another one: if so, its release is made. */
void mr_releases_look(struct mr_releases *releases);

/* A round has made a model, which is to be the store's current one when hubs agree on it: the delta
 * to it is begun. */
void mr_releases_expect(struct mr_releases *releases, struct mr_made_model *made);

/* The newest release with this hub's word of now (mr_signed_release) for the device with that id,
 * for nobody in particular where it is NULL; NULL: there is none. Valid until the next call. */
const uint8_t *mr_releases_latest(struct mr_releases *releases, const uint8_t *client_id,
                                  size_t *length, struct mr_release_version *version);

struct mr_rollouts *mr_releases_rollouts(struct mr_releases *releases);
struct mr_deltas *mr_releases_deltas(struct mr_releases *releases);
const struct mr_release_times *mr_releases_times(const struct mr_releases *releases);

#endif
