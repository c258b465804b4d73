/* task_age.c - what a task's folder says of its own age. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/storage/files.h"
#include "appliance/task/age.h"
#include "appliance/task/age_counter.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/json_text.h"

#define PATH_BYTES (PATH_MAX + 16)

static void path_of(char path[PATH_BYTES], const struct mr_task_age *age, const char *name)
{
    snprintf(path, PATH_BYTES, "%s/%s", age->folder, name);
}

/* *object is NULL where there is no file. 0 or -1; json_decref is owed. */
static int read_object(json_t **object, const struct mr_task_age *age, const char *name,
                       struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t length = 0;
    *object = NULL;
    path_of(path, age, name);
    const int found = mr_file_read(path, &bytes, &length, error);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    *object = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    return json_is_object(*object) ? 0
                                   : mr_error_set(error,
                                                  "%s is damaged: put {} into it, and this hub "
                                                  "counts as one that has to recover",
                                                  path);
}

/* Releases the object. */
static int write_object(const struct mr_task_age *age, const char *name, json_t *object,
                        struct mr_error *error)
{
    char path[PATH_BYTES];
    char *text = json_dumps(object, JSON_COMPACT);
    MR_ASSERT(text); /* a hub stops when there is no memory for JSON */
    json_decref(object);
    path_of(path, age, name);
    const int result = mr_file_replace(path, text, strlen(text), error);
    free(text);
    return result;
}

static uint64_t number(const json_t *object, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static void text_of(char *out, size_t room, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, room, "%s", text ? text : "");
}

/* --- older ----------------------------------------------------------------------------------- */

int mr_task_age_write_older(const struct mr_task_age *age, const struct mr_older *older,
                            struct mr_error *error)
{
    return write_object(age, "older",
                        json_pack("{s:o, s:I, s:I, s:I, s:I}", "why", mr_json_text(older->why),
                                  "unix_ms", (json_int_t)older->unix_ms, "epoch",
                                  (json_int_t)older->epoch, "sequence", (json_int_t)older->sequence,
                                  "round", (json_int_t)older->round),
                        error);
}

static int read_older(struct mr_task_age *age, struct mr_error *error)
{
    json_t *object;
    if (read_object(&object, age, "older", error) != 0) {
        json_decref(object);
        return -1;
    }
    age->is_older = !!object;
    age->older = (struct mr_older){.unix_ms = number(object, "unix_ms"),
                                   .epoch = number(object, "epoch"),
                                   .sequence = number(object, "sequence"),
                                   .round = number(object, "round")};
    text_of(age->older.why, sizeof age->older.why, object, "why");
    json_decref(object);
    return 0;
}

/* --- recovered ------------------------------------------------------------------------------- */

static int write_recovery(const struct mr_task_age *age, const struct mr_recovered *recovered,
                          struct mr_error *error)
{
    char hex[2 * MR_HASH_BYTES + 1] = "";
    if (recovered->has_fresh) {
        mr_hex_encode(hex, recovered->fresh, MR_HASH_BYTES);
    }
    return write_object(age, "recovered",
                        json_pack("{s:I, s:I, s:o, s:o}", "epoch", (json_int_t)recovered->epoch,
                                  "round", (json_int_t)recovered->round, "code",
                                  mr_json_text(recovered->code), "fresh", mr_json_text(hex)),
                        error);
}

int mr_task_age_write_recovered(const struct mr_task_age *age, const struct mr_recovered *recovered,
                                struct mr_error *error)
{
    char path[PATH_BYTES];
    path_of(path, age, "older");
    return write_recovery(age, recovered, error) != 0 ||
                   mr_age_bind(age->folder, age->place, error) != 0
               ? -1
               : mr_file_remove(path, error);
}

int mr_task_age_write_fresh(const struct mr_task_age *age, const uint8_t hash[MR_HASH_BYTES],
                            struct mr_error *error)
{
    struct mr_recovered recovered = age->recovered;
    recovered.has_fresh = true;
    memcpy(recovered.fresh, hash, MR_HASH_BYTES);
    return write_recovery(age, &recovered, error);
}

static int read_recovered(struct mr_task_age *age, struct mr_error *error)
{
    json_t *object;
    struct mr_recovered *recovered = &age->recovered;
    if (read_object(&object, age, "recovered", error) != 0) {
        json_decref(object);
        return -1;
    }
    const char *fresh = json_string_value(json_object_get(object, "fresh"));
    recovered->epoch = number(object, "epoch");
    recovered->round = number(object, "round");
    text_of(recovered->code, sizeof recovered->code, object, "code");
    recovered->has_fresh =
        fresh && mr_hex_decode(recovered->fresh, MR_HASH_BYTES, fresh) == 0 && *fresh != '\0';
    json_decref(object);
    return 0;
}

/* --- a task ---------------------------------------------------------------------------------- */

/* The wall clock: for people only. */
static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int find_older(const struct mr_task_age *age, const char *why, struct mr_error *error)
{
    struct mr_older older = age->older; /* what peers have shown stays known */
    older.unix_ms = unix_ms();
    snprintf(older.why, sizeof older.why, "%s", why);
    return mr_task_age_write_older(age, &older, error);
}

int mr_task_age_open(struct mr_task_age *age, const char *folder, const struct mr_age_place *place,
                     bool is_new, const struct mr_age_above *above, struct mr_error *error)
{
    char why[MR_AGE_WHY_BYTES];
    *age = (struct mr_task_age){.place = place, .counter = above->counter};
    snprintf(age->folder, sizeof age->folder, "%s", folder);
    const int look = mr_age_look(folder, place, is_new, why, error);
    if (look < 0 || read_older(age, error) != 0) {
        return -1;
    }
    if (look == MR_AGE_OWN && is_new && above->copied) {
        snprintf(why, sizeof why, "data_dir is a copy without a folder of this task: %.200s",
                 above->copied);
    } else if (look == MR_AGE_OWN && above->behind) {
        snprintf(why, sizeof why, "%s", above->copied);
    }
    const bool found = look == MR_AGE_COPY || above->behind || (is_new && above->copied);
    if (found && (find_older(age, why, error) != 0 || read_older(age, error) != 0)) {
        return -1;
    }
    return read_recovered(age, error) != 0 ? -1 : mr_age_bind(folder, place, error);
}

int mr_task_age_move(const struct mr_task_age *age, struct mr_error *error)
{
    return mr_age_bind(age->folder, age->place, error) != 0 ||
                   (age->counter && mr_age_counter_promise(age->counter, error) != 0)
               ? -1
               : 0;
}
