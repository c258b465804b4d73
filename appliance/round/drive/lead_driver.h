/* lead_driver.h - the lead at work: its state machine with a clock, threads, files, the upload
 * plane and the other hubs around it. Everything here is called on the loop's thread. */
#ifndef MR_ROUND_DRIVE_LEAD_DRIVER_H
#define MR_ROUND_DRIVE_LEAD_DRIVER_H

#include "appliance/config/hub_config.h"
#include "appliance/observe/metrics.h"
#include "appliance/round/drive/early_stop.h"
#include "appliance/round/drive/keeper.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/round/drive/resume.h"
#include "appliance/round/drive/round_params.h"
#include "appliance/round/drive/store_desk.h"
#include "appliance/round/drive/round_history.h"
#include "appliance/round/lead/lead.h"
#include "appliance/upload/plane.h"

struct mr_audit_shelf;
struct mr_lead_driver;
struct mr_recovered;

/* To the control plane: answers of kept requests, and news that waiting requests may want. */
struct mr_lead_listener {
    void (*admitted)(void *context, void *token, const struct mr_upload_grant *grant);
    void (*refused)(void *context, void *token, const struct mr_refusal *refusal);
    void (*changed)(void *context); /* a round or an upload: look again, but not from inside */
    void (*resumed)(void *context, void *token, const uint8_t *model_hash);
    /* The task goes on, or (`halted`) does so with the hub's next start. */
    void (*recovered)(void *context, void *token, const struct mr_recovered *recovered,
                      bool halted);
    void *context;
};

int mr_lead_driver_open(struct mr_lead_driver **run, const struct mr_round_context *context,
                        const struct mr_lead_listener *listener, struct mr_error *error);
/* Three steps to the end. _halt: nothing new begins, the round stays as it is on the disk. _join:
 * threads end, which may take until another hub has answered or its time is up; on any thread.
 * Their last answers come with the loop's next run; then _close. _stop is _halt and _join. */
void mr_lead_driver_halt(struct mr_lead_driver *run);
void mr_lead_driver_join(struct mr_lead_driver *run);
void mr_lead_driver_stop(struct mr_lead_driver *run);
void mr_lead_driver_close(struct mr_lead_driver *run);

/* The task's policy from the next round on; a round that is under way ends under the one that it
 * began with. Kept by the caller until the next call. */
void mr_lead_driver_set_policy(struct mr_lead_driver *run, const struct mr_config_round *round);

/* Which terms this hub accepts, its own too, from the next round on; kept by the caller until the
 * next call. */
void mr_lead_driver_set_accept(struct mr_lead_driver *run, const struct mr_config_accept *accept);

/* How much of the task stays on the disk, from now on; kept by the caller until the next call. */
void mr_lead_driver_set_keep(struct mr_lead_driver *run, const struct mr_config_keep *keep);

/* Where the other hubs are and with which files they are dialled, for connections from now on; kept
 * by the caller. By position, as round_context.h's. */
void mr_lead_driver_set_endpoints(struct mr_lead_driver *run,
                                  const struct mr_h2_endpoint *endpoints);

struct mr_lead *mr_lead_driver_core(struct mr_lead_driver *run);
uint64_t mr_lead_driver_now_ms(const struct mr_lead_driver *run);

/* How long a device that asks for an upload over UDP is to wait (mr_upload_plane_hold_ms); 0: not
 * at all, whether it is admitted or refused then. */
uint32_t mr_lead_driver_hold_ms(const struct mr_lead_driver *run);

/* Opens the next round from the current model. On OK *round is its number. */
enum mr_refusal_code mr_lead_driver_begin(struct mr_lead_driver *run,
                                          const struct mr_round_params *params, uint64_t *round,
                                          struct mr_refusal *refusal);

/* Makes the next version from the one before (resume.h); answered by the listener's `resumed`. */
enum mr_refusal_code mr_lead_driver_resume(struct mr_lead_driver *run,
                                           const struct mr_resume_wish *wish, void *token,
                                           struct mr_refusal *refusal);

/* Whether the task's rule on a metric has stopped it (early_stop.h): no round opens by itself. True
 * with the reason. */
bool mr_lead_driver_stopped(const struct mr_lead_driver *run, char why[MR_EARLY_STOP_WHY]);
/* What was evaluated so far counts no more, durably, and rounds open again. */
enum mr_refusal_code mr_lead_driver_go_on(struct mr_lead_driver *run, struct mr_refusal *refusal);

/* What proofs come from. */
const struct mr_audit_shelf *mr_lead_driver_shelf(const struct mr_lead_driver *run);

/* Whether this hub is older than itself in the task: nothing else may be asked of the driver then,
 * but reports, to recover, and its end. True with the refusal filled. */
bool mr_lead_driver_older(const struct mr_lead_driver *run, struct mr_refusal *refusal);
/* Refuses with what it costs where that was not accepted (recovery.h); answered by the listener's
 * `recovered`. */
enum mr_refusal_code mr_lead_driver_recover(struct mr_lead_driver *run, bool accepted, void *token,
                                            struct mr_refusal *refusal);
/* What operators ask of the task's store; NULL: the hub stops. */
struct mr_store_desk *mr_lead_driver_store_desk(struct mr_lead_driver *run);

/* NULL: the context has no limits. */
struct mr_keeper *mr_lead_driver_keeper(struct mr_lead_driver *run);

/* Whether this hub has not opened the round and never will, signed. The summary is one of the
 * history, or of the round's record: either says `void` only once that is durable. */
bool mr_lead_driver_unopened(const struct mr_lead_driver *run,
                             const struct mr_round_summary *summary,
                             uint8_t signature[MR_SIGNATURE_BYTES]);

/* --- reports --------------------------------------------------------------------------------- */
/* The newest rounds, also of earlier processes; the newest last, the current one among them. */
const struct mr_round_history *mr_lead_driver_history(const struct mr_lead_driver *run);
/* Of all tasks that this hub leads: one family each, one sample a task. */
void mr_lead_driver_metrics(struct mr_lead_driver *const *runs, unsigned count,
                            struct mr_metrics *metrics);

#endif
