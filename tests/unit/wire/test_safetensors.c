/* test_safetensors.c - model files: writing, reading back, and hostile headers. */
#include "wire_test.h"

#include "wire/safetensors.h"
#include "wire/tensor_parts.h"

static struct mr_error error;

/* Builds le64(length) ‖ header ‖ data_bytes zeros in an allocation of its own size. */
static uint8_t *file_of(const char *header, uint64_t claimed, size_t data_bytes, size_t *length)
{
    size_t used = strlen(header);
    *length = 8 + used + data_bytes;
    uint8_t *file = calloc(1, *length);
    MR_ASSERT(file);
    memcpy(file, &claimed, 8);
    memcpy(file + 8, header, used);
    return file;
}

static int parse_claiming(const char *header, uint64_t claimed, size_t data_bytes)
{
    size_t length;
    struct mr_safetensors model;
    uint8_t *file = file_of(header, claimed, data_bytes, &length);
    int status = mr_safetensors_parse(&model, file, length, &error);
    free(file);
    if (status == 0) {
        mr_safetensors_fini(&model);
    } else {
        assert_null(model.tensors);
    }
    return status;
}

static int parse(const char *header, size_t data_bytes)
{
    return parse_claiming(header, strlen(header), data_bytes);
}

#define T(name, shape, from, to)                                                                   \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void refused(const char *header, size_t data_bytes, const char *word)
{
    assert_int_equal(parse(header, data_bytes), -1);
    if (!strstr(error.text, word)) {
        fail_msg("%s: expected \"%s\" in \"%s\"", header, word, error.text);
    }
}

static void test_write_and_read(void **state)
{
    (void)state;
    const struct mr_tensor tensors[] = {
        {.name = "w\"1\"", .dims = {3, 4}, .rank = 2},
        {.name = "bias", .dims = {5}, .rank = 1},
        {.name = "scalar", .rank = 0},
    };
    static const char want[] =
        "{\"w\\\"1\\\"\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[0,48]},"
        "\"bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[48,68]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[68,72]}}";
    size_t header_bytes;
    uint8_t *header = mr_safetensors_header(tensors, 3, &header_bytes);
    assert_non_null(header);
    assert_int_equal(header_bytes % 64, 0);
    assert_memory_equal(header + 8, want, strlen(want));
    for (size_t i = 8 + strlen(want); i < header_bytes; i++) {
        assert_int_equal(header[i], ' ');
    }

    uint8_t *file = calloc(1, header_bytes + 72);
    assert_non_null(file);
    memcpy(file, header, header_bytes);
    struct mr_safetensors model;
    assert_int_equal(mr_safetensors_parse(&model, file, header_bytes + 72, &error), 0);
    assert_int_equal(model.data_offset, header_bytes);
    assert_int_equal(model.count, 18);
    assert_int_equal(model.tensor_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(model.tensors[i].name, tensors[i].name);
        assert_int_equal(model.tensors[i].rank, tensors[i].rank);
        assert_memory_equal(model.tensors[i].dims, tensors[i].dims, sizeof tensors[i].dims);
    }
    assert_int_equal(model.tensors[1].offset, 12);
    assert_int_equal(model.tensors[1].count, 5);
    mr_safetensors_fini(&model);
    for (size_t length = 0; length < header_bytes + 72; length++) {
        uint8_t *cut = malloc(length + 1);
        assert_non_null(cut);
        memcpy(cut, file, length);
        assert_int_equal(mr_safetensors_parse(&model, cut, length, &error), -1);
        free(cut);
    }
    free(file);
    free(header);
}

static void test_order_is_that_of_the_file(void **state)
{
    (void)state;
    size_t length;
    struct mr_safetensors model;
    static const char header[] =
        "{" T("b", "[2]", 4, 12) ",\"__metadata__\":{\"format\":\"pt\"}," T("a", "[1]", 0, 4) "} ";
    uint8_t *file = file_of(header, strlen(header), 12, &length);
    assert_int_equal(mr_safetensors_parse(&model, file, length, &error), 0);
    assert_int_equal(model.tensor_count, 2);
    assert_string_equal(model.tensors[0].name, "a");
    assert_string_equal(model.tensors[1].name, "b");
    mr_safetensors_fini(&model);
    free(file);
}

static void test_lengths(void **state)
{
    (void)state;
    static const char header[] = "{" T("a", "[1]", 0, 4) "}";
    assert_int_equal(parse(header, 4), 0);
    const uint64_t claims[] = {0,
                               1,
                               8,
                               strlen(header) + 5,
                               MR_SAFETENSORS_HEADER_MAX + 1,
                               UINT64_C(1) << 32,
                               UINT64_C(1) << 63,
                               UINT64_MAX - 7,
                               UINT64_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        assert_int_equal(parse_claiming(header, claims[i], 4), -1);
    }
    refused(header, 0, "cover");
    refused(header, 3, "cover");
    refused(header, 8, "cover");
}

static void test_tiling(void **state)
{
    (void)state;
    assert_int_equal(parse("{" T("a", "[1]", 0, 4) "," T("b", "[1]", 4, 8) "}", 8), 0);
    refused("{" T("a", "[1]", 0, 4) "," T("b", "[1]", 8, 12) "}", 12, "gap");
    refused("{" T("a", "[1]", 4, 8) "}", 8, "gap");
    refused("{" T("a", "[2]", 0, 8) "," T("b", "[1]", 4, 8) "}", 8, "overlap");
    refused("{" T("a", "[1]", 0, 4) "," T("b", "[1]", 0, 4) "}", 4, "overlap");
    refused("{" T("a", "[1]", 2, 6) "}", 8, "range");
    refused("{" T("a", "[1]", 4, 0) "}", 4, "range");
    refused("{" T("a", "[1]", -4, 0) "}", 4, "range");
    refused("{" T("a", "[2]", 0, 4) "}", 4, "shape");
    refused("{" T("a", "[1]", 0, 9223372036854775804) "}", 4, "range");
}

static void test_overflows(void **state)
{
    (void)state;
    refused("{" T("a", "[4294967296]", 0, 0) "}", 0, "dimension");
    refused("{" T("a", "[1073741824,1073741824]", 0, 4) "}", 4, "floats");
    refused("{" T("a", "[65536,65536,65536,65536]", 0, 0) "}", 0, "floats");
    refused("{" T("a", "[18446744073709551616]", 0, 0) "}", 0, "JSON");
    refused("{" T("a", "[0]", 0, 0) "}", 0, "dimension");
    refused("{" T("a", "[-1]", 0, 0) "}", 0, "dimension");
    refused("{" T("a", "[1.0]", 0, 4) "}", 4, "dimension");
    refused("{" T("a", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "shape");
}

static void test_wrong_types(void **state)
{
    (void)state;
    refused("{}", 0, "tensors");
    refused("[]", 0, "JSON");
    refused(" {}", 0, "JSON");
    refused("{\"a\":1}", 4, "only");
    refused("{\"a\":{}}", 4, "only");
    refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "F32");
    refused("{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "F32");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
            "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4]}}", 4,
            "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", 4, "only");
    refused("{" T("a", "[1]", 0, 4) "," T("a", "[1]", 4, 8) "}", 8, "JSON");
    refused("{\"__metadata__\":{\"a\":1}," T("a", "[1]", 0, 4) "}", 4, "texts");
    refused("{\"__metadata__\":[]," T("a", "[1]", 0, 4) "}", 4, "__metadata__");
    refused("{\"__metadata__\":{}}", 0, "tensors");
}

static void test_deep_and_many(void **state)
{
    (void)state;
    char *header = malloc(MR_SAFETENSORS_HEADER_MAX + 1);
    assert_non_null(header);
    memset(header, '[', 500000);
    memcpy(header, "{\"a\":", 5);
    header[500000] = '\0';
    refused(header, 4, "JSON");
    size_t used = 1;
    header[0] = '{';
    for (unsigned i = 0; i <= MR_SAFETENSORS_TENSORS_MAX; i++) {
        used += (size_t)sprintf(header + used,
                                "%s\"t%u\":{\"dtype\":\"F32\",\"shape\":[1],"
                                "\"data_offsets\":[%u,%u]}",
                                i > 0 ? "," : "", i, 4 * i, 4 * i + 4);
    }
    strcpy(header + used, "}");
    refused(header, 4 * (MR_SAFETENSORS_TENSORS_MAX + 1), "tensors");
    free(header);
}

/* --- who trains which tensor ------------------------------------------------------------------ */

#define FILE_OF(metadata)                                                                          \
    "{\"__metadata__\":{" metadata "}," T("a.w", "[2]", 0, 8) "," T("a.b", "[1]", 8, 12) "," T(    \
        "b", "[3]", 12, 24) "," T("c", "[1]", 24, 28) "}"

static void parts_are(const char *header, const char *parts, unsigned spans)
{
    size_t length, trained = 0;
    struct mr_safetensors model;
    uint8_t *file = file_of(header, strlen(header), 28, &length);
    assert_int_equal(mr_safetensors_parse(&model, file, length, &error), 0);
    uint8_t *data = file + model.data_offset;
    float in[7], out[7] = {0}, back[7];
    for (unsigned i = 0; i < 7; i++) {
        in[i] = (float)(i + 1);
    }
    memcpy(data, in, sizeof in);
    mr_tensor_parts_gather(&model, out, data);
    for (unsigned i = 0; i < 7; i++) {
        if (parts[i] == 't') {
            assert_true(out[trained] == in[i]);
            const struct mr_tensor_span *span = mr_tensor_parts_span(&model, trained);
            assert_int_equal(span->at + trained - span->first, i);
            out[trained++] = -in[i];
        }
    }
    assert_int_equal(model.trained, trained);
    assert_int_equal(model.span_count, spans);
    mr_tensor_parts_scatter(&model, data, out);
    memcpy(back, data, sizeof back);
    for (unsigned i = 0; i < 7; i++) {
        assert_true(back[i] == (parts[i] == 't' ? -in[i] : in[i]));
    }
    mr_safetensors_fini(&model);
    free(file);
}

static void test_parts(void **state)
{
    (void)state;
    parts_are(FILE_OF("\"x\":\"\""), "ttttttt", 1);
    parts_are(FILE_OF("\"millrace.frozen\":\"\""), "ttttttt", 1);
    parts_are(FILE_OF("\"millrace.frozen\":\"b\""), "tttffft", 2);
    parts_are(FILE_OF("\"millrace.frozen\":\"a.*\""), "ffftttt", 1);
    parts_are(FILE_OF("\"millrace.frozen\":\"a.b,c\""), "ttftttf", 2);
    parts_are(FILE_OF("\"millrace.frozen\":\"a.b\",\"millrace.personal\":\"c,a.w\""), "ffftttf", 1);
    refused(FILE_OF("\"millrace.frozen\":\"a\""), 28, "no such tensor");
    refused(FILE_OF("\"millrace.personal\":\"d*\""), 28, "millrace.personal names \"d*\"");
    refused(FILE_OF("\"millrace.frozen\":\",b\""), 28, "no such tensor");
    refused(FILE_OF("\"millrace.frozen\":\"*\""), 28, "none is left");
    refused(FILE_OF("\"millrace.frozen\":\"a.*\",\"millrace.personal\":\"a.b\""), 28, "both");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_order_is_that_of_the_file),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_tiling),
        cmocka_unit_test(test_overflows),      cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_deep_and_many),  cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
