/* wait.h - which results `millrace-edge run` waits out, and which end it. */
#ifndef MR_EDGE_CLI_WAIT_H
#define MR_EDGE_CLI_WAIT_H

#include <stdbool.h>

#include "edge-client/include/millrace_edge.h"

enum mr_edge_next {
    MR_EDGE_ROUND_OVER, /* for this device; the next one follows */
    MR_EDGE_WAIT,       /* nothing is decided: the same is asked again after a pause */
    MR_EDGE_END,        /* waiting mends nothing that this command can see */
};

/* What comes after a round's result. `endless`: the command runs without --rounds, so that nobody
 * may be there to start it again. */
enum mr_edge_next mr_edge_next(const struct mre_outcome *outcome, bool endless);

/* The most between two questions, in ms, and what is waited for, in words. */
unsigned mr_edge_pause_max_ms(enum mre_result result);
const char *mr_edge_waits_for(enum mre_result result);

#endif
