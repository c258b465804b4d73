#include "appliance/model/origin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"

/* Versions in a row that no round made: more are not looked through. */
#define STEPS_MAX 1024

static int read_terms(struct mr_round_terms *terms, const json_t *object)
{
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    const char *hex = json_string_value(json_object_get(object, "announcement"));
    const size_t length = hex ? strlen(hex) / 2 : 0;
    return length > 0 && length <= sizeof bytes && mr_hex_decode(bytes, length, hex) == 0 &&
                   mr_round_terms_decode(terms, bytes, length, NULL) == 0
               ? 0
               : -1;
}

static void read_members(struct mr_model_origin *origin, const json_t *object)
{
    const char *parent = json_string_value(json_object_get(object, "parent"));
    origin->has_parent = parent && mr_hex_decode(origin->parent, MR_HASH_BYTES, parent) == 0;
    origin->has_round = origin->has_parent && read_terms(&origin->terms, object) == 0;
    if (origin->has_round) {
        origin->included = (uint32_t)json_integer_value(json_object_get(object, "included"));
    }
}

int mr_model_origin_read(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         struct mr_model_origin *origin)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *text = NULL;
    size_t length = 0;
    *origin = (struct mr_model_origin){.has_parent = false};
    mr_store_model_path(path, store, hash, "json");
    if (mr_file_read(path, &text, &length, NULL) != 0) {
        return 1;
    }
    json_t *object = json_loads((const char *)text, JSON_REJECT_DUPLICATES, NULL);
    read_members(origin, object);
    json_decref(object);
    free(text);
    return origin->has_parent ? 0 : 1;
}

int mr_model_version(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                     struct mr_release_version *version, struct mr_model_origin *round_origin)
{
    uint8_t at[MR_HASH_BYTES];
    memcpy(at, hash, MR_HASH_BYTES);
    for (version->step = 0; version->step < STEPS_MAX; version->step++) {
        if (mr_model_origin_read(store, at, round_origin) != 0) {
            return 1;
        }
        if (round_origin->has_round) {
            version->round = round_origin->terms.announcement.round;
            return 0;
        }
        memcpy(at, round_origin->parent, MR_HASH_BYTES);
    }
    return 1;
}
