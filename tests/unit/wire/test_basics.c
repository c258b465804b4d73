/* test_basics.c - identities, hex, base64, reading bytes, errors, layouts. */
#include "wire_test.h"

#include "base/base64.h"
#include "base/bytes.h"
#include "wire/identity.h"
#include "wire/layout.h"

static void test_identity(void **state)
{
    (void)state;
    static const char *const good[] = {
        "urn:millrace:device:000102030405060708090a0b0c0d0e0f",
        "urn:millrace:hub:0",
        "urn:millrace:hub:65535",
        "urn:millrace:operator:a",
        "urn:millrace:reader:cache-1",
        "urn:millrace:operator:abcdefghijklmnopqrstuvwxyz-01234",
    };
    static const char *const bad[] = {
        "",
        "urn:millrace:",
        "urn:millrace:device:",
        "urn:millrace:device:000102030405060708090a0b0c0d0e0",
        "urn:millrace:device:000102030405060708090a0b0c0d0e0f0",
        "urn:millrace:device:000102030405060708090A0b0c0d0e0f",
        "urn:millrace:device:000102030405060708090g0b0c0d0e0f",
        "urn:millrace:hub:",
        "urn:millrace:hub:01",
        "urn:millrace:hub:65536",
        "urn:millrace:hub:4294967297",
        "urn:millrace:hub:-1",
        "urn:millrace:hub:1 ",
        "urn:millrace:operator:",
        "urn:millrace:operator:Anna",
        "urn:millrace:reader:",
        "urn:millrace:reader:abcdefghijklmnopqrstuvwxyz-012345",
        "urn:millrace:operator:a b",
        "urn:millrace:operator:abcdefghijklmnopqrstuvwxyz-012345",
        "URN:millrace:hub:1",
        "urn:millrace:lead:1",
    };
    struct mr_identity identity;
    char uri[MR_IDENTITY_URI_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(mr_identity_parse(&identity, good[i]), 0);
        mr_identity_format(uri, &identity);
        assert_string_equal(uri, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (mr_identity_parse(&identity, bad[i]) == 0) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(identity.role, MR_ROLE_NONE);
    }
}

static void test_hex_and_base64(void **state)
{
    (void)state;
    uint8_t bytes[64], back[64];
    char text[129];
    uint64_t seed = 3;
    test_fill(&seed, bytes, sizeof bytes);
    mr_hex_encode(text, bytes, 64);
    assert_int_equal(mr_hex_decode(back, 64, text), 0);
    assert_memory_equal(back, bytes, 64);
    assert_int_equal(mr_hex_decode(back, 63, text), -1);
    text[127] = '\0';
    assert_int_equal(mr_hex_decode(back, 64, text), -1);
    text[126] = 'g';
    assert_int_equal(mr_hex_decode(back, 64, text), -1);
    assert_int_equal(mr_hex_decode(back, 0, ""), 0);
    for (size_t n = 0; n <= 64; n++) {
        mr_base64_encode(text, bytes, n);
        assert_int_equal(strlen(text), MR_BASE64_LENGTH(n));
        memset(back, 0, sizeof back);
        assert_int_equal(mr_base64_decode(back, n, text, strlen(text)), 0);
        assert_memory_equal(back, bytes, n);
    }
    assert_int_equal(mr_base64_decode(back, 1, "AB==", 4), -1); /* stray bits */
    assert_int_equal(mr_base64_decode(back, 1, "AA= ", 4), -1);
    assert_int_equal(mr_base64_decode(back, 3, "AA==", 4), -1);
    assert_int_equal(mr_base64_decode(back, 3, "AA_A", 4), -1);
    assert_int_equal(mr_base64_decode(back, 3, "AAAA\n", 5), -1);
    assert_int_equal(mr_base64_decode(back, 3, " AAA", 4), -1);
}

static void test_error(void **state)
{
    (void)state;
    struct mr_error e;
    assert_int_equal(mr_error_set(&e, "%d bad", 3), -1);
    assert_string_equal(e.text, "3 bad");
    assert_int_equal(mr_error_prefix(&e, "file %s", "x"), -1);
    assert_string_equal(e.text, "file x: 3 bad");
    assert_int_equal(mr_error_set(NULL, "nobody listens"), -1);
    assert_int_equal(mr_error_prefix(NULL, "nobody"), -1);
    mr_error_set(&e, "%600d", 1);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    mr_error_prefix(&e, "p");
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_memory_equal(e.text, "p:  ", 4);
}

/* All there is can be taken, and no byte more. */
static void test_rest(void **state)
{
    (void)state;
    static const uint8_t bytes[5];
    struct mr_rest rest = {bytes, sizeof bytes};
    assert_ptr_equal(mr_rest_take(&rest, 2), bytes);
    assert_null(mr_rest_take(&rest, 4));
    assert_null(mr_rest_take(&rest, SIZE_MAX));
    assert_int_equal(rest.left, 3);
    assert_ptr_equal(mr_rest_take(&rest, 3), bytes + 2);
    assert_int_equal(rest.left, 0);
    assert_null(mr_rest_take(&rest, 1));
    assert_ptr_equal(mr_rest_take(&rest, 0), bytes + sizeof bytes);
}

static void test_layout(void **state)
{
    (void)state;
    struct mr_layout l;
    static const struct {
        uint8_t ring_bits, rotation_log2;
        uint32_t dimension, chunk_bytes, lanes, chunks, last;
        uint64_t share_bytes;
    } cases[] = {
        {16, 0, 1, 1408, 64, 1, 192, 192},
        {16, 0, 64, 64, 64, 3, 64, 192},
        {24, 0, 65, 1408, 128, 1, 448, 448},
        {32, 0, 65, 512, 128, 2, 64, 576},
        {16, 10, 1025, 1408, 3072, 5, 576, 6208}, /* three blocks */
        {16, 6, 65, 1408, 192, 1, 448, 448},
        {16, 5, 65, 1408, 192, 1, 448, 448},
        {8, 0, 65, 64, 128, 3, 64, 192},
        {10, 0, 1, 1408, 64, 1, 144, 144},
        {10, 0, 129, 64, 192, 5, 48, 304}, /* 240 bytes of lanes */
        {12, 0, 100000, 1408, 100032, 107, 864, 150112},
        {12, 12, 1000000, 1408, 1003520, 1070, 192, 1505344}, /* a million: 1.51 MB */
        {32, 16, 1u << 30, 64, (1u << 30) + (1u << 16), (1u << 26) + (1u << 12) + 1, 64,
         (UINT64_C(1) << 32) + (1u << 18) + 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mr_layout_init(&l, cases[i].ring_bits, cases[i].dimension,
                                        cases[i].rotation_log2, cases[i].chunk_bytes),
                         0);
        assert_int_equal(l.lanes, cases[i].lanes);
        assert_int_equal(l.chunks, cases[i].chunks);
        assert_true(l.share_bytes == cases[i].share_bytes);
        assert_int_equal(l.main_bytes % 16, 0);
        assert_int_equal(mr_layout_chunk_length(&l, l.chunks - 1), cases[i].last);
        if (l.chunks > 1) {
            assert_int_equal(mr_layout_chunk_length(&l, 0), l.chunk_bytes);
        }
    }
    for (unsigned bits = 0; bits < 256; bits++) {
        const bool known =
            bits == 8 || bits == 10 || bits == 12 || bits == 16 || bits == 24 || bits == 32;
        assert_int_equal(mr_layout_init(&l, (uint8_t)bits, 64, 0, 1408), known ? 0 : -1);
    }
    assert_int_equal(mr_layout_init(&l, 16, 0, 0, 1408), -1);
    assert_int_equal(mr_layout_init(&l, 16, MR_DIMENSION_MAX + 1u, 0, 1408), -1);
    assert_int_equal(mr_layout_init(&l, 16, UINT64_MAX, 0, 1408), -1);
    assert_int_equal(mr_layout_init(&l, 16, 64, 17, 1408), -1);
    assert_int_equal(mr_layout_init(&l, 16, 64, 0, 0), -1);
    assert_int_equal(mr_layout_init(&l, 16, 64, 0, 1400), -1);
    assert_int_equal(mr_layout_init(&l, 16, 64, 0, MR_CHUNK_BYTES_MAX + 64), -1);
}

/* The bits of a lane, worked out by hand; writing one leaves its neighbours. */
static void test_lanes(void **state)
{
    (void)state;
    static const uint8_t region[] = {0x23, 0x61, 0x45, 0x89, 0xf0, 0xbf, 0x00, 0x00};
    static const struct {
        uint8_t bits;
        uint32_t lane, value;
    } cases[] = {{8, 1, 0x61},    {10, 0, 0x123},    {10, 1, 0x158},     {10, 2, 0x94},
                 {10, 3, 0x3c2},  {12, 0, 0x123},    {12, 1, 0x456},     {12, 3, 0xbff},
                 {16, 2, 0xbff0}, {24, 1, 0xbff089}, {32, 0, 0x89456123}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t copy[sizeof region];
        assert_int_equal(mr_ring_read(region, cases[i].bits, cases[i].lane), cases[i].value);
        memset(copy, 0xff, sizeof copy);
        mr_ring_write(copy, cases[i].bits, cases[i].lane, 0xa5a5a500u);
        for (unsigned bit = 0; bit < 8 * sizeof copy; bit++) {
            const unsigned from = cases[i].bits * cases[i].lane;
            const bool inside = bit >= from && bit < from + cases[i].bits;
            const unsigned want = inside ? 0xa5a5a500u >> (bit - from) & 1 : 1;
            assert_int_equal(copy[bit / 8] >> bit % 8 & 1, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_hex_and_base64),
        cmocka_unit_test(test_error),    cmocka_unit_test(test_rest),
        cmocka_unit_test(test_layout),   cmocka_unit_test(test_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
