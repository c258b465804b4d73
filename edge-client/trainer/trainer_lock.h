/* trainer_lock.h - one trainer at a time on the files of a data_dir, also across processes of this
 * device (inside trainer/ only).
 *
 * The lock is an open file that the trainer and all that it starts inherit, so it is held as long
 * as one of them runs. A device that was killed may leave some behind for a moment; whoever still
 * has the lock after that is found by it, in /proc, and killed: nobody but a trainer of this
 * data_dir can have it. */
#ifndef MRE_TRAINER_TRAINER_LOCK_H
#define MRE_TRAINER_TRAINER_LOCK_H

#include "base/error.h"

/* The lock of that data_dir, for the caller to give up by mr_lock_release, or to close where some
 * that inherited it may be left; or -1: somebody has it whom this device
 * cannot kill. Blocks for some seconds at most. */
int mr_trainer_lock(const char *data_dir, struct mr_error *error);

#endif
