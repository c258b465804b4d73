/* crowd_figures.h - what uploads of 2,000 devices cost beside those of 20, as samples of udp_bench.
 */
#ifndef MR_PERF_CROWD_FIGURES_H
#define MR_PERF_CROWD_FIGURES_H

#include "perf/figures.h"

/* Once, before the first sample: as many open files as this process may have. */
void mr_crowd_figures_prepare(void);
/* One sample of each figure. Ends the program where an upload is lost or a sum is wrong. */
void mr_crowd_figures_sample(struct mr_figures *figures);

#endif
