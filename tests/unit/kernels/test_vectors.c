/* test_vectors.c - mask expansion at every ISA level against the published vectors
 * (tests/vectors/share.json) and against OpenSSL's AES-128-CTR. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "kernels/kernels.h"

static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512, MR_CPU_NEON};
#define LEVELS (sizeof levels / sizeof *levels)

static json_t *vectors;

static const char *text_of(const char *group, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(vectors, group), name));
    assert_non_null(text);
    return text;
}

static unsigned number_of(const char *group, const char *name)
{
    const json_t *value = json_object_get(json_object_get(vectors, group), name);
    assert_true(json_is_integer(value));
    return (unsigned)json_integer_value(value);
}

static size_t hex_of(uint8_t *out, size_t room, const char *group, const char *name)
{
    const char *text = text_of(group, name);
    const size_t len = strlen(text) / 2;
    assert_true(len <= room);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(sscanf(text + 2 * i, "%2hhx", &out[i]), 1);
    }
    return len;
}

static void assert_sha256(const uint8_t *data, size_t bytes, const char *group, const char *name)
{
    uint8_t want[32], got[32];
    assert_int_equal(hex_of(want, sizeof want, group, name), sizeof want);
    assert_int_equal(EVP_Digest(data, bytes, got, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(got, want, sizeof want);
}

/* The mask of the vectors' formula, key ‖ counter. */
static void derive(struct mr_mask_stream *mask, unsigned hub, unsigned attempt)
{
    const char *label = text_of("mask", "label");
    const char *task = text_of("mask", "task");
    uint8_t seed[32], input[128], out[32];
    size_t len = 0;

    assert_int_equal(hex_of(seed, sizeof seed, "mask", "seed"), sizeof seed);
    input[len++] = (uint8_t)strlen(label);
    memcpy(input + len, label, strlen(label));
    len += strlen(label);
    input[len++] = (uint8_t)strlen(task);
    memcpy(input + len, task, strlen(task));
    len += strlen(task);
    len += hex_of(input + len, sizeof input - len, "mask", "announcement_hash");
    len += hex_of(input + len, sizeof input - len, "mask", "client_id");
    const uint8_t numbers[6] = {(uint8_t)(hub >> 8),      (uint8_t)hub,
                                (uint8_t)(attempt >> 24), (uint8_t)(attempt >> 16),
                                (uint8_t)(attempt >> 8),  (uint8_t)attempt};
    memcpy(input + len, numbers, sizeof numbers);
    len += sizeof numbers;
    assert_non_null(HMAC(EVP_sha256(), seed, sizeof seed, input, len, out, NULL));
    mr_mask_stream_init(mask, out, out + 16);
}

static void test_mask(void **state)
{
    (void)state;
    struct mr_mask_stream mask, derived;
    uint8_t key[16], counter[16], first[16], out[2048];

    hex_of(key, sizeof key, "mask", "key_hex");
    hex_of(counter, sizeof counter, "mask", "counter_hex");
    hex_of(first, sizeof first, "mask", "first16");
    mr_mask_stream_init(&mask, key, counter);
    derive(&derived, number_of("mask", "hub_index_be16"), number_of("mask", "attempt_be32"));
    assert_memory_equal(&mask, &derived, sizeof mask);
    for (size_t l = 0; l < LEVELS; l++) {
        const struct mr_kernels *k = mr_kernels_at(levels[l]);
        if (k) {
            k->mask_expand(out, &mask, 0, sizeof out);
            assert_memory_equal(out, first, sizeof first);
            assert_sha256(out, sizeof out, "mask", "sha256_of_2048");
        }
    }
}

static void test_mask_long(void **state)
{
    (void)state;
    const size_t bytes = 1048576, cut = 1408;
    struct mr_mask_stream mask;
    uint8_t *out = malloc(bytes);

    assert_non_null(out);
    derive(&mask, number_of("mask_long", "hub_index_be16"), number_of("mask_long", "attempt_be32"));
    for (size_t l = 0; l < LEVELS; l++) {
        const struct mr_kernels *k = mr_kernels_at(levels[l]);
        if (k) {
            /* In two calls: the second starts in the middle of the stream. */
            memset(out, 0, bytes);
            k->mask_expand(out, &mask, 0, cut);
            k->mask_expand(out + cut, &mask, cut, bytes - cut);
            assert_sha256(out, bytes, "mask_long", "sha256_of_1048576");
        }
    }
    free(out);
}

static void test_counter_carry(void **state)
{
    (void)state;
    struct mr_mask_stream mask;
    uint8_t key[16], counter[16], want[64], out[64];

    hex_of(key, sizeof key, "ctr_carry_64bit", "key");
    hex_of(counter, sizeof counter, "ctr_carry_64bit", "counter");
    assert_int_equal(hex_of(want, sizeof want, "ctr_carry_64bit", "keystream64"), sizeof want);
    mr_mask_stream_init(&mask, key, counter);
    for (size_t l = 0; l < LEVELS; l++) {
        const struct mr_kernels *k = mr_kernels_at(levels[l]);
        for (size_t offset = 0; k && offset < sizeof want; offset += 16) {
            k->mask_expand(out, &mask, offset, sizeof want - offset);
            assert_memory_equal(out, want + offset, sizeof want - offset);
        }
    }
}

/* out = the first `bytes` of OpenSSL's AES-128-CTR key stream. */
static void openssl_expand(uint8_t *out, const uint8_t key[16], const uint8_t counter[16],
                           size_t bytes)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    assert_non_null(ctx);
    memset(out, 0, bytes);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, counter), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, out, (int)bytes), 1);
    assert_int_equal(len, bytes);
    EVP_CIPHER_CTX_free(ctx);
}

/* Random keys; counters random or so near to a carry that it falls anywhere in the batches. */
static void test_openssl(void **state)
{
    (void)state;
    static uint8_t want[4096], out[4096];
    for (unsigned round = 0; round < 400; round++) {
        struct mr_mask_stream mask;
        uint8_t key[16], counter[16], pick[4];
        RAND_bytes(key, sizeof key);
        RAND_bytes(counter, sizeof counter);
        RAND_bytes(pick, sizeof pick);
        const size_t ones = round % 4 == 0 ? 0 : round % 4 == 1 ? 7 : round % 4 == 2 ? 15 : 3;
        memset(counter + 16 - 1 - ones, 0xff, ones);
        const size_t bytes = (size_t)(pick[0] | pick[1] << 8) % sizeof want + 1;
        const size_t offset = (size_t)(pick[2] | pick[3] << 8) % bytes / 16 * 16;
        openssl_expand(want, key, counter, bytes);
        mr_mask_stream_init(&mask, key, counter);
        for (size_t l = 0; l < LEVELS; l++) {
            const struct mr_kernels *k = mr_kernels_at(levels[l]);
            if (k) {
                k->mask_expand(out, &mask, offset, bytes - offset);
                assert_memory_equal(out, want + offset, bytes - offset);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_long),
        cmocka_unit_test(test_counter_carry),
        cmocka_unit_test(test_openssl),
    };
    json_error_t error;
    if (argc != 2) {
        fprintf(stderr, "usage: %s share.json\n", argv[0]);
        return 2;
    }
    vectors = json_load_file(argv[1], 0, &error);
    if (!vectors) {
        fprintf(stderr, "%s:%d: %s\n", argv[1], error.line, error.text);
        return 2;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
