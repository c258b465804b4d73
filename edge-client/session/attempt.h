/* attempt.h - one attempt to get a prepared vector into a round: fresh seeds, frozen share,
 * receipts, grant, upload, committed (inside session/). Survives restarts of every hub. */
#ifndef MR_SESSION_ATTEMPT_H
#define MR_SESSION_ATTEMPT_H

#include "edge-client/session/client.h"
#include "edge-client/share/prepare.h"

/* What stays the same over a round's attempts. */
struct mr_round_work {
    struct mr_round_terms terms;
    float *vector; /* lanes floats: weighted, clipped, rotated */
    float *delta;  /* D floats as trained, only where vectors are dumped; else NULL */
    uint32_t trailer[MR_TRAILER_LANES_MAX];
    struct mr_metric_values metrics;
    struct mr_error note; /* for the outcome's warning, beside that of the rounding; or "" */
};

/* What to do after an attempt that did not commit. */
enum mr_attempt_next {
    MR_ATTEMPT_DONE,      /* outcome stands */
    MR_ATTEMPT_AGAIN,     /* a new attempt may succeed */
    MR_ATTEMPT_OVER_HTTP2 /* likewise, but UDP does not get through */
};

/* Makes attempt number `attempt`. Blocks at most until the deadline and the grace after it. */
enum mr_attempt_next mr_attempt_run(struct mre_client *client, struct mr_round_work *work,
                                    uint32_t attempt, enum mr_transport transport,
                                    struct mre_outcome *outcome);

#endif
