/* release_times.h - how long a hub takes from a model that is current to a release that devices can
 * pull, and from there to devices that keep it. */
#ifndef MR_MODEL_RELEASE_TIMES_H
#define MR_MODEL_RELEASE_TIMES_H

#include <stdint.h>

#include "appliance/observe/histogram.h"
#include "wire/release.h"

enum mr_release_stage {
    MR_RELEASE_STAGE_MAKE,  /* the manifest: hashes of the model's blocks, durable */
    MR_RELEASE_STAGE_SIGN,  /* this hub's signature, and its word that it is the newest */
    MR_RELEASE_STAGE_DELTA, /* from the model that it was made from, before anybody asks; begun
                               before the release */
    MR_RELEASE_STAGES,
};
extern const char *const mr_release_stage_names[MR_RELEASE_STAGES];

struct mr_release_times {
    struct mr_release_version version; /* of the newest that this process made; 0.0: none */
    uint64_t began_us;                 /* when its model was current */
    uint64_t since_us;                 /* when the running stage began */
    uint32_t us[MR_RELEASE_STAGES];    /* 0: not over yet, or there was none; else at least 1 */
    uint64_t
        kept_us; /* from began_us to the last device's report so far that it keeps it; 0: none */
    struct mr_histogram histograms[MR_RELEASE_STAGES]; /* of all that this process made */
    struct mr_histogram kept;                          /* of each such report */
};

void mr_release_times_begin(struct mr_release_times *times);
/* That stage is over, and the next one begins. */
void mr_release_times_end(struct mr_release_times *times, enum mr_release_stage stage);
/* A device has reported for the first time that it keeps that release; nothing where it is not the
 * newest that this process made. */
void mr_release_times_kept(struct mr_release_times *times,
                           const struct mr_release_version *version);
/* Samples of the family millrace_release_stage_seconds. */
void mr_release_times_metrics(const struct mr_release_times *times, const char *task,
                              struct mr_metrics *metrics);
/* … and of millrace_release_kept_seconds. */
void mr_release_times_kept_metrics(const struct mr_release_times *times, const char *task,
                                   struct mr_metrics *metrics);

#endif
