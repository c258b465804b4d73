/* rollout_log.h - where roll-outs are written: releases/rollout/000001.log, … in the task's folder,
 * one file for each release (storage/append_log.h), whose first entry is all that was known then.
 * One thread at a time. */
#ifndef MR_MODEL_ROLLOUT_LOG_H
#define MR_MODEL_ROLLOUT_LOG_H

#include "appliance/model/rollout.h"

#define MR_ROLLOUT_FILES_KEPT 32u /* older ones are removed */

struct mr_rollout_log;

/* Makes the folder where there is none; *rollout, which is empty, becomes what was written last. 0
 * or -1. */
int mr_rollout_log_open(struct mr_rollout_log **log, const char *data_dir,
                        struct mr_rollout *rollout, struct mr_error *error);
void mr_rollout_log_close(struct mr_rollout_log *log); /* NULL allowed */

/* Synced when it returns. -1: nothing of it counts, and only _anew may follow. */
int mr_rollout_log_write(struct mr_rollout_log *log, const uint8_t *const *records,
                         const size_t *lengths, unsigned count, struct mr_error *error);
/* A new file that begins with that record of all. 0 or -1. */
int mr_rollout_log_anew(struct mr_rollout_log *log, const uint8_t *record, size_t length,
                        struct mr_error *error);
/* What a write may follow: the last file is whole. */
bool mr_rollout_log_is_whole(const struct mr_rollout_log *log);

/* Up to `most` roll-outs, the newest first, each in *rollouts (mr_rollout_fini is owed). Reads
 * files only: on any thread, beside a writer. Returns how many. */
unsigned mr_rollout_log_read(const char *data_dir, struct mr_rollout *rollouts, unsigned most);

#endif
