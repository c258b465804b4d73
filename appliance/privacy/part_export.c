/* part_export.c - from what a hub keeps to one file: the frozen set's devices in their order. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "appliance/privacy/part_internal.h"
#include "base/bytes.h"
#include "wire/noise_seed.h"

/* What is kept, without its material. */
struct index_entry {
    struct mr_included of;
    uint32_t order; /* in which it was kept */
    struct mr_kept_unit where;
};

struct exporting {
    FILE *out;
    uint16_t hub;
    struct mr_round_terms terms; /* dimension 0: not known yet */
    struct index_entry *list;
    uint32_t count, capacity;
    struct mr_included *set;
    uint32_t set_count;
};

static int index_one(struct exporting *exporting, const struct mr_kept_unit *unit,
                     struct mr_error *error)
{
    if (exporting->count == exporting->capacity) {
        const uint32_t capacity = 2 * exporting->capacity + 64;
        struct index_entry *list = realloc(exporting->list, capacity * sizeof *list);
        if (!list) {
            return mr_error_set(error, "out of memory for %u entries", capacity);
        }
        exporting->list = list;
        exporting->capacity = capacity;
    }
    exporting->list[exporting->count] =
        (struct index_entry){.of = unit->counted.of, .order = exporting->count, .where = *unit};
    exporting->count++;
    return 0;
}

static int index_unit(void *context, const struct mr_kept_unit *unit, struct mr_error *error)
{
    struct exporting *exporting = context;
    switch (unit->kind) {
    case MR_KEPT_TERMS:
        if (unit->bytes < 2) {
            return mr_error_set(error, "the terms are cut off");
        }
        exporting->hub = mr_be16_get(unit->body);
        return mr_round_terms_decode(&exporting->terms, unit->body + 2, unit->bytes - 2, error);
    case MR_KEPT_COUNTED:
        return index_one(exporting, unit, error);
    case MR_KEPT_SET:
        return mr_kept_unit_set(&exporting->set, &exporting->set_count, unit, error);
    case MR_KEPT_COMMITMENTS:
        break;
    }
    return 0;
}

static int compare_uploads(const struct mr_included *a, const struct mr_included *b)
{
    const int clients = memcmp(a->client_id, b->client_id, MR_CLIENT_ID_BYTES);
    return clients != 0 ? clients : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

/* By upload; the one that was kept last in front. */
static int compare_entries(const void *a, const void *b)
{
    const struct index_entry *left = a, *right = b;
    const int uploads = compare_uploads(&left->of, &right->of);
    return uploads != 0 ? uploads : (left->order < right->order) - (left->order > right->order);
}

static const struct index_entry *find_entry(const struct exporting *exporting,
                                            const struct mr_included *wanted)
{
    uint32_t low = 0, high = exporting->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare_uploads(&exporting->list[middle].of, wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < exporting->count && compare_uploads(&exporting->list[low].of, wanted) == 0
               ? &exporting->list[low]
               : NULL;
}

static int put(FILE *out, const void *bytes, size_t length, struct mr_error *error)
{
    return fwrite(bytes, 1, length, out) == length
               ? 0
               : mr_error_set(error, "the part cannot be written: %s%s", strerror(errno),
                              mr_error_disk_hint(errno));
}

static int put_entry(void *context, const struct mr_kept_unit *unit, struct mr_error *error)
{
    struct exporting *exporting = context;
    uint8_t head[PART_ENTRY_BYTES];
    if (unit->kind != MR_KEPT_COUNTED ||
        unit->bytes != part_material_bytes(&exporting->terms, exporting->hub)) {
        return mr_error_set(error, "what is kept of a device has not the bytes of its round");
    }
    memcpy(head, unit->counted.of.client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(head + MR_CLIENT_ID_BYTES, unit->counted.of.attempt);
    memcpy(head + MR_INCLUDED_BYTES, unit->counted.salt, MR_AUDIT_SALT_BYTES);
    return put(exporting->out, head, sizeof head, error) != 0
               ? -1
               : put(exporting->out, unit->body, unit->bytes, error);
}

static int put_head(struct exporting *exporting, struct mr_error *error)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX], numbers[4], count[4];
    const size_t length = mr_announcement_encode(canonical, &exporting->terms.announcement);
    mr_be16_put(numbers, exporting->hub);
    mr_be16_put(numbers + 2, (uint16_t)length);
    mr_be32_put(count, exporting->set_count);
    return put(exporting->out, PART_MAGIC, PART_MAGIC_BYTES, error) != 0 ||
                   put(exporting->out, numbers, sizeof numbers, error) != 0 ||
                   put(exporting->out, canonical, length, error) != 0 ||
                   put(exporting->out, count, sizeof count, error) != 0
               ? -1
               : 0;
}

/* By which the noise in the hub's part can be taken off: without it the sum that it opened is not
 * to be had from what it counted. */
static int put_noise_seed(struct exporting *exporting, const struct mr_kept_place *place,
                          struct mr_error *error)
{
    uint8_t set_hash[MR_HASH_BYTES], seed[MR_NOISE_SEED_BYTES];
    const struct mr_noise_scope scope = {.announcement_hash = exporting->terms.hash,
                                         .set_hash = set_hash,
                                         .hub_index = exporting->hub};
    if (exporting->terms.announcement.noise_kind != MR_NOISE_HUB) {
        return 0;
    }
    const int derived = mr_included_hash(set_hash, exporting->terms.hash, exporting->set,
                                         exporting->set_count) != 0 ||
                                mr_noise_seed_derive(seed, place->private_key, &scope) != 0
                            ? mr_error_set(error, "OpenSSL fails")
                            : 0;
    const int result = derived == 0 ? put(exporting->out, seed, sizeof seed, error) : -1;
    OPENSSL_cleanse(seed, sizeof seed);
    return result;
}

static int put_all(struct exporting *exporting, const struct mr_kept_place *place,
                   struct mr_error *error)
{
    if (put_head(exporting, error) != 0 || put_noise_seed(exporting, place, error) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < exporting->set_count; i++) {
        const struct index_entry *entry = find_entry(exporting, &exporting->set[i]);
        if (!entry) {
            return mr_error_set(error, "of device %u of the set nothing is kept", i);
        }
        if (mr_kept_again(place, &entry->where, put_entry, exporting, error) != 0) {
            return -1;
        }
    }
    return fflush(exporting->out) == 0 && fsync(fileno(exporting->out)) == 0
               ? 0
               : mr_error_set(error, "the part cannot be written: %s", strerror(errno));
}

static int export_into(struct exporting *exporting, const struct mr_kept_place *place,
                       const char *path, struct mr_error *error)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    exporting->out = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!exporting->out) {
        return mr_error_set(error, "cannot make %s: %s", path, strerror(errno));
    }
    int result = put_all(exporting, place, error);
    if (fclose(exporting->out) != 0 && result == 0) {
        result = mr_error_set(error, "%s cannot be written: %s", path, strerror(errno));
    }
    if (result != 0) {
        unlink(path);
    }
    return result;
}

int mr_part_export(const struct mr_kept_place *place, const char *path, uint32_t *count,
                   struct mr_error *error)
{
    struct exporting exporting = {.out = NULL};
    int result = mr_kept_read(place, index_unit, &exporting, error);
    if (result > 0) {
        result = mr_error_set(error,
                              "nothing is kept of round %llu in %s: it has no audit_hours, "
                              "or they are over, or it was given up unopened",
                              (unsigned long long)place->round, place->folder);
    } else if (result == 0 && (!exporting.set || exporting.terms.announcement.dimension == 0)) {
        result = mr_error_set(error, "round %llu has no frozen set yet",
                              (unsigned long long)place->round);
    }
    if (result == 0) {
        qsort(exporting.list, exporting.count, sizeof *exporting.list, compare_entries);
        result = export_into(&exporting, place, path, error);
    }
    *count = exporting.set_count;
    free(exporting.list);
    free(exporting.set);
    return result;
}
