/* disk.h - a node's disk: a flat set of files under /sim/NODE/, with what is on the platter and
 * what is only in the page cache kept apart. The real code reaches it by open, pwrite, fdatasync,
 * rename, …
 *
 * A write reaches the platter with a sync of its file, a rename or a creation with a sync of its
 * folder. SIGKILL keeps the cache. At a power loss, of what was not synced each file's writes are
 * kept, lost or torn by chance, and renames up to some point in their order. */
#ifndef MR_TESTS_SIM_DISK_H
#define MR_TESTS_SIM_DISK_H

#include "tests/sim/sim.h"

struct sim_disk *sim_disk_open(struct sim_node *node);
void sim_disk_close(struct sim_disk *disk);

/* A file that is simply there, synced. Path relative to the node's folder. */
void sim_disk_put(struct sim_disk *disk, const char *name, const void *bytes, size_t length);
/* The bytes as a reader would see them now; NULL: no such file. */
const uint8_t *sim_disk_look(const struct sim_disk *disk, const char *name, size_t *length);
/* What a folder of another disk holds and this one lacks, as an operator would copy it. */
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from, const char *folder);

/* A copy of every file, as a program sees them now, in place of the one before. */
void sim_disk_back_up(struct sim_disk *disk);
bool sim_disk_has_copy(const struct sim_disk *disk);
/* Every file is one of that copy, and a new one by its identity. The copy stays. */
void sim_disk_put_back(struct sim_disk *disk);

void sim_disk_power_loss(struct sim_disk *disk);
void sim_disk_wipe(struct sim_disk *disk);
/* Descriptors of a process that is gone. */
void sim_disk_forget_descriptors(struct sim_node *node);

/* --- faults ---------------------------------------------------------------------------------- */
void sim_disk_set_full(struct sim_disk *disk, bool full);
void sim_disk_fail_write(struct sim_disk *disk); /* the next one */
void sim_disk_fail_sync(struct sim_disk *disk);  /* the next one */
/* The machine dies in the middle of the n-th operation from now. */
void sim_disk_kill_at(struct sim_disk *disk, unsigned n);
void sim_disk_repair(struct sim_disk *disk);

struct sim_files *sim_files_open(void);
void sim_files_close(struct sim_files *files);

#endif
