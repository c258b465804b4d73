/* test_import.c - model files from outside: what is taken, to which bytes, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/model/import.h"
#include "wire/safetensors.h"

/* A file of that header and data. */
static uint8_t *file_of(const char *header, const void *data, size_t data_bytes, size_t *length)
{
    const uint64_t header_bytes = strlen(header);
    uint8_t *bytes = malloc(8 + header_bytes + data_bytes);
    memcpy(bytes, &header_bytes, 8);
    memcpy(bytes + 8, header, header_bytes);
    memcpy(bytes + 8 + header_bytes, data, data_bytes);
    *length = 8 + header_bytes + data_bytes;
    return bytes;
}

static void refused(const char *header, size_t data_bytes, const char *word)
{
    uint8_t *out, data[64] = {0};
    size_t length, out_length;
    struct mr_error error = {""};
    uint8_t *bytes = file_of(header, data, data_bytes, &length);
    assert_int_equal(mr_import_convert(bytes, length, &out, &out_length, &error), -1);
    assert_null(out);
    if (!strstr(error.text, word)) {
        fail_msg("\"%s\" is not in: %s", word, error.text);
    }
    free(bytes);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const others[] = {"F64", "I64", "I8", "BOOL", "F8_E4M3"};
    char header[200];
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(header, sizeof header,
                 "{\"a.count\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,8]}}",
                 others[i]);
        refused(header, 8, "\"a.count\" has dtype");
        refused(header, 8, others[i]);
    }
    refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype none");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,3]}}", 3, "do not fit");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[2,6]}}", 6,
            "does not begin");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 4, "do not cover");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,4]}}", 4, "shape");
    refused("[]", 4, "");
    refused("{", 4, "");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[-2,0]}}", 2, "do not fit");
}

/* Byte for byte. */
static void test_f32_stays(void **state)
{
    (void)state;
    const float values[] = {1, -2};
    size_t length, out_length;
    uint8_t *out;
    struct mr_error error;
    uint8_t *bytes = file_of("{ \"a\" :{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                             values, sizeof values, &length);
    assert_int_equal(mr_import_convert(bytes, length, &out, &out_length, &error), 0);
    assert_null(out);
    assert_int_equal(out_length, length);
    free(bytes);
}

/* Every half there is, against what its parts say. */
static void test_every_half(void **state)
{
    (void)state;
    uint16_t *halves = malloc(65536 * sizeof *halves);
    size_t length, out_length;
    uint8_t *out;
    struct mr_error error = {""};
    struct mr_safetensors model;
    for (unsigned i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    for (unsigned bf = 0; bf < 2; bf++) {
        uint8_t *bytes = file_of(
            bf ? "{\"a\":{\"dtype\":\"BF16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}"
               : "{\"a\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}",
            halves, 131072, &length);
        assert_int_equal(mr_import_convert(bytes, length, &out, &out_length, &error), 0);
        assert_int_equal(mr_safetensors_parse(&model, out, out_length, &error), 0);
        assert_int_equal(model.data_offset % 64, 0);
        for (unsigned i = 0; i < 65536; i++) {
            const int bias = bf ? 127 : 15, bits = bf ? 7 : 10;
            const int exponent = (int)(i >> bits) & (bf ? 255 : 31);
            const unsigned fraction = i & ((1u << bits) - 1);
            const double size = exponent == 2 * bias + 1 ? (fraction ? NAN : INFINITY)
                                : exponent
                                    ? ldexp((double)(fraction | 1u << bits), exponent - bias - bits)
                                    : ldexp((double)fraction, 1 - bias - bits);
            float value;
            memcpy(&value, out + model.data_offset + 4 * (size_t)i, 4);
            const double expected = i & 0x8000 ? -size : size;
            assert_true(isnan(size) ? isnan(value)
                                    : (double)value >= expected && (double)value <= expected);
            assert_int_equal(!!signbit(value), i >> 15);
        }
        mr_safetensors_fini(&model);
        free(out);
        free(bytes);
    }
    free(halves);
}

/* Kinds side by side: places in the data, names, shapes and metadata stay. */
static void test_mixed(void **state)
{
    (void)state;
    const uint8_t data[] = {0x00, 0x3c, 0x00, 0xc0, 0, 0, 0x40, 0x40, 0x80, 0x3f};
    size_t length, out_length;
    uint8_t *out;
    char text[20];
    struct mr_error error = {""};
    struct mr_safetensors model;
    uint8_t *bytes = file_of("{\"last\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]},"
                             "\"__metadata__\":{\"of\":\"me\"},"
                             "\"first\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
                             "\"mid\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}",
                             data, sizeof data, &length);
    assert_int_equal(mr_import_convert(bytes, length, &out, &out_length, &error), 0);
    assert_int_equal(mr_safetensors_parse(&model, out, out_length, &error), 0);
    const float expected[] = {1, -2, 3, 1};
    assert_memory_equal(out + model.data_offset, expected, sizeof expected);
    assert_string_equal(model.tensors[0].name, "first");
    assert_int_equal(model.tensors[0].rank, 2);
    assert_string_equal(model.tensors[2].name, "last");
    assert_int_equal(mr_safetensors_text(out, out_length, "of", text, sizeof text), 0);
    assert_string_equal(text, "me");
    assert_int_equal(mr_safetensors_text(out, out_length, "by", text, sizeof text), 1);
    mr_safetensors_fini(&model);
    free(out);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_f32_stays),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
