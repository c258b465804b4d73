/* disk_internal.h - a disk's inside, shared by disk.c and files.c. */
#ifndef MR_TESTS_SIM_DISK_INTERNAL_H
#define MR_TESTS_SIM_DISK_INTERNAL_H

#include "tests/sim/disk.h"

#define NAME_BYTES  128
#define CHANGES_MAX 4096 /* a planted defect that forgets syncs gathers this many */

struct content {
    uint8_t *bytes; /* one more than length */
    size_t length;
};

/* In the cache, not on the platter. */
struct pending_write {
    struct pending_write *next;
    size_t at, length;
    bool truncate;
    uint8_t bytes[];
};

struct file {
    struct file *next;
    struct content cached, platter;
    struct pending_write *first, *last;
};

struct entry {
    char name[NAME_BYTES];
    struct file *cached, *platter; /* NULL: not there */
};

struct change {
    char name[NAME_BYTES];
    struct file *file;
    bool with_next; /* happens together with the next one */
};

struct sim_disk {
    struct sim_node *node;
    struct file *files; /* every one there ever was */
    struct entry *entries;
    unsigned entry_count, entry_capacity;
    struct change changes[CHANGES_MAX]; /* of folders, not synced yet, in order */
    unsigned change_count;
    uint64_t slow_us; /* a sync takes up to so long */
    unsigned kill_at; /* 0: not */
    bool full, fail_write, fail_sync;
    struct copied {
        char name[NAME_BYTES];
        struct content content;
    } * copy; /* NULL: none */
    unsigned copy_count;
    unsigned copies; /* how often all of it was put back from a copy of its files */
};

struct entry *disk_entry(struct sim_disk *disk, const char *name, bool make);
struct file *disk_create(struct sim_disk *disk, const char *name);
void disk_unlink(struct sim_disk *disk, const char *name);
void disk_rename(struct sim_disk *disk, const char *from, const char *to);
void disk_write(struct file *file, size_t at, const void *bytes, size_t length);
void disk_truncate(struct file *file, size_t length);
void disk_sync_file(struct file *file, bool works);
void disk_sync_folder(struct sim_disk *disk, const char *folder);

#endif
