/* test_mapped.c - which models stay mapped, and that what was just written is compared. */
#include "tests/unit/appliance/model/store_scene.h"

#include <dirent.h>
#include <unistd.h>

#include "appliance/model/store_internal.h"
#include "base/bytes.h"

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

/* Files of that kind in the folder of models. */
static unsigned count_files(const char *dir, const char *end)
{
    char path[4096];
    unsigned count = 0;
    sprintf(path, "%s/data/models", dir);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const size_t length = strlen(entry->d_name), of_end = strlen(end);
        count += length > of_end && strcmp(entry->d_name + length - of_end, end) == 0;
    }
    closedir(folder);
    return count;
}

static void assert_stored(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t *bytes)
{
    size_t length;
    struct mr_error error = {.text = ""};
    struct mr_model *model = mr_store_borrow(store, hash, &error);
    assert_non_null(model);
    const uint8_t *stored = mr_model_bytes(model, &length);
    assert_memory_equal(stored, bytes, length);
    mr_store_return(store, model);
}

/* What is written ahead is no model until it is written, and nothing of it piles up. */
static void test_store_writes_ahead(void **state)
{
    const char *dir = *state;
    uint8_t first[MR_HASH_BYTES], hashes[2][MR_HASH_BYTES];
    uint8_t *bytes[2];
    size_t length;
    struct mr_error error = {.text = ""};
    struct mr_store *store = open_store(dir, write_initial(dir, first));
    for (unsigned i = 0; i < 2; i++) {
        bytes[i] = make_model((float)i + 2.0f, &length, hashes[i]);
        assert_int_equal(mr_store_write_ahead(store, hashes[i], bytes[i], length, &error), 0);
        assert_int_equal(count_files(dir, ".safetensors"), 1);
        assert_int_equal(count_files(dir, ".tmp"), 1);
        assert_null(mr_store_borrow(store, hashes[i], &error));
    }
    assert_int_equal(mr_store_write_model(store, hashes[1], bytes[1], length, "{}", &error), 0);
    assert_int_equal(count_files(dir, ".tmp"), 0);
    assert_stored(store, hashes[1], bytes[1]);
    /* Another one is written; and one whose file somebody has cleared away. */
    assert_int_equal(mr_store_write_ahead(store, hashes[1], bytes[1], length, &error), 0);
    assert_int_equal(mr_store_write_model(store, hashes[0], bytes[0], length, "{}", &error), 0);
    assert_int_equal(count_files(dir, ".tmp"), 0);
    assert_stored(store, hashes[0], bytes[0]);
    for (unsigned i = 0; i < 2; i++) {
        char path[MR_STORE_PATH_BYTES];
        mr_store_model_path(path, store, hashes[i], "safetensors");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mr_store_write_ahead(store, hashes[i], bytes[i], length, &error), 0);
        mr_store_model_path(path, store, hashes[i], "safetensors.tmp");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mr_store_write_model(store, hashes[i], bytes[i], length, "{}", &error), 0);
        assert_stored(store, hashes[i], bytes[i]);
    }
    assert_int_equal(mr_store_write_ahead(store, hashes[1], bytes[1], length, &error), 0);
    mr_store_close(store);
    assert_int_equal(count_files(dir, ".tmp"), 0);
    free(bytes[0]);
    free(bytes[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)
    const struct CMUnitTest tests[] = {
        T(test_store_checks_what_it_wrote),
        T(test_store_keeps_the_bases_of_deltas),
        T(test_store_writes_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
