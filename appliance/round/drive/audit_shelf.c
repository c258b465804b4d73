#include "appliance/round/drive/audit_shelf.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/counted.h"
#include "appliance/privacy/kept.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/assert.h"
#include "wire/receipt.h"

/* One round's. */
struct shelf_round {
    uint64_t round; /* 0: none */
    struct mr_counted_table table;
    unsigned commitment_count; /* 0: no proof is given */
    struct mr_commitment commitments[MR_HUBS_MAX];
};

struct mr_audit_shelf {
    const struct mr_round_context *context;
    char folder[PATH_MAX];
    struct shelf_round now, before;
    struct mr_kept *kept; /* of `now`; NULL: nothing yet */
};

static void fini(struct shelf_round *round)
{
    mr_counted_fini(&round->table);
    *round = (struct shelf_round){.round = 0};
}

int mr_audit_shelf_open(struct mr_audit_shelf **out, const struct mr_round_context *context,
                        struct mr_error *error)
{
    struct mr_audit_shelf *shelf = calloc(1, sizeof *shelf);
    if (!shelf) {
        return mr_error_set(error, "out of memory");
    }
    shelf->context = context;
    if (snprintf(shelf->folder, sizeof shelf->folder, "%s/audit", context->data_dir) >=
        (int)sizeof shelf->folder) {
        mr_audit_shelf_close(shelf);
        return mr_error_set(error, "data_dir: the path is too long");
    }
    if (mr_dir_make(shelf->folder, error) != 0 || mr_dir_sync(context->data_dir, error) != 0) {
        mr_audit_shelf_close(shelf);
        return -1;
    }
    *out = shelf;
    return 0;
}

void mr_audit_shelf_close(struct mr_audit_shelf *shelf)
{
    if (shelf) {
        mr_kept_close(shelf->kept);
        fini(&shelf->now);
        fini(&shelf->before);
    }
    free(shelf);
}

static struct mr_kept_place place_of(const struct mr_audit_shelf *shelf, uint64_t round)
{
    return (struct mr_kept_place){
        .folder = shelf->folder, .round = round, .private_key = shelf->context->private_key};
}

/* --- the loop's thread ----------------------------------------------------------------------- */

void mr_audit_shelf_begin(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms)
{
    if (terms->announcement.audit_hours == 0) {
        return;
    }
    mr_kept_close(shelf->kept);
    shelf->kept = NULL;
    if (shelf->now.commitment_count > 0 && shelf->now.round != terms->announcement.round) {
        fini(&shelf->before);
        shelf->before = shelf->now;
        shelf->now = (struct shelf_round){.round = 0};
    }
    fini(&shelf->now);
    shelf->now.round = terms->announcement.round;
}

/* What the files say, in their order. */
struct recovering {
    struct shelf_round *round;
    struct mr_included *set;
    uint32_t set_count;
};

static int take_unit(void *context, const struct mr_kept_unit *unit, struct mr_error *error)
{
    struct recovering *recovering = context;
    struct shelf_round *round = recovering->round;
    switch (unit->kind) {
    case MR_KEPT_TERMS:
        break;
    case MR_KEPT_COUNTED:
        return mr_counted_add(&round->table, &unit->counted) == 0
                   ? 0
                   : mr_error_set(error, "out of memory for what was counted");
    case MR_KEPT_SET:
        return mr_kept_unit_set(&recovering->set, &recovering->set_count, unit, error);
    case MR_KEPT_COMMITMENTS:
        round->commitment_count = 0;
        while (round->commitment_count < MR_HUBS_MAX &&
               (round->commitment_count + 1) * (size_t)MR_COMMITMENT_BYTES <= unit->bytes) {
            const unsigned i = round->commitment_count++;
            mr_commitment_decode(&round->commitments[i],
                                 unit->body + i * (size_t)MR_COMMITMENT_BYTES);
        }
        break;
    }
    return 0;
}

static void find_newest(void *context, const struct mr_folder_file *file)
{
    uint64_t *newest = context, round;
    unsigned part;
    int end = 0;
    if (sscanf(file->name, "%" SCNu64 "-%u.kept%n", &round, &part, &end) == 2 && end > 0 &&
        file->name[end] == '\0' && round > *newest) {
        *newest = round;
    }
}

int mr_audit_shelf_recover(struct mr_audit_shelf *shelf, uint64_t round, struct mr_error *error)
{
    struct recovering recovering = {.round = &shelf->now};
    if (round == 0 && mr_folder_list(shelf->folder, find_newest, &round, error) != 0) {
        return -1;
    }
    if (round == 0 || shelf->now.round == round) {
        return 0;
    }
    fini(&shelf->now);
    shelf->now.round = round;
    const struct mr_kept_place place = place_of(shelf, round);
    int result = mr_kept_read(&place, take_unit, &recovering, error) < 0 ? -1 : 0;
    if (result == 0 && shelf->now.commitment_count > 0 &&
        (!recovering.set ||
         mr_counted_freeze(&shelf->now.table, recovering.set, recovering.set_count) != 0)) {
        shelf->now.commitment_count =
            0; /* damaged: no proofs, and an export says what is missing */
    }
    free(recovering.set);
    return result;
}

int mr_audit_shelf_root(struct mr_audit_shelf *shelf, const struct mr_included *set, uint32_t count,
                        uint8_t root[MR_HASH_BYTES])
{
    struct mr_counted_table *table = &shelf->now.table;
    if (mr_counted_freeze(table, set, count) != 0) {
        mr_log_event(shelf->context->log, MR_LOG_ERROR, "audit.lost",
                     "task=%s round=%" PRIu64 " folder=%s have=%u need=%u why=what was kept of the "
                     "round is not all there, and so it cannot go on",
                     shelf->context->task, shelf->now.round, shelf->folder, table->count, count);
        return -1;
    }
    memcpy(root, mr_audit_tree_root(&table->tree), MR_HASH_BYTES);
    return 0;
}

void mr_audit_shelf_publish(struct mr_audit_shelf *shelf, uint64_t round,
                            const struct mr_commitment *commitments, unsigned count)
{
    if (shelf->now.round == round && shelf->now.table.tree.count > 0) {
        memcpy(shelf->now.commitments, commitments, count * sizeof commitments[0]);
        shelf->now.commitment_count = count;
    }
}

int mr_audit_shelf_prove(const struct mr_audit_shelf *shelf, uint64_t round,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_audit_proof *proof)
{
    const struct shelf_round *of = shelf->now.round == round      ? &shelf->now
                                   : shelf->before.round == round ? &shelf->before
                                                                  : NULL;
    if (!of || of->commitment_count == 0) {
        return 1;
    }
    *proof = (struct mr_audit_proof){.hub_index = shelf->context->hub_index,
                                     .commitment_count = of->commitment_count};
    memcpy(proof->commitments, of->commitments, sizeof proof->commitments);
    return mr_counted_prove(&of->table, client_id, proof) == 0 ? 0 : 2;
}

/* --- the job thread -------------------------------------------------------------------------- */

static int begin_file(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                      struct mr_error *error)
{
    const struct mr_kept_place place = place_of(shelf, terms->announcement.round);
    MR_ASSERT(shelf->now.round == terms->announcement.round);
    return shelf->kept ? 0
                       : mr_kept_begin(&shelf->kept, &place, shelf->context->hub_index,
                                       &terms->announcement, error);
}

/* What the tree says of it, and how many bytes its material has. */
static int describe(const struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                    const struct mr_audit_item *item, struct mr_audit_entry *counted, size_t *bytes)
{
    const uint16_t hub = shelf->context->hub_index;
    const struct mr_key_scope scope = {.task = terms->announcement.task,
                                       .announcement_hash = terms->hash,
                                       .client_id = item->of.client_id,
                                       .hub_index = hub,
                                       .attempt = item->of.attempt};
    *counted = (struct mr_audit_entry){.of = item->of};
    if (terms->announcement.hubs[0].index != hub) {
        *bytes = MR_SEED_BYTES;
        return mr_seed_hash(counted->hash, item->material, &scope);
    }
    *bytes = (size_t)terms->layout.share_bytes;
    return RAND_bytes(counted->salt, MR_AUDIT_SALT_BYTES) == 1
               ? mr_share_hash(counted->hash, item->material, *bytes, &scope)
               : -1;
}

int mr_audit_shelf_keep(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                        const struct mr_audit_item *items, uint32_t count, struct mr_error *error)
{
    if (count > 0 && begin_file(shelf, terms, error) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct mr_audit_entry counted;
        size_t bytes;
        if (describe(shelf, terms, &items[i], &counted, &bytes) != 0) {
            return mr_error_set(error, "OpenSSL hashes nothing, or has no random numbers");
        }
        if (mr_kept_add(shelf->kept, &counted, items[i].material, bytes, error) != 0) {
            return -1;
        }
        if (mr_counted_add(&shelf->now.table, &counted) != 0) {
            return mr_error_set(error, "out of memory for what was counted");
        }
    }
    return 0;
}

int mr_audit_shelf_keep_set(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                            const struct mr_included *set, uint32_t count, struct mr_error *error)
{
    struct mr_included *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    if (!sorted) {
        return mr_error_set(error, "out of memory for a set of %u devices", count);
    }
    memcpy(sorted, set, count * sizeof *sorted);
    mr_included_sort(sorted, count);
    const int result = begin_file(shelf, terms, error) == 0
                           ? mr_kept_add_set(shelf->kept, sorted, count, error)
                           : -1;
    free(sorted);
    return result;
}

int mr_audit_shelf_keep_commitments(struct mr_audit_shelf *shelf,
                                    const struct mr_round_terms *terms,
                                    const struct mr_commitment *commitments, struct mr_error *error)
{
    return begin_file(shelf, terms, error) == 0 &&
                   mr_kept_add_commitments(shelf->kept, commitments, terms->announcement.hub_count,
                                           error) == 0
               ? mr_kept_sync(shelf->kept, error)
               : -1;
}

int mr_audit_shelf_sync(struct mr_audit_shelf *shelf, struct mr_error *error)
{
    return shelf->kept ? mr_kept_sync(shelf->kept, error) : 0;
}

int mr_audit_shelf_destroy(struct mr_audit_shelf *shelf, uint64_t round, struct mr_error *error)
{
    return mr_kept_destroy(shelf->folder, round, error);
}

int mr_audit_shelf_sweep(struct mr_audit_shelf *shelf, uint64_t unix_ms, uint64_t under_way,
                         unsigned *removed, struct mr_error *error)
{
    return mr_kept_sweep(shelf->folder, unix_ms, under_way, removed, error);
}

static void count_file(void *context, const struct mr_folder_file *file)
{
    struct mr_audit_kept *kept = context;
    kept->files++;
    kept->bytes += file->bytes;
}

int mr_audit_shelf_measure(struct mr_audit_shelf *shelf, struct mr_audit_kept *kept,
                           struct mr_error *error)
{
    *kept = (struct mr_audit_kept){.files = 0};
    return mr_folder_list(shelf->folder, count_file, kept, error);
}
