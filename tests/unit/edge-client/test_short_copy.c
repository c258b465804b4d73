/* test_short_copy.c - an installed model in 16 bits: which type, which bytes, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "edge-client/release/short_copy.h"

#define HEADER                                                                                     \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"                              \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1500],\"data_offsets\":[8,6008]}}"
#define VALUES 1502

static char folder[] = "/tmp/millrace-short-XXXXXX";
static char from[64], to[64];

static float value(unsigned i)
{
    return i == 0 ? 0.1f : i == 1 ? 70000.0f : 0.001f * (float)i;
}

/* The header is not padded: the values begin at any byte. */
static void write_model(const char *metadata)
{
    FILE *file = fopen(from, "wb");
    assert_non_null(file);
    const uint64_t length = 1 + strlen(metadata) + strlen(HEADER);
    assert_int_equal(fwrite(&length, sizeof length, 1, file), 1);
    fprintf(file, "{%s%s", metadata, HEADER);
    for (unsigned i = 0; i < VALUES; i++) {
        const float one = value(i);
        assert_int_equal(fwrite(&one, sizeof one, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "%s/from", folder);
    snprintf(to, sizeof to, "%s/to", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(from);
    unlink(to);
    return rmdir(folder);
}

/* The file is whole, its hash is the one that is kept, its numbers are the rounded ones. */
static void check_file(const struct mr_slot_model *model)
{
    static uint8_t bytes[8192];
    uint8_t hash[MR_HASH_BYTES];
    uint16_t wanted[VALUES];
    float values[VALUES];
    uint64_t head;
    FILE *file = fopen(to, "rb");
    assert_non_null(file);
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    SHA256(bytes, length, hash);
    assert_memory_equal(hash, model->opened, sizeof hash);
    memcpy(&head, bytes, sizeof head);
    assert_int_equal((8 + head) % 64, 0);
    assert_int_equal(length, 8 + head + 2 * VALUES);
    for (unsigned i = 0; i < VALUES; i++) {
        values[i] = value(i);
    }
    mre_numbers_round(model->installed_as, wanted, values, VALUES);
    assert_memory_equal(bytes + 8 + head, wanted, sizeof wanted);
    bytes[8 + head] = 0;
    const char *header = (const char *)bytes + 8;
    assert_non_null(strstr(header, model->installed_as == MRE_F16 ? "\"F16\"" : "\"BF16\""));
    assert_null(strstr(header, "\"F32\""));
    assert_non_null(strstr(header, "[4,3004]"));
}

static void test_which_type(void **state)
{
    static const enum mre_number_type types[] = {MRE_F32, MRE_F16, MRE_BF16};
    static const struct {
        const char *metadata;
        const enum mre_number_type *wanted;
        enum mre_number_type type;
    } cases[] = {
        {"", NULL, MRE_F32},
        {"", &types[1], MRE_F16},
        {"", &types[2], MRE_BF16},
        {"\"__metadata__\":{\"millrace.installed_as\":\"float16\"},", NULL, MRE_F16},
        {"\"__metadata__\":{\"millrace.installed_as\":\"bfloat16\",\"of\":\"x\"},", NULL, MRE_BF16},
        {"\"__metadata__\":{\"millrace.installed_as\":\"float16\"},", &types[0], MRE_F32},
        {"\"__metadata__\":{\"millrace.installed_as\":\"float16\"},", &types[2], MRE_BF16},
        {"\"__metadata__\":{\"millrace.installed_as\":\"float8\"},", NULL, MRE_F32},
        {"\"__metadata__\":{\"millrace.installed_as\":\"a name that is far too long\"},", NULL,
         MRE_F32},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mr_error error;
        struct mr_slot_model model = {.known = true, .model = {(uint8_t)i, 7}};
        write_model(cases[i].metadata);
        assert_int_equal(mr_short_copy(&model, from, to, cases[i].wanted, &error), 0);
        assert_int_equal(model.installed_as, cases[i].type);
        if (cases[i].type != MRE_F32) {
            check_file(&model);
            assert_int_equal(unlink(to), 0);
        } else {
            assert_int_not_equal(access(to, F_OK), 0);
            assert_memory_equal(model.opened, model.model, MR_HASH_BYTES);
        }
    }
}

static void test_refused(void **state)
{
    static const enum mre_number_type half = MRE_F16;
    struct mr_error error;
    struct mr_slot_model model = {.known = true};
    (void)state;
    write_model("");
    assert_int_equal(truncate(from, 6000), 0);
    assert_int_equal(mr_short_copy(&model, from, to, &half, &error), -1);
    assert_int_not_equal(access(to, F_OK), 0);
    assert_int_equal(mr_short_copy(&model, from, to, NULL, &error), 0); /* nobody asks for it */
    write_model("");
    assert_int_equal(mr_short_copy(&model, from, "/nowhere/to", &half, &error), -1);
    assert_non_null(strstr(error.text, "/nowhere/to cannot be written: No such file"));
    assert_int_equal(mr_short_copy(&model, "/nowhere/from", to, &half, &error), -1);
    assert_non_null(strstr(error.text, "/nowhere/from"));
    assert_non_null(strstr(error.text, "pull again"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_which_type),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
