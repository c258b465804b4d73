/* rollout.h - how far one release may go: which tags and which part of the devices may have it,
 * what they report of it, and when it goes on or stops. Pure: the time is an argument, and what has
 * to outlive a crash are records that the caller writes (rollout_log.h).
 * docs/decisions/0054-roll-out.md. */
#ifndef MR_MODEL_ROLLOUT_H
#define MR_MODEL_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/config/hub_config.h"
#include "wire/release.h"

#define MR_ROLLOUT_VOICES_MAX   65536u /* devices whose word is kept */
#define MR_ROLLOUT_RECORD_BYTES 32

/* Only an operator's word leads out of the last three; out of the last one nothing does. */
enum mr_rollout_state {
    MR_ROLLOUT_GOING,
    MR_ROLLOUT_STOPPED, /* by itself: too many devices are not well with it */
    MR_ROLLOUT_HELD,    /* by an operator, or because the release before it was stopped or held */
    MR_ROLLOUT_WITHDRAWN,
    MR_ROLLOUT_STATES
};
const char *mr_rollout_state_name(enum mr_rollout_state state);

struct mr_rollout_policy {
    struct mr_config_rollout steps;
    uint32_t step_s, kept_min, reports_min, failures_percent;
};
/* With the defaults where a config that was made by hand says 0. */
void mr_rollout_policy_of(struct mr_rollout_policy *policy,
                          const struct mr_config_releases *config);

struct mr_rollout_voice {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint8_t outcome; /* 1 + enum mr_release_outcome; 0: nobody */
};

struct mr_rollout {
    bool known; /* there is a release */
    uint8_t release[MR_HASH_BYTES];
    struct mr_release_version version;
    enum mr_rollout_state state;
    unsigned step;
    uint64_t since_s; /* this step */
    uint16_t peak;    /* the most devices that could have it at any time, in ten-thousandths */
    uint8_t tags;     /* the tags that could have it at any time, a bit each */
    uint32_t counts[MR_RELEASE_OUTCOMES];
    /* What an operator has seen and went on all the same. */
    uint32_t forgiven_bad, forgiven_all;
    struct mr_rollout_voice *voices; /* open addressing; a power of two */
    size_t room;
};

/* A release that is new: it begins with the first step, or held where the one before was stopped or
 * held. What `rollout` had is gone. */
void mr_rollout_begin(struct mr_rollout *rollout, const uint8_t release[MR_HASH_BYTES],
                      const struct mr_release_version *version, uint64_t now_s);
void mr_rollout_fini(struct mr_rollout *rollout);

/* How many devices may have it now, in ten-thousandths. */
uint16_t mr_rollout_fraction(const struct mr_rollout *rollout,
                             const struct mr_rollout_policy *policy);
/* The tags whose devices may have it now, whatever that fraction says: a bit each, in the order of
 * the policy. */
uint8_t mr_rollout_tags(const struct mr_rollout *rollout, const struct mr_rollout_policy *policy);

enum mr_rollout_change { MR_ROLLOUT_SAME, MR_ROLLOUT_NEXT_STEP, MR_ROLLOUT_STOP };
/* By the time and by what was reported: at most one step. */
enum mr_rollout_change mr_rollout_turn(struct mr_rollout *rollout,
                                       const struct mr_rollout_policy *policy, uint64_t now_s);

enum mr_rollout_heard {
    MR_ROLLOUT_HEARD,    /* to be written */
    MR_ROLLOUT_REPEATED, /* it had said so before */
    MR_ROLLOUT_NOT_LET,  /* it was never among those who may have it */
    MR_ROLLOUT_NO_ROOM,  /* so many devices are not counted */
    MR_ROLLOUT_NO_MEMORY,
};
/* One voice a device, which has these tags; the last word counts. Where all places are taken, one
 * that is not well takes the place of one that is. */
enum mr_rollout_heard mr_rollout_hear(struct mr_rollout *rollout,
                                      const uint8_t client_id[MR_CLIENT_ID_BYTES], uint8_t tags,
                                      enum mr_release_outcome outcome);

/* An operator's word. False: the state does not allow it. */
bool mr_rollout_hold(struct mr_rollout *rollout);
bool mr_rollout_go_on(struct mr_rollout *rollout, uint64_t now_s);
bool mr_rollout_withdraw(struct mr_rollout *rollout);

/* --- records ----------------------------------------------------------------------------------
 * Of the last two the bytes written; `record` has MR_ROLLOUT_RECORD_BYTES. */
/* All that is known, so that it is there whole or not at all; malloc'd, NULL: out of memory. */
uint8_t *mr_rollout_record_all(const struct mr_rollout *rollout, size_t *length);
size_t mr_rollout_record_state(uint8_t *record, const struct mr_rollout *rollout);
size_t mr_rollout_record_voice(uint8_t *record, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                               enum mr_release_outcome outcome);
/* What a record says is so. 0; -1: it is none, or there is no memory. */
int mr_rollout_replay(struct mr_rollout *rollout, const uint8_t *record, size_t length);

#endif
