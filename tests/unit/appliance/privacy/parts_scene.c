#include "parts_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/aggregate/sum.h"
#include "wire/receipt.h"

static const uint8_t parent[MR_HASH_BYTES] = {9};

static const struct mr_layout *layout_of(const struct parts_scene *scene)
{
    return &scene->round.views[0].terms.layout;
}

static uint8_t *aligned(size_t bytes)
{
    uint8_t *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

struct mr_kept_place parts_place(const struct parts_scene *scene, unsigned hub)
{
    return (struct mr_kept_place){.folder = scene->folders[hub],
                                  .round = ROUND,
                                  .private_key = scene->played.keys[hub].private_key};
}

/* The sum of a hub's shares or masks, as it is committed to. */
static void sum_of(const struct parts_scene *scene, unsigned hub,
                   uint8_t result_hash[MR_HASH_BYTES])
{
    const struct mr_round_terms *terms = &scene->round.views[0].terms;
    struct mr_vector_sum sum = {.lanes = aligned(mr_layout_accumulator_bytes(&terms->layout))};
    uint8_t *result = aligned(terms->layout.share_bytes);
    mr_sum_zero(&sum, &terms->layout);
    for (unsigned i = 0; i < DEVICES; i++) {
        const uint8_t *const share[1] = {scene->shares[i]};
        const struct mr_included *of = &scene->round.views[0].set[i];
        const struct mr_key_scope scope = {.task = "digits",
                                           .announcement_hash = terms->hash,
                                           .client_id = of->client_id,
                                           .hub_index = (uint16_t)hub,
                                           .attempt = of->attempt};
        struct mr_mask_stream mask;
        if (hub == 0) {
            mr_sum_fold(&sum, &terms->layout, share, 1, scene->kernels);
        } else {
            assert_int_equal(mr_mask_derive(&mask, scene->seeds[hub][i], &scope), 0);
            mr_sum_mask(&sum, &terms->layout, &mask, scene->kernels);
        }
    }
    mr_sum_pack(result, &terms->layout, &sum, scene->kernels);
    assert_int_equal(mr_result_hash(result_hash, result, terms->layout.share_bytes), 0);
    free(sum.lanes);
    free(result);
}

static const uint8_t *material_of(const struct parts_scene *scene, unsigned hub, unsigned i)
{
    return hub == 0 ? scene->shares[i] : scene->seeds[hub][i];
}

/* As the hub's driver counts and keeps it. */
static void keep_one(struct parts_scene *scene, struct mr_kept *kept, unsigned hub, unsigned i,
                     uint8_t salt)
{
    const struct view *view = &scene->round.views[0];
    struct mr_audit_entry entry = {.of = view->set[i], .salt = {hub == 0 ? salt : 0}};
    struct mr_error error;
    const struct mr_key_scope scope = {.task = "digits",
                                       .announcement_hash = view->terms.hash,
                                       .client_id = entry.of.client_id,
                                       .hub_index = (uint16_t)hub,
                                       .attempt = entry.of.attempt};
    const size_t bytes = hub == 0 ? layout_of(scene)->share_bytes : MR_SEED_BYTES;
    const uint8_t *material = material_of(scene, hub, i);
    assert_int_equal(hub == 0 ? mr_share_hash(entry.hash, material, bytes, &scope)
                              : mr_seed_hash(entry.hash, material, &scope),
                     0);
    assert_int_equal(mr_kept_add(kept, &entry, material, bytes, &error), 0);
    assert_int_equal(mr_counted_add(&scene->tables[hub], &entry), 0);
}

/* The first part has some devices that are not in the set, and one twice; a second process kept
 * the rest. */
static void keep(struct parts_scene *scene, unsigned hub)
{
    const struct view *view = &scene->round.views[0];
    const struct mr_kept_place place = parts_place(scene, hub);
    struct mr_kept *kept;
    struct mr_error error;
    assert_int_equal(mkdir(scene->folders[hub], 0700), 0);
    for (unsigned part = 0; part < 2; part++) {
        assert_int_equal(
            mr_kept_begin(&kept, &place, (uint16_t)hub, &view->terms.announcement, &error), 0);
        for (unsigned i = part == 0 ? 0 : 3; i < (part == 0 ? 4 : DEVICES); i++) {
            keep_one(scene, kept, hub, i, (uint8_t)(part + 1));
        }
        if (part == 1) {
            assert_int_equal(mr_kept_add_set(kept, view->set, view->set_count, &error), 0);
        } else {
            const struct mr_audit_entry stranger = {.of.client_id = {0xee}};
            uint8_t *none = aligned(layout_of(scene)->share_bytes);
            assert_int_equal(mr_kept_add(kept, &stranger, none,
                                         hub == 0 ? layout_of(scene)->share_bytes : MR_SEED_BYTES,
                                         &error),
                             0);
            assert_int_equal(mr_counted_add(&scene->tables[hub], &stranger), 0);
            free(none);
        }
        assert_int_equal(mr_kept_sync(kept, &error), 0);
        mr_kept_close(kept);
    }
    assert_int_equal(mr_counted_freeze(&scene->tables[hub], view->set, view->set_count), 0);
}

void parts_open(struct parts_scene *scene)
{
    uint32_t levels;
    memset(scene, 0, sizeof *scene);
    assert_int_equal(mr_cpu_mask_parse("all", &levels), 0);
    scene->kernels = mr_kernels_select(levels);
    played_open(&scene->played, 0);
    round_make(&scene->played, &scene->round, ROUND, parent, 1, DEVICES);
    struct view *view = &scene->round.views[0];
    view->terms.announcement.audit_hours = 24;
    for (unsigned i = 0; i < DEVICES; i++) {
        view->set[i].attempt = i % 3;
    }
    view_sign(&scene->played, view); /* the hash, which all that follows is under */
    for (unsigned i = 0; i < DEVICES; i++) {
        scene->shares[i] = aligned(view->terms.layout.share_bytes);
        memset(scene->shares[i], 0x31 * (int)(i + 1), view->terms.layout.share_bytes);
        for (unsigned hub = 1; hub < HUBS; hub++) {
            memset(scene->seeds[hub][i], (int)(16 * hub + i), MR_SEED_BYTES);
        }
    }
    for (unsigned hub = 0; hub < HUBS; hub++) {
        snprintf(scene->folders[hub], sizeof scene->folders[hub], "%.100s/audit-%u",
                 scene->played.dir, hub);
        keep(scene, hub);
        sum_of(scene, hub, view->seals[hub].result_hash);
        memcpy(view->commitments[hub].root, mr_audit_tree_root(&scene->tables[hub].tree),
               MR_HASH_BYTES);
    }
}

/* All hubs sign and record what the first view says by now. */
void parts_end(struct parts_scene *scene)
{
    view_sign(&scene->played, &scene->round.views[0]);
    for (unsigned hub = 1; hub < HUBS; hub++) {
        scene->round.views[hub] = scene->round.views[0];
    }
    round_record(&scene->played, &scene->round);
    played_read(&scene->played);
}

void parts_close(struct parts_scene *scene)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        free(scene->shares[i]);
    }
    for (unsigned hub = 0; hub < HUBS; hub++) {
        struct mr_error error;
        char path[MR_KEPT_PATH_BYTES];
        snprintf(path, sizeof path, "%.150s/part", scene->folders[hub]);
        unlink(path);
        assert_int_equal(mr_kept_destroy(scene->folders[hub], ROUND, &error), 0);
        rmdir(scene->folders[hub]);
        mr_counted_fini(&scene->tables[hub]);
    }
    played_close(&scene->played);
}

/* Exports one hub's part and judges it by the transcripts. */
void parts_judge(const struct parts_scene *scene, unsigned hub, struct mr_audit_result *result)
{
    const struct mr_kept_place place = parts_place(scene, hub);
    struct mr_audit_key keys[HUBS];
    struct mr_error error = {.text = ""};
    struct mr_part part;
    struct stat about;
    char path[MR_KEPT_PATH_BYTES];
    uint32_t count;
    snprintf(path, sizeof path, "%.150s/part", scene->folders[hub]);
    unlink(path);
    if (mr_part_export(&place, path, &count, &error) != 0 ||
        mr_part_recompute(&part, path, scene->kernels, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(count, DEVICES);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    for (uint16_t i = 0; i < HUBS; i++) {
        keys[i].hub = i;
        memcpy(keys[i].public_key, scene->played.keys[i].public_key, MR_PUBLIC_KEY_BYTES);
    }
    const struct mr_audit_input input = {.files = scene->played.files,
                                         .files_count = scene->played.files_count,
                                         .keys = keys,
                                         .keys_count = HUBS,
                                         .parts = &part,
                                         .parts_count = 1};
    assert_int_equal(mr_audit_parts(result, &input, &error), 0);
}

void parts_right(const struct parts_scene *scene, unsigned hub)
{
    struct mr_audit_result result;
    parts_judge(scene, hub, &result);
    if (!result.good) {
        fail_msg("hub %u is blamed: %s", hub, result.what);
    }
    assert_int_equal(result.parts, 1);
}

void parts_named(const struct parts_scene *scene, unsigned hub, const char *text)
{
    struct mr_audit_result result;
    parts_judge(scene, hub, &result);
    assert_false(result.good);
    assert_int_equal(result.hub, (int)hub);
    assert_int_equal(result.round, ROUND);
    if (!strstr(result.what, text)) {
        fail_msg("\"%s\" is not in \"%s\"", text, result.what);
    }
}
