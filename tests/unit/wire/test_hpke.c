/* test_hpke.c - HPKE against RFC 9180, and against those who change a bit of it; sealed seeds. */
#include "wire_test.h"

#include "base/bytes.h"
#include "wire/sealed_seed.h"

static struct mr_error error;
static struct mr_hpke_kit *kit; /* one for all: no message leaves anything to the next */

/* RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode. The
 * encryption of sequence number 0. */
static const char rfc_ephemeral[] =
    "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736";
static const char rfc_recipient[] =
    "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8";
static const char rfc_recipient_public[] =
    "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
static const char rfc_enc[] = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431";
static const char rfc_info[] = "4f6465206f6e2061204772656369616e2055726e";
static const char rfc_plain[] = "4265617574792069732074727574682c20747275746820626561757479";
static const char rfc_aad[] = "436f756e742d30";
static const char rfc_sealed[] = "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
                                 "6d8770ac83d07bea87e13c512a";

#define PLAIN_BYTES  29
#define SEALED_BYTES (PLAIN_BYTES + MR_HPKE_TAG_BYTES)

struct rfc {
    uint8_t ephemeral[32], enc[32], info[20], aad[7], plain[PLAIN_BYTES], sealed[SEALED_BYTES];
    struct mr_hpke_pair recipient;
    struct mr_hpke_context context;
};

static void rfc_init(struct rfc *rfc)
{
    uint8_t recipient[32], public_key[32];
    assert_int_equal(mr_hex_decode(rfc->ephemeral, 32, rfc_ephemeral), 0);
    assert_int_equal(mr_hex_decode(rfc->enc, 32, rfc_enc), 0);
    assert_int_equal(mr_hex_decode(rfc->info, sizeof rfc->info, rfc_info), 0);
    assert_int_equal(mr_hex_decode(rfc->aad, sizeof rfc->aad, rfc_aad), 0);
    assert_int_equal(mr_hex_decode(rfc->plain, PLAIN_BYTES, rfc_plain), 0);
    assert_int_equal(mr_hex_decode(rfc->sealed, SEALED_BYTES, rfc_sealed), 0);
    assert_int_equal(mr_hex_decode(recipient, 32, rfc_recipient), 0);
    assert_int_equal(mr_hex_decode(public_key, 32, rfc_recipient_public), 0);
    assert_int_equal(mr_hpke_pair_derive(&rfc->recipient, recipient), 0);
    assert_memory_equal(rfc->recipient.public_key, public_key, 32);
    rfc->context = (struct mr_hpke_context){rfc->info, sizeof rfc->info, rfc->aad, sizeof rfc->aad};
}

static void test_rfc(void **state)
{
    (void)state;
    struct rfc rfc;
    uint8_t enc[32], sealed[SEALED_BYTES], plain[PLAIN_BYTES];
    rfc_init(&rfc);
    assert_int_equal(mr_hpke_seal(enc, sealed, rfc.ephemeral, rfc.recipient.public_key,
                                  &rfc.context, rfc.plain, PLAIN_BYTES),
                     0);
    assert_memory_equal(enc, rfc.enc, 32);
    assert_memory_equal(sealed, rfc.sealed, SEALED_BYTES);
    assert_int_equal(
        mr_hpke_open(kit, plain, &rfc.recipient, rfc.enc, &rfc.context, rfc.sealed, SEALED_BYTES),
        MR_HPKE_OPEN);
    assert_memory_equal(plain, rfc.plain, PLAIN_BYTES);
}

static void expect_closed(const struct rfc *rfc)
{
    static const uint8_t nothing[PLAIN_BYTES];
    uint8_t plain[PLAIN_BYTES];
    memset(plain, 7, sizeof plain);
    assert_int_equal(mr_hpke_open(kit, plain, &rfc->recipient, rfc->enc, &rfc->context, rfc->sealed,
                                  SEALED_BYTES),
                     MR_HPKE_CLOSED);
    assert_memory_equal(plain, nothing, sizeof plain);
}

/* Every byte of what is sent and of what it is bound to. The top bit of a public key is no part of
 * it (RFC 7748), but it is of the key schedule. */
static void test_every_byte(void **state)
{
    (void)state;
    struct rfc rfc;
    rfc_init(&rfc);
    const struct {
        uint8_t *at;
        size_t bytes;
    } parts[] = {{rfc.enc, 32},
                 {rfc.sealed, SEALED_BYTES},
                 {rfc.info, sizeof rfc.info},
                 {rfc.aad, sizeof rfc.aad},
                 {rfc.recipient.public_key, 32}};
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) {
        for (size_t byte = 0; byte < parts[part].bytes; byte++) {
            parts[part].at[byte] ^= 0x80;
            expect_closed(&rfc);
            parts[part].at[byte] ^= 0x80;
        }
    }
    rfc.context.info_bytes--;
    expect_closed(&rfc);
    rfc.context.info_bytes++;
    assert_int_equal(mr_hpke_pair_derive(&rfc.recipient, rfc.ephemeral), 0);
    expect_closed(&rfc);
}

/* Points whose exchange gives zero, whoever's key it is: RFC 7748, section 7. */
static void test_low_order(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct rfc rfc;
    uint8_t point[32], enc[32], sealed[SEALED_BYTES];
    rfc_init(&rfc);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        assert_int_equal(mr_hex_decode(point, 32, points[i]), 0);
        assert_int_equal(
            mr_hpke_seal(enc, sealed, rfc.ephemeral, point, &rfc.context, rfc.plain, PLAIN_BYTES),
            -1);
        memcpy(rfc.enc, point, 32);
        expect_closed(&rfc);
    }
}

/* --- seeds ------------------------------------------------------------------------------------ */

static void test_request_bytes(void **state)
{
    (void)state;
    struct mr_seed_request request, back;
    uint8_t bytes[MR_SEED_REQUEST_BYTES + 1] = {0}, again[MR_SEED_REQUEST_BYTES];
    uint64_t seed = 5;
    test_fill(&seed, (uint8_t *)&request, sizeof request);
    request.attempt = 7;
    assert_int_equal(MR_SEED_REQUEST_BYTES, 116);
    mr_seed_request_encode(bytes, &request);
    assert_int_equal(mr_seed_request_decode(&back, bytes, MR_SEED_REQUEST_BYTES, &error), 0);
    assert_memory_equal(back.enc, request.enc, sizeof back.enc);
    assert_memory_equal(back.sealed, request.sealed, sizeof back.sealed);
    assert_memory_equal(back.announcement_hash, request.announcement_hash, MR_HASH_BYTES);
    assert_int_equal(back.attempt, 7);
    mr_seed_request_encode(again, &back);
    assert_memory_equal(again, bytes, sizeof again);
    for (size_t length = 0; length < MR_SEED_REQUEST_BYTES; length++) {
        assert_int_equal(mr_seed_request_decode(&back, bytes, length, &error), -1);
    }
    assert_int_equal(mr_seed_request_decode(&back, bytes, MR_SEED_REQUEST_BYTES + 1, &error), -1);
    assert_non_null(strstr(error.text, "116 bytes"));
    bytes[MR_HASH_BYTES + 3] = MR_ATTEMPTS_MAX;
    assert_int_equal(mr_seed_request_decode(&back, bytes, MR_SEED_REQUEST_BYTES, &error), -1);
    assert_non_null(strstr(error.text, "attempt 8"));
}

/* Sealed bytes serve one task, round, device, helper and attempt. */
static void test_one_scope(void **state)
{
    (void)state;
    uint8_t hash[32] = {1}, client[16] = {2}, private_key[32] = {3}, ephemeral[32] = {4};
    uint8_t seed[MR_SEED_BYTES] = {5}, out[MR_SEED_BYTES];
    struct mr_hpke_pair pair;
    struct mr_seed_request request;
    const struct mr_key_scope good = {"digits", hash, client, 2, 5};
    struct mr_key_scope other = good;
    assert_int_equal(mr_hpke_pair_derive(&pair, private_key), 0);
    assert_int_equal(mr_seed_seal(&request, seed, &good, pair.public_key, ephemeral), 0);
    assert_int_equal(request.attempt, 5);
    assert_memory_equal(request.announcement_hash, hash, sizeof hash);
    assert_int_equal(mr_seed_open(kit, out, &request, &good, &pair), MR_HPKE_OPEN);
    assert_memory_equal(out, seed, sizeof seed);
    other.task = "digit";
    assert_int_equal(mr_seed_open(kit, out, &request, &other, &pair), MR_HPKE_CLOSED);
    other = good;
    other.hub_index = 3;
    assert_int_equal(mr_seed_open(kit, out, &request, &other, &pair), MR_HPKE_CLOSED);
    other = good;
    other.attempt = 4;
    assert_int_equal(mr_seed_open(kit, out, &request, &other, &pair), MR_HPKE_CLOSED);
    client[0] ^= 1;
    assert_int_equal(mr_seed_open(kit, out, &request, &good, &pair), MR_HPKE_CLOSED);
    client[0] ^= 1;
    hash[0] ^= 1;
    assert_int_equal(mr_seed_open(kit, out, &request, &good, &pair), MR_HPKE_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),       cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_low_order), cmocka_unit_test(test_request_bytes),
        cmocka_unit_test(test_one_scope),
    };
    kit = mr_hpke_kit_new();
    if (!kit) {
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mr_hpke_kit_free(kit);
    return failed;
}
