/* Parts of hubs, kept, exported and recomputed: an honest hub's is right by itself, and a hub that
 * lied about its sum or its tree is named, whatever the others have signed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/storage/sealed_file.h"
#include "parts_scene.h"

#define HOUR_MS UINT64_C(3600000)

/* --- tests ----------------------------------------------------------------------------------- */

static void test_honest(void **state)
{
    (void)state;
    static struct parts_scene scene;
    parts_open(&scene);
    parts_end(&scene);
    for (unsigned hub = 0; hub < HUBS; hub++) {
        parts_right(&scene, hub); /* each by itself */
    }
    parts_close(&scene);
}

/* An offset that a hub adds to its part before it commits: all have signed it, and the model is
 * wrong. */
static void test_offset(void **state)
{
    (void)state;
    for (unsigned liar = 0; liar < HUBS; liar++) {
        static struct parts_scene scene;
        parts_open(&scene);
        scene.round.views[0].seals[liar].result_hash[0] ^= 1;
        parts_end(&scene);
        for (unsigned hub = 0; hub < HUBS; hub++) {
            if (hub == liar) {
                parts_named(&scene, hub,
                            liar == 0 ? "lied: what it opened is not the sum of the 7 shares"
                                      : "lied: what it opened is not the sum of the 7 seeds");
            } else {
                parts_right(&scene, hub);
            }
        }
        parts_close(&scene);
    }
}

/* The liar's tree goes with its lie, and what it hands over is what it received; or the tree leaves
 * a device out, which that device's proof tells too. */
static void test_other_tree(void **state)
{
    (void)state;
    for (unsigned less = 0; less < 2; less++) {
        static struct parts_scene scene;
        struct mr_audit_tree tree;
        parts_open(&scene);
        struct mr_audit_entry *list = scene.tables[0].list;
        list[2].hash[0] ^= less ? 0 : 1;
        assert_int_equal(mr_audit_tree_build(&tree, list, DEVICES - less), 0);
        memcpy(scene.round.views[0].commitments[0].root, mr_audit_tree_root(&tree), MR_HASH_BYTES);
        mr_audit_tree_fini(&tree);
        parts_end(&scene);
        parts_named(&scene, 0, "hub 0 did not commit to this");
        parts_right(&scene, 1);
        parts_close(&scene);
    }
}

static void test_other_set(void **state)
{
    (void)state;
    static struct parts_scene scene;
    struct mr_kept *kept;
    struct mr_error error;
    struct mr_included set[DEVICES] = {{.attempt = 0}};
    struct mr_audit_result result;
    parts_open(&scene);
    parts_end(&scene);
    const struct mr_kept_place place = parts_place(&scene, 1);
    memcpy(set, scene.round.views[0].set, sizeof set);
    set[6] = (struct mr_included){.client_id = {0xee}};
    assert_int_equal(
        mr_kept_begin(&kept, &place, 1, &scene.round.views[0].terms.announcement, &error), 0);
    assert_int_equal(mr_kept_add_set(kept, set, DEVICES, &error), 0);
    mr_kept_close(kept);
    parts_judge(&scene, 1, &result);
    assert_false(result.good);
    assert_int_equal(result.hub, 1);
    assert_non_null(strstr(result.what, "of another set"));
    parts_close(&scene);
}

/* What nobody has signed blames nobody. */
static void test_no_transcript(void **state)
{
    (void)state;
    static struct parts_scene scene;
    struct mr_audit_result result;
    parts_open(&scene);
    parts_end(&scene);
    for (unsigned i = 0; i < scene.played.files_count; i++) {
        free((void *)(uintptr_t)scene.played.files[i].bytes);
    }
    scene.played.files_count = 0;
    parts_judge(&scene, 1, &result);
    assert_false(result.good);
    assert_int_equal(result.hub, -1);
    assert_non_null(strstr(result.what, "no transcript"));
    parts_close(&scene);
}

/* A root where the terms ask for none, and none where they do. */
static void test_roots_follow_the_terms(void **state)
{
    (void)state;
    struct mr_audit_result result;
    static struct parts_scene scene;
    parts_open(&scene);
    memset(scene.round.views[0].commitments[2].root, 0, MR_HASH_BYTES);
    parts_end(&scene);
    played_audit(&scene.played, &result);
    assert_false(result.good);
    assert_non_null(strstr(result.what, "hub 2 signed a commitment without a root"));
    parts_close(&scene);
}

/* --- what lies on the disk ------------------------------------------------------------------- */

static void test_sealed(void **state)
{
    (void)state;
    static struct parts_scene scene;
    struct mr_error error;
    struct mr_sealed_reader *reader;
    const uint8_t *unit;
    size_t length;
    int torn;
    char path[MR_KEPT_PATH_BYTES];
    parts_open(&scene);
    parts_end(&scene);
    assert_int_equal(mr_kept_path(path, scene.folders[1], ROUND, 1), 0);
    FILE *file = fopen(path, "rb");
    static uint8_t bytes[1 << 16];
    const size_t read = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (unsigned i = 0; i < DEVICES; i++) { /* no seed is there in the clear */
        assert_null(memmem(bytes, read, scene.seeds[1][i], MR_SEED_BYTES));
    }
    assert_int_equal(mr_sealed_reader_open(&reader, path, scene.played.keys[2].private_key, &error),
                     0);
    assert_int_equal(mr_sealed_reader_next(reader, &unit, &length, &torn, &error), 0);
    assert_true(torn); /* another hub's key opens nothing */
    mr_sealed_reader_close(reader);
    assert_int_equal(truncate(path, (off_t)read - 1), 0);
    assert_int_equal(mr_sealed_reader_open(&reader, path, scene.played.keys[1].private_key, &error),
                     0);
    unsigned units = 0;
    while (mr_sealed_reader_next(reader, &unit, &length, &torn, &error) == 1) {
        units++;
    }
    assert_int_equal(units, 1 + 4); /* the last of six is torn */
    assert_true(torn);
    mr_sealed_reader_close(reader);
    parts_close(&scene);
}

static unsigned files_in(const char *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

/* Destroyed when the hours are over, neither before nor while the round is under way. */
static void test_destroyed(void **state)
{
    (void)state;
    static struct parts_scene scene;
    struct mr_error error;
    unsigned removed;
    uint32_t count;
    char path[MR_KEPT_PATH_BYTES], copy[160];
    parts_open(&scene);
    parts_end(&scene);
    snprintf(copy, sizeof copy, "%.100s/copy", scene.played.dir);
    const struct mr_kept_place place = parts_place(&scene, 1);
    const uint64_t until = scene.round.views[0].terms.announcement.deadline_unix_ms + 24 * HOUR_MS;
    assert_int_equal(mr_kept_sweep(scene.folders[1], until - 1, 0, &removed, &error), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(mr_kept_sweep(scene.folders[1], until, ROUND, &removed, &error), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(files_in(scene.folders[1]), 2);
    assert_int_equal(mr_kept_path(path, scene.folders[1], ROUND, 2), 0);
    assert_int_equal(link(path, copy), 0); /* whoever holds the file open */
    assert_int_equal(mr_kept_sweep(scene.folders[1], until, 0, &removed, &error), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(files_in(scene.folders[1]), 0);
    struct mr_sealed_reader *reader;
    assert_int_equal(mr_sealed_reader_open(&reader, copy, place.private_key, &error), 1);
    snprintf(path, sizeof path, "%.150s/part", scene.folders[1]);
    assert_int_equal(mr_part_export(&place, path, &count, &error), -1);
    assert_non_null(strstr(error.text, "nothing is kept of round 5"));
    parts_close(&scene);
}

/* A part that is cut off, longer, or out of order is none. */
static void test_damaged_part(void **state)
{
    (void)state;
    static struct parts_scene scene;
    struct mr_error error;
    struct mr_part part;
    struct stat about;
    char path[MR_KEPT_PATH_BYTES];
    struct mr_audit_result result;
    parts_open(&scene);
    parts_end(&scene);
    parts_judge(&scene, 1, &result);
    snprintf(path, sizeof path, "%.150s/part", scene.folders[1]);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size - 1), 0);
    assert_int_equal(mr_part_recompute(&part, path, scene.kernels, &error), -1);
    assert_non_null(strstr(error.text, "is cut off"));
    assert_int_equal(truncate(path, about.st_size + 1), 0);
    assert_int_equal(mr_part_recompute(&part, path, scene.kernels, &error), -1);
    assert_non_null(strstr(error.text, "more than its devices"));
    FILE *file = fopen(path, "r+b");
    fseek(file, about.st_size - 84, SEEK_SET); /* the last entry's client */
    fputc(0, file);
    fclose(file);
    assert_int_equal(truncate(path, about.st_size), 0);
    assert_int_equal(mr_part_recompute(&part, path, scene.kernels, &error), -1);
    assert_non_null(strstr(error.text, "do not rise"));
    parts_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest),        cmocka_unit_test(test_offset),
        cmocka_unit_test(test_other_tree),    cmocka_unit_test(test_other_set),
        cmocka_unit_test(test_no_transcript), cmocka_unit_test(test_roots_follow_the_terms),
        cmocka_unit_test(test_sealed),        cmocka_unit_test(test_destroyed),
        cmocka_unit_test(test_damaged_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
