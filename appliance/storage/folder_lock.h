/* folder_lock.h - one process owns a folder, on this machine and on others that mount it.
 *
 * The lock is on the file `lock` in the folder: a byte-range lock of the open file (fcntl,
 * F_OFD_SETLK), which local file systems and NFS keep alike, containers on one volume see, and the
 * kernel lets go of when the process ends, however it ends. What the file says of its holder is for
 * people only. docs/decisions/0025-one-owner.md. */
#ifndef MR_STORAGE_FOLDER_LOCK_H
#define MR_STORAGE_FOLDER_LOCK_H

#include "base/error.h"

struct mr_folder_lock;

/* The folder must be there. 0; 1: another process has it, and the text says which one and what to
 * do; -1: the lock cannot be taken at all. mr_folder_unlock is owed for 0. Never waits. */
int mr_folder_lock(struct mr_folder_lock **lock, const char *folder, struct mr_error *error);
void mr_folder_unlock(struct mr_folder_lock *lock); /* NULL allowed */

#endif
