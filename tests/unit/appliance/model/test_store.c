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
#include "appliance/model/store_internal.h"
#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/safetensors.h"

static int open_scratch(void **state)
{
    *state = scratch_open();
    return 0;
}

static int close_scratch(void **state)
{
    scratch_close(*state);
    return 0;
}

static void put(const char *path, const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

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

static uint8_t *make_model(float value, size_t *length, uint8_t hash[MR_HASH_BYTES])
{
    const struct mr_tensor tensor = {.name = "w", .dims = {4}, .rank = 1, .count = 4};
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    *length = header + 16;
    bytes = realloc(bytes, *length);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(bytes + header + 4 * i, &value, 4);
    }
    SHA256(bytes, *length, hash);
    return bytes;
}

static struct mr_store *open_store(const char *dir, const char *initial)
{
    struct mr_store *store;
    struct mr_error error = {.text = ""};
    char path[4096];
    sprintf(path, "%s/data", dir);
    if (mr_store_open(&store, path, initial, &error) != 0) {
        fail_msg("%s", error.text);
    }
    return store;
}

static char *write_initial(const char *dir, uint8_t hash[MR_HASH_BYTES])
{
    static char path[4096];
    size_t length;
    uint8_t *bytes = make_model(1.0f, &length, hash);
    sprintf(path, "%s/initial.safetensors", dir);
    put(path, bytes, length);
    free(bytes);
    return path;
}

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

/* As the kernel says it. */
static unsigned mapped_models(void)
{
    char line[8192];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, ".safetensors") ? 1 : 0;
    }
    fclose(maps);
    return count;
}

#define MANY 100
#define KEPT 5 /* of those that nobody borrows */

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

static void put_model(const char *dir, const uint8_t hash[MR_HASH_BYTES], const uint8_t *bytes,
                      size_t length)
{
    char path[4096], hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    sprintf(path, "%s/data/models/%s.safetensors", dir, hex);
    unlink(path); /* what is mapped of it stays what it was */
    put(path, bytes, length);
}

/* What was written and adopted is mapped, and held against the bytes that it was written from. */
static void test_store_checks_what_it_wrote(void **state)
{
    const char *dir = *state;
    uint8_t first[MR_HASH_BYTES], hashes[3][MR_HASH_BYTES];
    uint8_t *bytes[3];
    size_t length;
    struct mr_error error = {.text = ""};
    struct mr_store *store = open_store(dir, write_initial(dir, first));
    for (unsigned i = 0; i < 2; i++) {
        bytes[i] = make_model((float)i + 2.0f, &length, hashes[i]);
        assert_int_equal(mr_store_write_model(store, hashes[i], bytes[i], length, "{}", &error), 0);
        mr_store_adopt(store, hashes[i]);
        assert_int_equal(mapped_models(), i + 2);
    }
    /* It is that mapping which is lent: the file is another one by now. */
    put_model(dir, hashes[1], bytes[0], length);
    struct mr_model *model = mr_store_borrow(store, hashes[1], &error);
    assert_non_null(model);
    assert_memory_equal(mr_model_bytes(model, &length), bytes[1], length);
    assert_int_equal(mr_model_dimension(model), 4);
    mr_store_return(store, model);
    /* A disk that wrote something else, of the same length or not. */
    bytes[2] = make_model(4.0f, &length, hashes[2]);
    for (unsigned cut = 0; cut < 2; cut++) {
        put_model(dir, hashes[2], bytes[0], length - cut);
        mr_store_map_written(store, hashes[2], bytes[2], length);
        mr_store_adopt(store, hashes[2]);
        assert_null(mr_store_borrow(store, hashes[2], &error));
        assert_non_null(strstr(error.text, "is damaged"));
    }
    mr_store_close(store);
    assert_int_equal(mapped_models(), 0);
    for (unsigned i = 0; i < 3; i++) {
        free(bytes[i]);
    }
}

/* Round after round, and the deltas of each release begin with the three models before it: none of
 * their files is read again, and not more stay mapped than a few. */
static void test_store_keeps_the_bases_of_deltas(void **state)
{
    const char *dir = *state;
    uint8_t hashes[12][MR_HASH_BYTES];
    bool busy;
    struct mr_error error = {.text = ""};
    struct mr_store *store = open_store(dir, write_initial(dir, hashes[0]));
    for (unsigned round = 1; round < 12; round++) {
        size_t length;
        uint8_t *bytes = make_model((float)round + 1.0f, &length, hashes[round]);
        assert_int_equal(mr_store_write_model(store, hashes[round], bytes, length, "{}", &error),
                         0);
        mr_store_adopt(store, hashes[round]);
        put_model(dir, hashes[round], bytes, length - 1); /* who reads it again finds damage */
        free(bytes);
        for (unsigned back = 1; back <= 3 && back <= round; back++) {
            struct mr_model *base = mr_store_lend(store, hashes[round - back], &busy, &error);
            struct mr_model *target = mr_store_lend(store, hashes[round], &busy, &error);
            assert_true(base && target);
            mr_store_return(store, base);
            mr_store_return(store, target);
        }
        assert_true(mapped_models() <= KEPT);
    }
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
        T(test_store_checks_what_it_wrote),
        T(test_store_keeps_the_bases_of_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
