/* lead_driver.h - the lead at work: its state machine with a clock, threads, files, the upload
 * plane and the other hubs around it. Everything here is called on the loop's thread. */
#ifndef MR_ROUND_DRIVE_LEAD_DRIVER_H
#define MR_ROUND_DRIVE_LEAD_DRIVER_H

#include "appliance/config/hub_config.h"
#include "appliance/model/store.h"
#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"
#include "appliance/round/lead/lead.h"
#include "appliance/runtime/loop.h"
#include "appliance/upload/plane.h"
#include "kernels/kernels.h"

struct mr_lead_driver;

/* What the round's roles share; all kept by the caller. */
struct mr_round_context {
    const char *task; /* its name */
    const struct mr_hub_config *config;
    const struct mr_announced_hub *hubs; /* pinned, in list order */
    unsigned hubs_count;
    const uint8_t *private_key; /* Ed25519 seed */
    struct mr_loop *loop;
    struct mr_log *log;
    struct mr_store *store;
    const struct mr_kernels *kernels;
    /* Something without which the hub must not go on (a disk that does not sync). */
    void (*fatal)(void *context, const char *text);
    void *fatal_context;
    /* Whether the CA took a certificate back; NULL: nobody knows. */
    bool (*revoked)(void *context, const struct mr_serial *serial);
    void *revoked_context;
};

/* To the control plane: answers of kept requests, and news that waiting requests may want. */
struct mr_lead_listener {
    void (*admitted)(void *context, void *token, const struct mr_upload_grant *grant);
    void (*refused)(void *context, void *token, const struct mr_refusal *refusal);
    void (*changed)(void *context); /* a round or an upload: look again, but not from inside */
    void *context;
};

int mr_lead_driver_open(struct mr_lead_driver **run, const struct mr_round_context *context,
                        const struct mr_lead_listener *listener, struct mr_error *error);
/* First _stop: threads end, nothing new begins; their last answers come with the loop's next run.
 * Then _close. */
void mr_lead_driver_stop(struct mr_lead_driver *run);
void mr_lead_driver_close(struct mr_lead_driver *run);

struct mr_lead *mr_lead_driver_core(struct mr_lead_driver *run);
struct mr_upload_plane *mr_lead_driver_plane(struct mr_lead_driver *run);
uint64_t mr_lead_driver_now_ms(const struct mr_lead_driver *run);
/* The wall clock, also of a helper. */
uint64_t mr_round_unix_ms(void);

/* A round stays open no longer, whatever the configuration or an operator says (hub_options.def has
 * the same number); helpers sign nothing longer. */
#define MR_ROUND_DEADLINE_MS_MAX UINT32_C(604800000)

/* What one round is opened with; begins as the configuration says. */
struct mr_round_params {
    uint32_t quorum, deadline_ms, cohort_min, cohort_max, weight_max;
    uint8_t ring_bits, rotation_log2;
    uint16_t chunk_bytes;
    float scale, clip_norm;
    char training[MR_TRAINING_MAX + 1];
};
void mr_round_params_init(struct mr_round_params *params, const struct mr_config_round *config);

/* Opens the next round from the current model. On OK *round is its number. */
enum mr_refusal_code mr_lead_driver_begin(struct mr_lead_driver *run,
                                          const struct mr_round_params *params, uint64_t *round,
                                          struct mr_refusal *refusal);

/* --- reports --------------------------------------------------------------------------------- */
/* Rounds of this process, newest last; the current one is among them. */
#define MR_ROUND_HISTORY_MAX 256
struct mr_round_history {
    struct mr_lead_report report;
    uint64_t opened_unix_ms; /* 0: not yet */
};
unsigned mr_lead_driver_history(const struct mr_lead_driver *run, struct mr_round_history *list,
                                unsigned list_max);
/* 0, or -1 if the round is not one of this process (or too long ago). */
int mr_lead_driver_round(const struct mr_lead_driver *run, uint64_t round,
                         struct mr_round_history *past);
void mr_lead_driver_metrics(const struct mr_lead_driver *run, struct mr_metrics *metrics);

#endif
