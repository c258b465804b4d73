/* rollouts.h - the roll-out of a task's newest release at this hub: what is known of it is on the
 * disk before it is answered, and what may go on is decided when somebody asks.
 *
 * Loop's thread only; files are a job's. */
#ifndef MR_MODEL_ROLLOUTS_H
#define MR_MODEL_ROLLOUTS_H

#include <jansson.h>

#include "appliance/model/rollout.h"
#include "appliance/observe/log.h"
#include "appliance/runtime/job.h"
#include "wire/refusal.h"

struct mr_release_times;
struct mr_rollouts;

/* What is pointed at is the caller's and stays until _close. */
struct mr_rollouts_config {
    const char *task, *data_dir; /* the task's */
    const struct mr_config_releases *policy;
    struct mr_job_thread *jobs; /* closed by the owner between _halt and _close */
    struct mr_log *log;
    struct mr_release_times *times; /* hears when devices keep a release */
};

/* 0 or -1. */
int mr_rollouts_open(struct mr_rollouts **rollouts, const struct mr_rollouts_config *config,
                     struct mr_error *error);
void mr_rollouts_halt(struct mr_rollouts *rollouts);  /* nothing is taken any more */
void mr_rollouts_close(struct mr_rollouts *rollouts); /* NULL allowed */
/* Reads the file of tags again; where it cannot be read, devices keep the tags that they had. */
void mr_rollouts_set_policy(struct mr_rollouts *rollouts, const struct mr_config_releases *policy);

/* That release is the newest; nothing where it was already. */
void mr_rollouts_begin(struct mr_rollouts *rollouts, const uint8_t release[MR_HASH_BYTES],
                       const struct mr_release_version *version, uint64_t now_s);
/* How many devices may have it, in ten-thousandths, as that device is told: all where one of its
 * tags may. NULL: nobody in particular. Goes on or stops where it is time. */
uint16_t mr_rollouts_fraction(struct mr_rollouts *rollouts, const uint8_t *client_id,
                              uint64_t now_s);

/* `refusal` NULL: it is on the disk. `answer`, where it has one, is owed a json_decref. */
typedef void (*mr_rollouts_answer_fn)(void *token, const struct mr_refusal *refusal,
                                      json_t *answer);

/* A device's word of a release; answered without `answer`. */
void mr_rollouts_hear(struct mr_rollouts *rollouts, const uint8_t release[MR_HASH_BYTES],
                      const uint8_t client_id[MR_CLIENT_ID_BYTES], enum mr_release_outcome outcome,
                      uint64_t now_s, mr_rollouts_answer_fn fn, void *token);

enum mr_rollout_order { MR_ROLLOUT_ORDER_HOLD, MR_ROLLOUT_ORDER_GO_ON, MR_ROLLOUT_ORDER_WITHDRAW };
/* An operator's; `by` goes into the log. Answered with the release as _list shows it. */
void mr_rollouts_order(struct mr_rollouts *rollouts, enum mr_rollout_order order, const char *by,
                       uint64_t now_s, mr_rollouts_answer_fn fn, void *token);
/* An array, the newest first. */
void mr_rollouts_list(struct mr_rollouts *rollouts, unsigned most, uint64_t now_s,
                      mr_rollouts_answer_fn fn, void *token);

/* What is so now; `known` false: there is no release. Valid until the next call. */
const struct mr_rollout *mr_rollouts_newest(const struct mr_rollouts *rollouts);

#endif
