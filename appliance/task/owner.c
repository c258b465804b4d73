#include "appliance/task/owner.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/json_text.h"

#define PATH_BYTES (PATH_MAX + 16)
#define KEY_BYTES  32

static void owner_path(char path[PATH_BYTES], const char *folder)
{
    snprintf(path, PATH_BYTES, "%s/owner.json", folder);
}

/* *object is NULL where there is no file. 0 or -1; json_decref is owed. */
static int read_owner(json_t **object, const char *path, struct mr_error *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    *object = NULL;
    const int found = mr_file_read(path, &bytes, &length, error);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    *object = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    return json_is_object(*object)
               ? 0
               : mr_error_set(error,
                              "%s is damaged: restore it from a backup, or remove it if you are "
                              "sure whose folder this is",
                              path);
}

/* Releases the object. */
static int write_owner(const char *path, json_t *object, struct mr_error *error)
{
    char *text = json_dumps(object, JSON_COMPACT);
    MR_ASSERT(text); /* a hub stops when there is no memory for JSON */
    json_decref(object);
    const int result = mr_file_replace(path, text, strlen(text), error);
    free(text);
    return result;
}

/* --- data_dir -------------------------------------------------------------------------------- */

static int compare(const json_t *found, const char *folder, const char *path,
                   const struct mr_owner *owner, struct mr_error *error)
{
    uint8_t key[KEY_BYTES];
    const json_t *hub = json_object_get(found, "hub");
    const char *text = json_string_value(json_object_get(found, "public_key"));
    if (!json_is_integer(hub) || !text || mr_hex_decode(key, KEY_BYTES, text) != 0) {
        return mr_error_set(error, "%s does not say whose folder this is: restore it from a backup",
                            path);
    }
    if (json_integer_value(hub) != owner->hub) {
        return mr_error_set(error,
                            "data_dir: %s is the folder of hub %lld, and this is hub %u: give this "
                            "hub a folder of its own",
                            folder, (long long)json_integer_value(hub), owner->hub);
    }
    if (owner->public_key && memcmp(key, owner->public_key, KEY_BYTES) != 0) {
        return mr_error_set(error,
                            "data_dir: %s is the folder of a hub %u with another signing key "
                            "(public key %.8s…): give this hub a folder of its own; where hub %u "
                            "was given a new key on purpose, remove %s first",
                            folder, owner->hub, text, owner->hub, path);
    }
    return 0;
}

/* 0 or -1; *missing: nobody's yet. */
static int look(const char *data_dir, const struct mr_owner *owner, bool *missing,
                struct mr_error *error)
{
    char path[PATH_BYTES];
    json_t *found;
    owner_path(path, data_dir);
    int result = read_owner(&found, path, error);
    *missing = !found;
    if (result == 0 && found) {
        result = compare(found, data_dir, path, owner, error);
    }
    json_decref(found);
    return result;
}

int mr_owner_check(const char *data_dir, const struct mr_owner *owner, struct mr_error *error)
{
    bool missing;
    return look(data_dir, owner, &missing, error);
}

int mr_owner_claim(const char *data_dir, const struct mr_owner *owner, struct mr_error *error)
{
    char path[PATH_BYTES], hex[2 * KEY_BYTES + 1];
    bool missing;
    if (look(data_dir, owner, &missing, error) != 0) {
        return -1;
    }
    if (!missing) {
        return 0;
    }
    MR_ASSERT(owner->public_key);
    owner_path(path, data_dir);
    mr_hex_encode(hex, owner->public_key, KEY_BYTES);
    return write_owner(
        path, json_pack("{s:i, s:o}", "hub", (int)owner->hub, "public_key", mr_json_text(hex)),
        error);
}

/* --- a task ---------------------------------------------------------------------------------- */

static json_t *hubs_json(const struct mr_task_owner *owner)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < owner->hubs_count; i++) {
        json_array_append_new(list, json_integer(owner->hubs[i]));
    }
    return list;
}

static void list_text(char text[MR_OWNER_HUBS_TEXT], const json_t *list)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(list) && at < MR_OWNER_HUBS_TEXT; i++) {
        at += (size_t)snprintf(text + at, MR_OWNER_HUBS_TEXT - at, "%s%lld", i ? ", " : "",
                               (long long)json_integer_value(json_array_get(list, i)));
    }
}

static int compare_task(const json_t *found, const char *folder, const struct mr_task_owner *owner,
                        struct mr_error *error)
{
    const char *name = json_string_value(json_object_get(found, "task"));
    if (found && (!name || strcmp(name, owner->task) != 0)) {
        return mr_error_set(error,
                            "data_dir: %s is the folder of task %.32s, and not of %s: put it back "
                            "under its name; a task that is new starts without a folder",
                            folder, name ? name : "?", owner->task);
    }
    return 0;
}

int mr_owner_check_task(const char *folder, const struct mr_task_owner *owner,
                        struct mr_error *error)
{
    char path[PATH_BYTES];
    json_t *found;
    owner_path(path, folder);
    int result = read_owner(&found, path, error);
    if (result == 0) {
        result = compare_task(found, folder, owner, error);
    }
    json_decref(found);
    return result;
}

int mr_owner_claim_task(const char *folder, const struct mr_task_owner *owner,
                        char before[MR_OWNER_HUBS_TEXT], struct mr_error *error)
{
    char path[PATH_BYTES];
    json_t *found;
    before[0] = '\0';
    owner_path(path, folder);
    if (read_owner(&found, path, error) != 0 || compare_task(found, folder, owner, error) != 0) {
        json_decref(found);
        return -1;
    }
    json_t *hubs = hubs_json(owner);
    const bool same = found && json_equal(json_object_get(found, "hubs"), hubs);
    if (found && !same) {
        list_text(before, json_object_get(found, "hubs"));
    }
    json_decref(found);
    if (same) {
        json_decref(hubs);
        return 0;
    }
    return write_owner(
        path, json_pack("{s:o, s:o}", "task", mr_json_text(owner->task), "hubs", hubs), error);
}
