/* disk.c - files, and what a power loss leaves of them. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_internal.h"
#include "base/assert.h"

/* --- bytes ----------------------------------------------------------------------------------- */

static void content_resize(struct content *content, size_t length)
{
    content->bytes = realloc(content->bytes, length + 1);
    MR_ASSERT(content->bytes);
    if (length > content->length) {
        memset(content->bytes + content->length, 0, length - content->length);
    }
    content->length = length;
}

static void content_copy(struct content *to, const struct content *from)
{
    content_resize(to, from->length);
    if (from->length) {
        memcpy(to->bytes, from->bytes, from->length);
    }
}

static void content_write(struct content *content, size_t at, const void *bytes, size_t length)
{
    if (at + length > content->length) {
        content_resize(content, at + length);
    }
    if (length) {
        memcpy(content->bytes + at, bytes, length);
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static struct file *file_new(struct sim_disk *disk)
{
    struct file *file = calloc(1, sizeof *file);
    MR_ASSERT(file);
    file->next = disk->files;
    disk->files = file;
    return file;
}

static void forget_writes(struct file *file)
{
    while (file->first) {
        struct pending_write *write = file->first;
        file->first = write->next;
        free(write);
    }
    file->last = NULL;
}

struct entry *disk_entry(struct sim_disk *disk, const char *name, bool make)
{
    for (unsigned i = 0; i < disk->entry_count; i++) {
        if (strcmp(disk->entries[i].name, name) == 0) {
            return &disk->entries[i];
        }
    }
    if (!make) {
        return NULL;
    }
    if (disk->entry_count == disk->entry_capacity) {
        disk->entry_capacity = disk->entry_capacity ? 2 * disk->entry_capacity : 32;
        disk->entries = realloc(disk->entries, disk->entry_capacity * sizeof *disk->entries);
        MR_ASSERT(disk->entries);
    }
    struct entry *entry = &disk->entries[disk->entry_count++];
    memset(entry, 0, sizeof *entry);
    MR_ASSERT(strlen(name) < sizeof entry->name);
    strcpy(entry->name, name);
    return entry;
}

/* A change of a folder, in the cache at once and on the platter with the folder's sync. */
static void change(struct sim_disk *disk, const char *name, struct file *file, bool with_next)
{
    MR_ASSERT(disk->change_count < CHANGES_MAX);
    struct change *one = &disk->changes[disk->change_count++];
    MR_ASSERT(strlen(name) < sizeof one->name);
    strcpy(one->name, name);
    one->file = file;
    one->with_next = with_next;
    disk_entry(disk, name, true)->cached = file;
}

struct file *disk_create(struct sim_disk *disk, const char *name)
{
    struct file *file = file_new(disk);
    change(disk, name, file, false);
    return file;
}

void disk_unlink(struct sim_disk *disk, const char *name)
{
    change(disk, name, NULL, false);
}

void disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    struct file *file = disk_entry(disk, from, false)->cached;
    change(disk, to, file, true); /* a rename is one change */
    change(disk, from, NULL, false);
}

void disk_write(struct file *file, size_t at, const void *bytes, size_t length)
{
    struct pending_write *write = malloc(sizeof *write + length);
    MR_ASSERT(write);
    *write = (struct pending_write){.at = at, .length = length};
    memcpy(write->bytes, bytes, length);
    if (file->last) {
        file->last->next = write;
    } else {
        file->first = write;
    }
    file->last = write;
    content_write(&file->cached, at, bytes, length);
}

void disk_truncate(struct file *file, size_t length)
{
    if (length != file->cached.length) {
        content_resize(&file->cached, length);
        struct pending_write *write = calloc(1, sizeof *write);
        MR_ASSERT(write);
        *write = (struct pending_write){.at = length, .truncate = true};
        if (file->last) {
            file->last->next = write;
        } else {
            file->first = write;
        }
        file->last = write;
    }
}

void disk_sync_file(struct file *file, bool works)
{
    if (works) {
        content_copy(&file->platter, &file->cached);
    }
    forget_writes(file); /* a failed sync leaves the pages clean: what they held is never written */
}

static bool in_folder(const char *name, const char *folder)
{
    const char *slash = strrchr(name, '/');
    const size_t length = slash ? (size_t)(slash - name) : 0;
    return strlen(folder) == length && memcmp(name, folder, length) == 0;
}

void disk_sync_folder(struct sim_disk *disk, const char *folder)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < disk->change_count; i++) {
        const struct change one = disk->changes[i];
        if (in_folder(one.name, folder)) {
            disk_entry(disk, one.name, true)->platter = one.file;
        } else {
            disk->changes[kept++] = one;
        }
    }
    disk->change_count = kept;
}

/* --- power loss ------------------------------------------------------------------------------ */

static void lose_writes(struct sim *sim, struct file *file)
{
    for (const struct pending_write *write = file->first; write; write = write->next) {
        const unsigned fate = (unsigned)sim_below(sim, 4);
        if (fate == 0) {
            sim_count(sim, SIM_FAULT_UNDONE);
        } else if (write->truncate) {
            content_resize(&file->platter, write->at);
        } else if (fate == 1 && write->length > 1) {
            sim_count(sim, SIM_FAULT_TORN);
            content_write(&file->platter, write->at, write->bytes,
                          (size_t)sim_between(sim, 1, write->length - 1));
        } else {
            content_write(&file->platter, write->at, write->bytes, write->length);
        }
    }
    forget_writes(file);
    content_copy(&file->cached, &file->platter);
}

void sim_disk_power_loss(struct sim_disk *disk)
{
    struct sim *sim = disk->node->sim;
    unsigned kept = disk->change_count ? (unsigned)sim_below(sim, disk->change_count + 1) : 0;
    while (kept && disk->changes[kept - 1].with_next) {
        kept--;
    }
    for (unsigned i = 0; i < disk->change_count; i++) {
        if (i < kept) {
            disk_entry(disk, disk->changes[i].name, true)->platter = disk->changes[i].file;
        } else {
            sim_count(sim, SIM_FAULT_UNDONE);
        }
    }
    disk->change_count = 0;
    for (unsigned i = 0; i < disk->entry_count; i++) {
        disk->entries[i].cached = disk->entries[i].platter;
    }
    for (struct file *file = disk->files; file; file = file->next) {
        lose_writes(sim, file);
    }
}

/* --- the outside ----------------------------------------------------------------------------- */

void sim_disk_put(struct sim_disk *disk, const char *name, const void *bytes, size_t length)
{
    struct file *file = file_new(disk);
    content_write(&file->cached, 0, bytes, length);
    content_copy(&file->platter, &file->cached);
    struct entry *entry = disk_entry(disk, name, true);
    entry->cached = entry->platter = file;
}

const uint8_t *sim_disk_look(const struct sim_disk *disk, const char *name, size_t *length)
{
    const struct entry *entry = disk_entry((struct sim_disk *)disk, name, false);
    if (!entry || !entry->cached) {
        return NULL;
    }
    *length = entry->cached->cached.length;
    return entry->cached->cached.bytes;
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from, const char *folder)
{
    for (unsigned i = 0; i < from->entry_count; i++) {
        const struct entry *entry = &from->entries[i];
        const struct entry *there = disk_entry(to, entry->name, false);
        if (entry->cached && in_folder(entry->name, folder) && (!there || !there->cached)) {
            sim_disk_put(to, entry->name, entry->cached->cached.bytes,
                         entry->cached->cached.length);
        }
    }
}

static void forget_copy(struct sim_disk *disk)
{
    for (unsigned i = 0; i < disk->copy_count; i++) {
        free(disk->copy[i].content.bytes);
    }
    free(disk->copy);
    disk->copy = NULL;
    disk->copy_count = 0;
}

void sim_disk_back_up(struct sim_disk *disk)
{
    forget_copy(disk);
    disk->copy = calloc(disk->entry_count + 1, sizeof *disk->copy);
    MR_ASSERT(disk->copy);
    for (unsigned i = 0; i < disk->entry_count; i++) {
        if (disk->entries[i].cached) {
            struct copied *copied = &disk->copy[disk->copy_count++];
            strcpy(copied->name, disk->entries[i].name);
            content_copy(&copied->content, &disk->entries[i].cached->cached);
        }
    }
}

bool sim_disk_has_copy(const struct sim_disk *disk)
{
    return disk->copy;
}

void sim_disk_put_back(struct sim_disk *disk)
{
    MR_ASSERT(disk->copy);
    sim_disk_wipe(disk);
    for (unsigned i = 0; i < disk->copy_count; i++) {
        const struct copied *copied = &disk->copy[i];
        sim_disk_put(disk, copied->name, copied->content.bytes, copied->content.length);
    }
    disk->copies++;
}

void sim_disk_wipe(struct sim_disk *disk)
{
    disk->entry_count = disk->change_count = 0; /* the files go when the disk does */
}

void sim_disk_set_full(struct sim_disk *disk, bool full)
{
    disk->full = full;
}

void sim_disk_fail_write(struct sim_disk *disk)
{
    disk->fail_write = true;
}

void sim_disk_fail_sync(struct sim_disk *disk)
{
    disk->fail_sync = true;
}

void sim_disk_kill_at(struct sim_disk *disk, unsigned n)
{
    disk->kill_at = n;
}

void sim_disk_repair(struct sim_disk *disk)
{
    disk->kill_at = 0;
    disk->full = disk->fail_write = disk->fail_sync = false;
}

struct sim_disk *sim_disk_open(struct sim_node *node)
{
    struct sim_disk *disk = calloc(1, sizeof *disk);
    MR_ASSERT(disk);
    disk->node = node;
    disk->slow_us = sim_chance(node->sim, 300) ? 20 * SIM_MS : 500;
    return disk;
}

void sim_disk_close(struct sim_disk *disk)
{
    while (disk->files) {
        struct file *file = disk->files;
        disk->files = file->next;
        forget_writes(file);
        free(file->cached.bytes);
        free(file->platter.bytes);
        free(file);
    }
    forget_copy(disk);
    free(disk->entries);
    free(disk);
}
