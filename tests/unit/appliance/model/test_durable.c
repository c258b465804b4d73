/* test_durable.c - what a killed process left unsynced in versions.db's log is synced by the next
 * one before anything follows from it. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/model/store.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "store_scene.h"

#define LOG "/versions.db-wal"

/* What the test sees of the calls. */
static struct {
    bool counts;
    unsigned log_synced, renamed_before;
} seen;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    char link[64], path[PATH_MAX] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (seen.counts && length > (ssize_t)strlen(LOG)) {
        seen.log_synced += strcmp(path + length - strlen(LOG), LOG) == 0;
    }
    return __real_fdatasync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    seen.renamed_before += seen.counts && seen.log_synced == 0;
    return __real_rename(from, to);
}

/* One file of a folder into another, as a process that is killed leaves it. */
static void copy(const char *from, const char *to, const char *name)
{
    char path[500];
    struct mr_error error;
    uint8_t *bytes;
    size_t length;
    snprintf(path, sizeof path, "%s/%s", from, name);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    snprintf(path, sizeof path, "%s/%s", to, name);
    assert_int_equal(mr_file_replace(path, bytes, length, &error), 0);
    free(bytes);
}

static void test_log_of_a_killed_process(void **state)
{
    char *dir = scratch_open(), data[400], left[400], initial[500], folder[500];
    uint8_t hash[MR_HASH_BYTES];
    struct mr_store *store;
    struct mr_error error;
    size_t length;
    (void)state;
    snprintf(data, sizeof data, "%s/data", dir);
    snprintf(left, sizeof left, "%s/left", dir);
    snprintf(initial, sizeof initial, "%s/initial", dir);
    uint8_t *bytes = make_model(0, &length, hash);
    assert_int_equal(mr_file_replace(initial, bytes, length, &error), 0);
    free(bytes);
    assert_int_equal(mr_store_open(&store, data, initial, &error), 0);
    assert_int_equal(mr_dir_make(left, &error), 0);
    copy(data, left, "versions.db");
    copy(data, left, "versions.db-wal");
    mr_store_close(store);
    snprintf(folder, sizeof folder, "%s/models", left);
    assert_int_equal(mr_dir_make(folder, &error), 0);
    char hex[2 * MR_HASH_BYTES + 1], name[100], from[500];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(name, sizeof name, "%s.safetensors", hex);
    snprintf(from, sizeof from, "%s/models", data);
    copy(from, folder, name);
    copy(data, left, "current"); /* of a version before the last: here of the same one */
    seen.counts = true;
    assert_int_equal(mr_store_open(&store, left, initial, &error), 0);
    seen.counts = false;
    assert_int_equal(seen.log_synced, 1);
    assert_int_equal(seen.renamed_before, 0);
    assert_memory_equal(mr_store_current(store), hash, MR_HASH_BYTES);
    mr_store_close(store);
    scratch_close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_of_a_killed_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
