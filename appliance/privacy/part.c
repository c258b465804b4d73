#include "appliance/privacy/part.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "appliance/aggregate/sum.h"
#include "appliance/privacy/hub_noise.h"
#include "appliance/privacy/part_internal.h"
#include "base/bytes.h"
#include "wire/evidence.h"
#include "wire/receipt.h"

bool mr_part_is(const uint8_t *bytes, size_t length)
{
    return length >= PART_MAGIC_BYTES && memcmp(bytes, PART_MAGIC, PART_MAGIC_BYTES) == 0;
}

struct reading {
    FILE *in;
    struct mr_part *part;
    const struct mr_kernels *kernels;
    struct mr_included *set;
    uint8_t (*leaves)[MR_HASH_BYTES];
    struct mr_vector_sum sum;
    uint8_t *material, *result; /* 64-byte aligned */
    uint8_t noise_seed[MR_NOISE_SEED_BYTES];
    struct mr_noise_tables *tables;
    struct mr_error *error;
};

static int get(struct reading *reading, void *bytes, size_t length)
{
    return fread(bytes, 1, length, reading->in) == length
               ? 0
               : mr_error_set(reading->error, "%s is cut off", reading->part->name);
}

static int read_head(struct reading *reading)
{
    struct mr_part *part = reading->part;
    uint8_t head[PART_MAGIC_BYTES + 4], canonical[MR_ANNOUNCEMENT_MAX], count[4];
    if (get(reading, head, sizeof head) != 0) {
        return -1;
    }
    const size_t length = mr_be16_get(head + PART_MAGIC_BYTES + 2);
    if (!mr_part_is(head, sizeof head) || length > sizeof canonical) {
        return mr_error_set(reading->error, "%s is no part of a round", part->name);
    }
    part->hub = mr_be16_get(head + PART_MAGIC_BYTES);
    if (get(reading, canonical, length) != 0 || get(reading, count, sizeof count) != 0) {
        return -1;
    }
    part->count = mr_be32_get(count);
    if (mr_round_terms_decode(&part->terms, canonical, length, reading->error) != 0) {
        return mr_error_prefix(reading->error, "%s", part->name);
    }
    const struct mr_announcement *a = &part->terms.announcement;
    if (a->noise_kind == MR_NOISE_HUB &&
        get(reading, reading->noise_seed, sizeof reading->noise_seed) != 0) {
        return -1;
    }
    return mr_announcement_hub(a, part->hub) >= 0 && part->count > 0 && part->count <= a->cohort_max
               ? 0
               : mr_error_set(reading->error, "%s is of no hub, or of no set, of its round",
                              part->name);
}

static void *lanes_of(uint64_t bytes)
{
    return aligned_alloc(64, (size_t)((bytes + 63) & ~(uint64_t)63));
}

static int take_memory(struct reading *reading)
{
    const struct mr_layout *layout = &reading->part->terms.layout;
    const size_t count = reading->part->count;
    reading->set = calloc(count, sizeof *reading->set);
    reading->leaves = calloc(count, sizeof *reading->leaves);
    reading->sum.lanes = lanes_of(mr_layout_accumulator_bytes(layout));
    reading->material = lanes_of(layout->share_bytes);
    reading->result = lanes_of(layout->share_bytes);
    if (!reading->set || !reading->leaves || !reading->sum.lanes || !reading->material ||
        !reading->result) {
        return mr_error_set(reading->error, "out of memory for a part of %zu devices", count);
    }
    mr_sum_zero(&reading->sum, layout);
    return 0;
}

/* Adds what the material stands for, and hashes it. */
static int add(struct reading *reading, struct mr_audit_entry *entry)
{
    const struct mr_part *part = reading->part;
    const struct mr_layout *layout = &part->terms.layout;
    const struct mr_key_scope scope = {.task = part->terms.announcement.task,
                                       .announcement_hash = part->terms.hash,
                                       .client_id = entry->of.client_id,
                                       .hub_index = part->hub,
                                       .attempt = entry->of.attempt};
    struct mr_mask_stream mask;
    if (part->terms.announcement.hubs[0].index == part->hub) {
        const uint8_t *const shares[1] = {reading->material};
        mr_sum_fold(&reading->sum, layout, shares, 1, reading->kernels);
        return mr_share_hash(entry->hash, reading->material, (size_t)layout->share_bytes, &scope);
    }
    if (mr_mask_derive(&mask, reading->material, &scope) != 0) {
        return -1;
    }
    mr_sum_mask(&reading->sum, layout, &mask, reading->kernels);
    OPENSSL_cleanse(&mask, sizeof mask);
    return mr_seed_hash(entry->hash, reading->material, &scope);
}

static int read_entry(struct reading *reading, uint32_t i)
{
    const struct mr_part *part = reading->part;
    uint8_t head[PART_ENTRY_BYTES];
    struct mr_audit_entry entry;
    if (get(reading, head, sizeof head) != 0 ||
        get(reading, reading->material, part_material_bytes(&part->terms, part->hub)) != 0) {
        return -1;
    }
    memcpy(entry.of.client_id, head, MR_CLIENT_ID_BYTES);
    entry.of.attempt = mr_be32_get(head + MR_CLIENT_ID_BYTES);
    memcpy(entry.salt, head + MR_INCLUDED_BYTES, MR_AUDIT_SALT_BYTES);
    reading->set[i] = entry.of;
    if (i > 0 &&
        memcmp(reading->set[i - 1].client_id, entry.of.client_id, MR_CLIENT_ID_BYTES) >= 0) {
        return mr_error_set(reading->error, "%s: its devices do not rise at entry %u", part->name,
                            i);
    }
    return add(reading, &entry) == 0 && mr_audit_leaf(reading->leaves[i], &entry) == 0
               ? 0
               : mr_error_set(reading->error, "OpenSSL fails");
}

/* What the hub says that it added; its set is known by now. */
static int add_noise(struct reading *reading)
{
    struct mr_part *part = reading->part;
    const struct mr_noise_scope scope = {
        .announcement_hash = part->terms.hash, .set_hash = part->set_hash, .hub_index = part->hub};
    if (part->terms.announcement.noise_kind != MR_NOISE_HUB) {
        return 0;
    }
    return mr_noise_tables_prepare(&reading->tables, &part->terms.announcement) != 0 ||
                   mr_noise_add_seed(reading->result, reading->tables, &part->terms,
                                     reading->noise_seed, reading->kernels) != 0 ||
                   mr_noise_seed_hash(part->noise_hash, reading->noise_seed, &scope) != 0
               ? -1
               : 0;
}

static int conclude(struct reading *reading)
{
    struct mr_part *part = reading->part;
    const struct mr_layout *layout = &part->terms.layout;
    if (fgetc(reading->in) != EOF) {
        return mr_error_set(reading->error, "%s has more than its devices", part->name);
    }
    mr_sum_pack(reading->result, layout, &reading->sum, reading->kernels);
    return mr_included_hash(part->set_hash, part->terms.hash, reading->set, part->count) == 0 &&
                   add_noise(reading) == 0 &&
                   mr_result_hash(part->result_hash, reading->result,
                                  (size_t)layout->share_bytes) == 0 &&
                   mr_evidence_root(part->root, reading->leaves, part->count) == 0
               ? 0
               : mr_error_set(reading->error, "out of memory, or OpenSSL fails");
}

int mr_part_recompute(struct mr_part *part, const char *path, const struct mr_kernels *kernels,
                      struct mr_error *error)
{
    struct reading reading = {
        .in = fopen(path, "rbe"), .part = part, .kernels = kernels, .error = error};
    if (!reading.in) {
        return mr_error_set(error, "cannot read %s: %s", path, strerror(errno));
    }
    *part = (struct mr_part){.name = path};
    int result = read_head(&reading) != 0 || take_memory(&reading) != 0 ? -1 : 0;
    for (uint32_t i = 0; result == 0 && i < part->count; i++) {
        result = read_entry(&reading, i);
    }
    if (result == 0) {
        result = conclude(&reading);
    }
    fclose(reading.in);
    if (reading.material) { /* a seed, perhaps */
        OPENSSL_cleanse(reading.material, MR_SEED_BYTES);
    }
    OPENSSL_cleanse(reading.noise_seed, sizeof reading.noise_seed);
    mr_noise_tables_free(reading.tables);
    free(reading.set);
    free(reading.leaves);
    free(reading.sum.lanes);
    free(reading.material);
    free(reading.result);
    return result;
}
