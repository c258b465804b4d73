/* commit_log.h - the lead's commit log on a disk: two files, commit-0 and commit-1, written in
 * turn, so that a torn write leaves the generation before whole. One thread at a time. */
#ifndef MR_STORAGE_COMMIT_LOG_H
#define MR_STORAGE_COMMIT_LOG_H

#include "appliance/round/lead/commit_state.h"
#include "appliance/storage/disk.h"

struct mr_commit_log;

/* Reads the newest generation that is whole into *newest. 0; 1 if there is none (with a text if
 * there is a file, but not a whole one of this version); -1 on a disk that cannot be read, or
 * without memory. What was read may never have been synced: whoever goes on from it writes it anew
 * first. mr_commit_read_fini is owed for 0. */
int mr_commit_log_open(struct mr_commit_log **log, const struct mr_disk *disk,
                       struct mr_commit_read *newest, struct mr_error *error);
void mr_commit_log_close(struct mr_commit_log *log); /* NULL allowed */

/* Writes the next generation and syncs it. -1: nothing may be called committed any more. */
int mr_commit_log_write(struct mr_commit_log *log, const struct mr_commit_state *state,
                        struct mr_error *error);

#endif
