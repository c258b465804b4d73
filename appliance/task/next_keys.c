#include "appliance/task/next_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/files.h"

#define PATH_BYTES  (PATH_MAX + 8)
#define SIGNERS_MIN 2

/* All of the file; *bytes NULL where there is none. */
static int read_all(const struct mr_task *task, char path[PATH_BYTES], uint8_t **bytes,
                    size_t *length, struct mr_error *error)
{
    *bytes = NULL;
    *length = 0;
    snprintf(path, PATH_BYTES, "%s/keys", task->data_dir);
    return mr_file_read(path, bytes, length, error) < 0 ? -1 : 0;
}

/* Where the statements above that number begin; *last is the newest one's. */
static size_t place_of(const uint8_t *bytes, size_t length, uint32_t after, uint32_t *last)
{
    size_t at = 0, place = length;
    *last = 0;
    while (at < length) {
        struct mr_key_statement statement;
        size_t taken;
        if (mr_key_statement_decode(&statement, bytes + at, length - at, &taken, NULL) != 0) {
            break;
        }
        if (statement.number > after && place == length) {
            place = at;
        }
        *last = statement.number;
        at += taken;
    }
    return place;
}

int mr_next_keys_read(const struct mr_task *task, uint32_t after, uint8_t **bytes, size_t *length,
                      struct mr_error *error)
{
    char path[PATH_BYTES];
    uint32_t last;
    if (read_all(task, path, bytes, length, error) != 0) {
        return -1;
    }
    const size_t place = *bytes ? place_of(*bytes, *length, after, &last) : 0;
    *length -= place;
    if (*bytes && *length > 0) {
        memmove(*bytes, *bytes + place, *length);
    } else {
        free(*bytes);
        *bytes = NULL;
    }
    return 0;
}

int mr_next_keys_last(const struct mr_task *task, uint32_t *last, struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t length;
    if (read_all(task, path, &bytes, &length, error) != 0) {
        return -1;
    }
    (void)place_of(bytes, length, 0, last);
    free(bytes);
    return 0;
}

/* A hub that was given its new key already knows the old one from the statement alone. */
static enum mr_key_fault judge(const struct mr_task *task, const struct mr_key_statement *statement,
                               uint32_t last)
{
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    memcpy(hubs, task->hubs, sizeof hubs);
    for (unsigned i = 0; i < task->hubs_count; i++) {
        if (hubs[i].index == statement->hub_index &&
            memcmp(hubs[i].public_key, statement->new_key, MR_PUBLIC_KEY_BYTES) == 0) {
            memcpy(hubs[i].public_key, statement->old_key, MR_PUBLIC_KEY_BYTES);
        }
    }
    const struct mr_key_set set = {.task = task->config->name,
                                   .hubs = hubs,
                                   .hub_count = task->hubs_count,
                                   .threshold = SIGNERS_MIN,
                                   .number = last};
    return last >= MR_KEY_CHAIN_MAX ? MR_KEY_MALFORMED : mr_key_statement_judge(statement, &set);
}

int mr_next_keys_add(const struct mr_task *task, const uint8_t *bytes, size_t length,
                     enum mr_key_fault *fault, struct mr_error *error)
{
    char path[PATH_BYTES];
    struct mr_key_statement statement;
    uint8_t *all;
    size_t before, taken;
    uint32_t last = 0;
    *fault = MR_KEY_MALFORMED;
    if (mr_key_statement_decode(&statement, bytes, length, &taken, error) != 0 || taken != length) {
        return 1;
    }
    if (read_all(task, path, &all, &before, error) != 0) {
        return -1;
    }
    (void)place_of(all, before, 0, &last);
    *fault = judge(task, &statement, last);
    if (*fault != MR_KEY_TAKEN) {
        free(all);
        return 1;
    }
    uint8_t *more = realloc(all, before + length);
    if (!more) {
        free(all);
        return mr_error_set(error, "out of memory");
    }
    memcpy(more + before, bytes, length);
    const int bad = mr_file_replace(path, more, before + length, error);
    free(more);
    return bad;
}
