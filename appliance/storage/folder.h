/* folder.h - what lies in a folder, and how much room its file system has. */
#ifndef MR_STORAGE_FOLDER_H
#define MR_STORAGE_FOLDER_H

#include <stdint.h>

#include "base/error.h"

struct mr_folder_file {
    const char *name; /* valid during the call */
    uint64_t bytes;
    int64_t changed_ns; /* of its content, Unix time */
};

typedef void (*mr_folder_fn)(void *context, const struct mr_folder_file *file);

/* Every regular file of the folder, in no order; one that goes meanwhile is left out. 0 or -1. */
int mr_folder_list(const char *path, mr_folder_fn fn, void *context, struct mr_error *error);

/* Bytes that this process may still write there, and the size of the file system. 0 or -1. */
int mr_folder_space(const char *path, uint64_t *free_bytes, uint64_t *size_bytes,
                    struct mr_error *error);

#endif
