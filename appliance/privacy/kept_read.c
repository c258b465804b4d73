/* kept_read.c - what is kept of a round, unit by unit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/privacy/kept.h"
#include "appliance/storage/sealed_file.h"
#include "base/bytes.h"

int mr_kept_unit_parse(struct mr_kept_unit *unit, const uint8_t *bytes, size_t length)
{
    if (length < 1 || bytes[0] < MR_KEPT_TERMS || bytes[0] > MR_KEPT_COMMITMENTS) {
        return -1;
    }
    unit->kind = (enum mr_kept_kind)bytes[0];
    unit->body = bytes + 1;
    unit->bytes = length - 1;
    if (unit->kind != MR_KEPT_COUNTED) {
        return 0;
    }
    if (length < MR_KEPT_COUNTED_BYTES) {
        return -1;
    }
    struct mr_audit_entry *counted = &unit->counted;
    const uint8_t *at = bytes + 1;
    memcpy(counted->of.client_id, at, MR_CLIENT_ID_BYTES);
    counted->of.attempt = mr_be32_get(at + MR_CLIENT_ID_BYTES);
    memcpy(counted->salt, at + MR_INCLUDED_BYTES, MR_AUDIT_SALT_BYTES);
    memcpy(counted->hash, at + MR_INCLUDED_BYTES + MR_AUDIT_SALT_BYTES, MR_HASH_BYTES);
    unit->body = bytes + MR_KEPT_COUNTED_BYTES;
    unit->bytes = length - MR_KEPT_COUNTED_BYTES;
    return 0;
}

int mr_kept_unit_set(struct mr_included **set, uint32_t *count, const struct mr_kept_unit *unit,
                     struct mr_error *error)
{
    const uint32_t most = (uint32_t)(unit->bytes / MR_INCLUDED_BYTES);
    size_t used;
    free(*set);
    *set = malloc(((size_t)most + 1) * sizeof **set);
    return *set ? mr_included_decode(*set, most, count, unit->body, unit->bytes, &used, error)
                : mr_error_set(error, "out of memory for a set of %u", most);
}

static int read_units(struct mr_sealed_reader *reader, unsigned part, mr_kept_fn take,
                      void *context, struct mr_error *error)
{
    struct mr_kept_unit unit = {.part = part};
    const uint8_t *bytes;
    size_t length;
    int found, torn;
    for (;;) {
        mr_sealed_reader_tell(reader, &unit.at, &unit.number);
        found = mr_sealed_reader_next(reader, &bytes, &length, &torn, error);
        if (found <= 0) {
            return found; /* what a crash tore was never spoken of */
        }
        if (mr_kept_unit_parse(&unit, bytes, length) != 0) {
            return mr_error_set(error, "part %u of what is kept has a unit of no known kind", part);
        }
        const int taken = take(context, &unit, error);
        if (taken != 0) {
            return taken;
        }
    }
}

int mr_kept_read(const struct mr_kept_place *place, mr_kept_fn take, void *context,
                 struct mr_error *error)
{
    for (unsigned part = 1; part <= MR_KEPT_PARTS_MAX; part++) {
        char path[MR_KEPT_PATH_BYTES];
        struct mr_sealed_reader *reader;
        if (mr_kept_path(path, place->folder, place->round, part) != 0) {
            return mr_error_set(error, "data_dir: the path is too long");
        }
        if (access(path, F_OK) != 0 && errno == ENOENT) {
            return part == 1 ? 1 : 0;
        }
        int result = mr_sealed_reader_open(&reader, path, place->private_key, error);
        if (result == 0) {
            result = read_units(reader, part, take, context, error);
            mr_sealed_reader_close(reader);
        } else if (result > 0) {
            result = 0; /* a crash came before its beginning was written */
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int mr_kept_again(const struct mr_kept_place *place, const struct mr_kept_unit *where,
                  mr_kept_fn take, void *context, struct mr_error *error)
{
    char path[MR_KEPT_PATH_BYTES];
    struct mr_sealed_reader *reader;
    struct mr_kept_unit unit = *where;
    const uint8_t *bytes;
    size_t length;
    int torn;
    if (mr_kept_path(path, place->folder, place->round, where->part) != 0) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    if (mr_sealed_reader_open(&reader, path, place->private_key, error) != 0) {
        return -1;
    }
    mr_sealed_reader_seek(reader, where->at, where->number);
    const int found = mr_sealed_reader_next(reader, &bytes, &length, &torn, error);
    int result = found < 0 ? -1 : 0;
    if (found == 0 || (found > 0 && mr_kept_unit_parse(&unit, bytes, length) != 0)) {
        result = mr_error_set(error, "%s has changed while it was read", path);
    }
    if (result == 0) {
        result = take(context, &unit, error);
    }
    mr_sealed_reader_close(reader);
    return result;
}
