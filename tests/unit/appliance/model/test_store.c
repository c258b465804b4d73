/* test_store.c - the store: written, read back, torn, damaged. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "appliance/storage/files.h"
#include "appliance/model/store.h"
#include "tests/unit/appliance/model/store_scene.h"
#include "tests/unit/appliance/storage/scratch.h"

/* A file that may not grow fails as on a full disk: the old one stays, nothing beside it. */
static void test_no_room(void **state)
{
    char path[300], beside[310];
    uint8_t *bytes, kept[] = "old", more[4096] = {0};
    size_t length;
    struct mr_error error;
    struct rlimit before, little;
    snprintf(path, sizeof path, "%s/file", (const char *)*state);
    snprintf(beside, sizeof beside, "%s.tmp", path);
    put(path, kept, sizeof kept);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    const int result = mr_file_replace(path, more, sizeof more, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(result, -1);
    assert_non_null(strstr(error.text, "is the disk full?"));
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    assert_int_equal(length, sizeof kept);
    assert_memory_equal(bytes, kept, sizeof kept);
    free(bytes);
}

/* --- the store ------------------------------------------------------------------------------- */

static void test_store(void **state)
{
    const char *dir = *state;
    uint8_t first[MR_HASH_BYTES], next[MR_HASH_BYTES], signed_hash[MR_HASH_BYTES];
    struct mr_error error = {.text = ""};
    size_t length;
    struct mr_store *store = open_store(dir, write_initial(dir, first));
    assert_memory_equal(mr_store_current(store), first, MR_HASH_BYTES);
    assert_int_equal(mr_store_signed_round(store, signed_hash), 0);

    uint8_t *bytes = make_model(2.0f, &length, next);
    assert_null(mr_store_borrow(store, next, &error));
    assert_int_equal(mr_store_write_model(store, next, bytes, length, "{}\n", &error), 0);
    assert_int_equal(mr_store_write_current(store, next, &error), 0);
    assert_int_equal(mr_store_write_round(store, 4, "{\"round\": 4}", bytes, 10, &error), 0);
    assert_int_equal(mr_store_write_signed(store, 4, first, &error), 0);
    struct mr_model *model = mr_store_borrow(store, next, &error);
    assert_non_null(model);
    assert_int_equal(mr_model_dimension(model), 4);
    size_t mapped;
    assert_memory_equal(mr_model_bytes(model, &mapped), bytes, length);
    assert_int_equal(mapped, length);
    mr_store_return(store, model);
    mr_store_close(store);
    free(bytes);

    store = open_store(dir, NULL); /* a new process finds it all */
    assert_memory_equal(mr_store_current(store), next, MR_HASH_BYTES);
    assert_int_equal(mr_store_signed_round(store, signed_hash), 4);
    assert_memory_equal(signed_hash, first, MR_HASH_BYTES);
    char *record, path[4096];
    assert_int_equal(mr_store_read_round(store, 4, &record, &error), 0);
    assert_string_equal(record, "{\"round\": 4}");
    free(record);
    assert_int_equal(mr_store_read_round(store, 5, &record, &error), 1);
    assert_null(record);
    sprintf(path, "%s/data/rounds/6.json", dir);
    assert_int_equal(mkdir(path, 0700), 0); /* there, but no file to read */
    assert_int_equal(mr_store_read_round(store, 6, &record, &error), -1);
    assert_null(record);
    assert_non_null(strstr(error.text, "6.json"));
    mr_store_close(store);
}

static void test_store_refuses_damage(void **state)
{
    const char *dir = *state;
    char path[4096];
    uint8_t hash[MR_HASH_BYTES];
    struct mr_store *store;
    struct mr_error error;
    sprintf(path, "%s/none", dir);
    assert_int_equal(mr_store_open(&store, path, "", &error), -1);
    assert_non_null(strstr(error.text, "initial_model_file"));

    mr_store_close(open_store(dir, write_initial(dir, hash)));
    sprintf(path, "%s/data/signed-round", dir);
    put(path, (const uint8_t *)"seven", 5);
    sprintf(path, "%s/data", dir);
    assert_int_equal(mr_store_open(&store, path, NULL, &error), -1);
    assert_non_null(strstr(error.text, "signed-round"));
    sprintf(path, "%s/data/signed-round", dir);
    unlink(path);

    /* One bit of the current model on disk. */
    char hex[2 * MR_HASH_BYTES + 1];
    uint8_t *bytes;
    size_t length;
    for (unsigned i = 0; i < MR_HASH_BYTES; i++) {
        sprintf(hex + 2 * i, "%02x", hash[i]);
    }
    sprintf(path, "%s/data/models/%s.safetensors", dir, hex);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    bytes[length - 1] ^= 1;
    put(path, bytes, length);
    free(bytes);
    sprintf(path, "%s/data", dir);
    assert_int_equal(mr_store_open(&store, path, NULL, &error), -1);
    assert_non_null(strstr(error.text, "damaged"));
}

#define MANY 100

/* A store with so many models, none of them borrowed. */
static struct mr_store *open_full(const char *dir, uint8_t hashes[MANY][MR_HASH_BYTES])
{
    uint8_t first[MR_HASH_BYTES];
    struct mr_error error = {.text = ""};
    struct mr_store *store = open_store(dir, write_initial(dir, first));
    for (unsigned i = 0; i < MANY; i++) {
        size_t length;
        uint8_t *bytes = make_model((float)i + 3.0f, &length, hashes[i]);
        assert_int_equal(mr_store_write_model(store, hashes[i], bytes, length, "{}", &error), 0);
        free(bytes);
        struct mr_model *model = mr_store_borrow(store, hashes[i], &error);
        assert_non_null(model);
        mr_store_return(store, model);
    }
    mr_store_adopt(store, first); /* the last one that was written is not current: mapped no more */
    return store;
}

static void give_back(struct mr_store *store, struct mr_model **held, unsigned count)
{
    while (count--) {
        mr_store_return(store, held[count]);
    }
}

static void test_store_maps_a_bounded_number(void **state)
{
    uint8_t hashes[MANY][MR_HASH_BYTES];
    struct mr_error error = {.text = ""};
    struct mr_model *held[MANY];
    unsigned count = 0;
    struct mr_store *store = open_full(*state, hashes);
    assert_int_equal(mapped_models(), KEPT); /* … while nobody borrows any */
    while (count < MANY && (held[count] = mr_store_borrow(store, hashes[count], &error)) != NULL) {
        count++;
    }
    assert_true(count >= 8 && count < MANY);
    assert_int_equal(mapped_models(), count);
    give_back(store, held, count);
    assert_int_equal(mapped_models(), KEPT);
    held[0] = mr_store_borrow(store, hashes[0], &error);
    mr_store_close(store); /* with the last loan, not before */
    assert_int_equal(mapped_models(), KEPT + 1);
    mr_store_return(store, held[0]);
    assert_int_equal(mapped_models(), 0);
}

/* Whoever holds what he is given of old models, and each current one as it becomes old, keeps the
 * hub from none of its own, and others not from what is there. */
static void test_store_keeps_places_for_the_hub(void **state)
{
    uint8_t hashes[MANY][MR_HASH_BYTES];
    struct mr_error error = {.text = ""};
    struct mr_model *held[MANY], *own[2], *again;
    unsigned count = 0, round = 0;
    bool busy;
    struct mr_store *store = open_full(*state, hashes);
    while ((held[count] = mr_store_lend(store, hashes[count], &busy, &error)) != NULL) {
        assert_false(busy);
        assert_true(++count < MANY / 2);
    }
    assert_true(busy);
    again = mr_store_lend(store, hashes[0], &busy, &error); /* it is there */
    assert_non_null(again);
    mr_store_return(store, again);
    const unsigned old = count;
    for (round = count; round + 1 < MANY; round++) {
        mr_store_adopt(store, hashes[round]);
        for (unsigned i = 0; i < 2; i++) { /* the lead's parent, and a helper's of another lead */
            own[i] = mr_store_borrow(store, hashes[round + i], &error);
            assert_non_null(own[i]);
        }
        give_back(store, own, 2);
        held[count] = mr_store_lend(store, hashes[round], &busy, &error);
        count += held[count] ? 1 : 0;
    }
    assert_true(busy && count >= old + 20);
    give_back(store, held, count);
    const uint8_t none[MR_HASH_BYTES] = {0};
    assert_true(!mr_store_lend(store, none, &busy, &error) && !busy);
    mr_store_close(store);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)
    const struct CMUnitTest tests[] = {
        T(test_no_room),
        T(test_store),
        T(test_store_refuses_damage),
        T(test_store_maps_a_bounded_number),
        T(test_store_keeps_places_for_the_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
