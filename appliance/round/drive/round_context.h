/* round_context.h - what the hub gives to the driver of one task's rounds, as lead or as helper.
 *
 * The driver copies the struct; everything that it points at is kept by the caller until the driver
 * is closed. */
#ifndef MR_ROUND_DRIVE_ROUND_CONTEXT_H
#define MR_ROUND_DRIVE_ROUND_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/model/made_model.h"
#include "appliance/model/store.h"
#include "appliance/observe/log.h"
#include "appliance/runtime/loop.h"
#include "kernels/kernels.h"
#include "transport/h2_client.h"
#include "wire/announcement.h"
#include "wire/identity.h"

struct mr_config_keep;
struct mr_config_privacy;
struct mr_config_round;
struct mr_task_age;
struct mr_released;
struct mr_upload_plane;

/* Why a round on a model is not begun, nor signed. */
#define MR_NO_STATE                                                                                \
    "the optimiser's state that goes with the model is not in this hub's optimisers/: take it "    \
    "from "                                                                                        \
    "another hub"

struct mr_round_context {
    const char *task;     /* its name, in logs and as a label of metrics */
    const char *data_dir; /* the task's folder: the store's, and that of the log or the journal */
    uint16_t hub_index;   /* this hub */
    /* The task's policy. The driver reads it when a round is opened or signed, and when it starts;
     * mr_lead_driver_set_policy and mr_helper_driver_set_policy put another one in its place. */
    const struct mr_config_round *round;
    /* Which terms are accepted; NULL: all. The driver reads it when a round is opened or signed;
     * mr_lead_driver_set_accept and mr_helper_driver_set_accept put another one in its place. */
    const struct mr_config_accept *accept;
    /* How much of the task stays on the disk; NULL: all, and nobody looks how full the disk is.
     * Another comes by mr_lead_driver_set_keep and mr_helper_driver_set_keep. */
    const struct mr_config_keep *keep;
    /* The noise of its rounds, and the devices' budget; NULL: none, and as a helper whatever
     * `accept` takes. */
    const struct mr_config_privacy *privacy;
    const struct mr_announced_hub *hubs; /* the task's, pinned, in list order: the first leads */
    unsigned hubs_count;
    const struct mr_h2_endpoint *endpoints; /* by position in `hubs`; a lead dials all but itself */
    struct mr_upload_plane *plane;          /* the hub's; NULL where it leads nothing */
    uint64_t share_bytes_max;               /* a helper signs no round with larger shares */
    const uint8_t *private_key;             /* Ed25519 seed */
    /* Of the task: how its models are marked, NULL or of strength 0: not; and this hub's part of
     * the key, NULL where there is no mark. */
    const struct mr_watermark_terms *watermark;
    const uint8_t *mark_part;
    struct mr_loop *loop;
    struct mr_log *log;
    struct mr_store *store;
    struct mr_released *released; /* the hub's, of all its tasks */
    struct mr_task_age *age;      /* whether this hub is older than itself; NULL: nobody knows */
    const struct mr_kernels *kernels;
    /* Something without which the hub must not go on (a disk that does not sync). */
    void (*fatal)(void *context, const char *text);
    void *fatal_context;
    /* A round has made the next model, which is not stored yet, nor agreed on; whoever needs it
     * longer than the call holds it. NULL: nobody wants to know. */
    void (*made)(void *context, struct mr_made_model *made);
    void *made_context;
    /* Whether the CA took a certificate back; NULL: nobody knows. */
    bool (*revoked)(void *context, const struct mr_serial *serial);
    void *revoked_context;
};

/* Stops the hub: what failed, and why. */
void mr_round_fatal(const struct mr_round_context *context, const char *what,
                    const struct mr_error *error);

#endif
