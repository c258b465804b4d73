/* rounding_report.h - what rounding cost a round's update, in the log, and whether the announced
 * step is the rule's. */
#ifndef MR_ROUND_DRIVE_ROUNDING_REPORT_H
#define MR_ROUND_DRIVE_ROUNDING_REPORT_H

#include "appliance/observe/log.h"
#include "appliance/round/drive/summary.h"
#include "wire/announcement.h"

/* A round whose sum is opened: a line of what was lost, a warning with the remedy where that is too
 * much (wire/quantiser.h). */
void mr_rounding_report(struct mr_log *log, const char *task,
                        const struct mr_round_summary *summary, const struct mr_round_terms *terms);

/* The same for a device of that round, which hears of its end: `text` gets what rounding cost where
 * it is too much, in printable ASCII; else "". */
void mr_rounding_warning(char *text, size_t capacity, const struct mr_round_summary *summary);

/* A round that this hub has signed: says so where it would have taken another step. */
void mr_rounding_report_terms(struct mr_log *log, const char *task,
                              const struct mr_round_terms *terms,
                              const struct mr_norm_memory *memory);

#endif
