/* test_vectors.c - the key schedule, the datagram AEAD and the ring bound against the vectors that
 * were computed outside this project (tests/vectors/share.json). */
#include "wire_test.h"

#include <jansson.h>

#include "wire/aead.h"
#include "base/bytes.h"
#include "wire/keys.h"
#include "wire/layout.h"
#include "wire/share.h"

static json_t *vectors;

static json_t *member(const char *group, const char *name)
{
    json_t *value = json_object_get(json_object_get(vectors, group), name);
    assert_non_null(value);
    return value;
}

static void hex_of(uint8_t *out, size_t bytes, const char *group, const char *name)
{
    assert_int_equal(mr_hex_decode(out, bytes, json_string_value(member(group, name))), 0);
}

static unsigned number_of(const char *group, const char *name)
{
    assert_true(json_is_integer(member(group, name)));
    return (unsigned)json_integer_value(member(group, name));
}

static void assert_sha256(const uint8_t *bytes, size_t length, const char *group, const char *name)
{
    uint8_t want[32], got[32];
    hex_of(want, sizeof want, group, name);
    assert_int_equal(EVP_Digest(bytes, length, got, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(got, want, sizeof want);
}

static void derive(struct mr_mask_stream *mask, unsigned hub, unsigned attempt)
{
    uint8_t seed[32], hash[32], client[16];
    hex_of(seed, sizeof seed, "mask", "seed");
    hex_of(hash, sizeof hash, "mask", "announcement_hash");
    hex_of(client, sizeof client, "mask", "client_id");
    struct mr_key_scope scope = {json_string_value(member("mask", "task")), hash, client,
                                 (uint16_t)hub, attempt};
    assert_int_equal(mr_mask_derive(mask, seed, &scope), 0);
}

static void test_mask(void **state)
{
    (void)state;
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    struct mr_mask_stream mask;
    uint8_t key[16], counter[16], first[16], out[2048];

    derive(&mask, number_of("mask", "hub_index_be16"), number_of("mask", "attempt_be32"));
    hex_of(key, sizeof key, "mask", "key_hex");
    hex_of(counter, sizeof counter, "mask", "counter_hex");
    assert_memory_equal(mask.round_keys[0], key, sizeof key); /* the schedule starts with the key */
    assert_memory_equal(mask.counter, counter, sizeof counter);
    kernels->mask_expand(out, &mask, 0, sizeof out);
    hex_of(first, sizeof first, "mask", "first16");
    assert_memory_equal(out, first, sizeof first);
    assert_sha256(out, sizeof out, "mask", "sha256_of_2048");
}

static void test_mask_long(void **state)
{
    (void)state;
    const size_t bytes = 1048576;
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    struct mr_mask_stream mask;
    uint8_t *out = malloc(bytes);
    assert_non_null(out);
    derive(&mask, number_of("mask_long", "hub_index_be16"), number_of("mask_long", "attempt_be32"));
    kernels->mask_expand(out, &mask, 0, bytes);
    assert_sha256(out, bytes, "mask_long", "sha256_of_1048576");
    free(out);
}

static void test_upload_keys_and_seal(void **state)
{
    (void)state;
    struct mr_upload_keys keys;
    uint8_t ekm[32], want[64], aad[32], plain[64], cipher[64], opened[64], tag[16];

    hex_of(ekm, sizeof ekm, "upload_aead", "ekm");
    assert_int_equal(mr_upload_keys_derive(&keys, ekm), 0);
    hex_of(want, 16, "upload_aead", "key");
    assert_memory_equal(keys.up.key, want, 16);
    hex_of(want, 12, "upload_aead", "iv");
    assert_memory_equal(keys.up.iv, want, 12);
    assert_memory_not_equal(keys.up.key, keys.down.key, 16);
    assert_memory_not_equal(keys.up.iv, keys.down.iv, 12);

    struct mr_aead *aead = mr_aead_open();
    assert_non_null(aead);
    assert_int_equal(mr_aead_rekey(aead, &keys.up), 0);
    hex_of(aad, sizeof aad, "upload_aead", "aad");
    hex_of(plain, sizeof plain, "upload_aead", "plaintext");
    unsigned chunk = number_of("upload_aead", "chunk");
    assert_int_equal(mr_aead_seal(aead,
                                  &(struct mr_aead_message){.sequence = chunk,
                                                            .aad = aad,
                                                            .aad_bytes = sizeof aad,
                                                            .text = plain,
                                                            .bytes = sizeof plain},
                                  cipher, tag),
                     0);
    hex_of(want, 64, "upload_aead", "ciphertext");
    assert_memory_equal(cipher, want, 64);
    hex_of(want, 16, "upload_aead", "tag");
    assert_memory_equal(tag, want, 16);
    assert_int_equal(mr_aead_unseal(aead,
                                    &(struct mr_aead_message){.sequence = chunk,
                                                              .aad = aad,
                                                              .aad_bytes = sizeof aad,
                                                              .text = cipher,
                                                              .bytes = sizeof cipher},
                                    tag, opened),
                     0);
    assert_memory_equal(opened, plain, sizeof plain);
    mr_aead_close(aead);
}

static void test_ring(void **state)
{
    (void)state;
    assert_int_equal(mr_quantiser_cohort_max(16, 127, 1),
                     number_of("ring", "w16_max_clients_int8"));
    assert_int_equal(mr_quantiser_cohort_max(8, 127, 1), number_of("ring", "w8_max_clients_int8"));
    assert_int_equal(mr_quantiser_cohort_max(10, 127, 1), number_of("ring", "w10"));
    assert_int_equal(mr_quantiser_cohort_max(12, 127, 1), number_of("ring", "w12"));
    assert_int_equal(mr_quantiser_cohort_max(24, 127, 1), number_of("ring", "w24"));
    assert_int_equal(mr_quantiser_cohort_max(32, 127, 1), number_of("ring", "w32"));
}

/* Lanes that count from −100 to 99, lifted and masked, at every width. */
static void test_shares(void **state)
{
    (void)state;
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    for (unsigned w = 0; w < MR_RING_WIDTHS; w++) {
        static _Alignas(64) uint8_t share[2048]; /* ASan's stack keeps no such alignment */
        int8_t q[256] = {0};
        uint32_t trailer[MR_TRAILER_LANES];
        uint8_t want[16];
        char group[16];
        struct mr_layout layout;
        struct mr_mask_stream mask;
        snprintf(group, sizeof group, "share_w%u", mr_ring_widths[w]);
        assert_int_equal(mr_layout_init(&layout, mr_ring_widths[w], 200, 0, 1408), 0);
        assert_int_equal(layout.share_bytes, number_of(group, "share_bytes"));
        for (int i = 0; i < 200; i++) {
            q[i] = (int8_t)(i - 100);
        }
        for (uint32_t i = 0; i < MR_TRAILER_LANES; i++) {
            trailer[i] = i + 1;
        }
        mr_share_lift(share, &layout, q, trailer, kernels);
        hex_of(want, sizeof want, group, "lifted_first16");
        assert_memory_equal(share, want, sizeof want);
        assert_sha256(share, layout.share_bytes, group, "sha256_of_lifted");
        derive(&mask, 1, 0);
        mr_share_mask(share, &layout, &mask, kernels);
        hex_of(want, sizeof want, group, "share_first16");
        assert_memory_equal(share, want, sizeof want);
        hex_of(want, sizeof want, group, "share_last16");
        assert_memory_equal(share + layout.share_bytes - 16, want, sizeof want);
        assert_sha256(share, layout.share_bytes, group, "sha256_of_share");
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s share.json\n", argv[0]);
        return 2;
    }
    json_error_t error;
    vectors = json_load_file(argv[1], 0, &error);
    if (!vectors) {
        fprintf(stderr, "%s: %s\n", argv[1], error.text);
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_long),
        cmocka_unit_test(test_upload_keys_and_seal),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_ring),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
