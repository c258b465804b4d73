#include "appliance/model/rollout_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json_text.h"

#define HUNDRED 100

void mr_rollout_about_of(struct mr_rollout_about *about, const uint8_t *manifest, size_t length)
{
    struct mr_release release;
    if (mr_release_decode(&release, manifest, length, NULL) != 0) {
        return;
    }
    *about = (struct mr_rollout_about){.known = true,
                                       .bytes = release.target_bytes,
                                       .expires_s = release.expires_s,
                                       .included = release.included,
                                       .epsilon = (double)release.epsilon};
    memcpy(about->model, release.target_hash, MR_HASH_BYTES);
}

/* An older release goes no further: who asks gets the newest. */
static const char *state_of(const struct mr_rollout *rollout, bool newest)
{
    return newest || rollout->state == MR_ROLLOUT_WITHDRAWN ? mr_rollout_state_name(rollout->state)
                                                            : "superseded";
}

static json_t *hex_of(const uint8_t hash[MR_HASH_BYTES])
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    return mr_json_text(hex);
}

json_t *mr_rollout_row(const struct mr_rollout *rollout, const struct mr_rollout_about *about,
                       bool newest, const struct mr_rollout_policy *policy)
{
    char version[48];
    snprintf(version, sizeof version, "%" PRIu64 ".%" PRIu32, rollout->version.round,
             rollout->version.step);
    json_t *row = json_pack("{s:o, s:o, s:i, s:I, s:I, s:I, s:o}", "version", mr_json_text(version),
                            "state", mr_json_text(state_of(rollout, newest)), "percent",
                            newest ? mr_rollout_fraction(rollout, policy) / HUNDRED : 0, "kept",
                            (json_int_t)rollout->counts[MR_RELEASE_KEPT], "went_back",
                            (json_int_t)rollout->counts[MR_RELEASE_WENT_BACK], "failed",
                            (json_int_t)rollout->counts[MR_RELEASE_FAILED], "release",
                            hex_of(rollout->release));
    if (row && newest && rollout->state == MR_ROLLOUT_GOING && rollout->step < policy->steps.tags) {
        json_object_set_new(row, "tag", mr_json_text(policy->steps.tag[rollout->step]));
    }
    if (row && about && about->known) {
        json_object_set_new(row, "model_hash", hex_of(about->model));
        json_object_set_new(row, "bytes", json_integer((json_int_t)about->bytes));
        json_object_set_new(row, "included", json_integer((json_int_t)about->included));
        json_object_set_new(row, "epsilon", mr_json_real(about->epsilon));
    }
    return row;
}
