/* lead_log.h - the lead's commit states in their log: encoded and parsed here, kept as bytes there.
 * One thread at a time. */
#ifndef MR_ROUND_DRIVE_LEAD_LOG_H
#define MR_ROUND_DRIVE_LEAD_LOG_H

#include "appliance/round/lead/commit_state.h"
#include "appliance/storage/commit_log.h"

extern const struct mr_commit_log_form mr_lead_log_form;

/* As mr_commit_log_open, with the newest state parsed. A newest generation that is whole and cannot
 * be taken is an error (-1): what it calls committed was told. mr_commit_read_fini is owed for 0.
 */
int mr_lead_log_open(struct mr_commit_log **log, const struct mr_disk *disk,
                     struct mr_commit_read *newest, struct mr_error *error);

/* Writes the state durably. -1: nothing may be called committed any more. */
int mr_lead_log_write(struct mr_commit_log *log, const struct mr_commit_state *state,
                      struct mr_error *error);

#endif
