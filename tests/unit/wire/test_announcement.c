/* test_announcement.c - the announcement's one encoding, its rules, its signatures. */
#include "wire/announcement_privacy.h"
#include "wire_test.h"
#include "tests/unit/wire/pair.h"

#include <math.h>

static uint8_t private_keys[MR_HUBS_MAX][32];
static struct mr_error error;

/* Encodes a, signs with the right keys, seals. */
static size_t sealed(uint8_t out[MR_ANNOUNCEMENT_SIGNED_MAX], const struct mr_announcement *a)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    struct mr_round_terms terms;
    size_t length = mr_announcement_encode(canonical, a);
    assert_int_equal(mr_round_terms_decode(&terms, canonical, length, &error), 0);
    for (unsigned i = 0; i < a->hub_count; i++) {
        memset(signatures[i].seal_key, (int)(0x70 + i), MR_SEAL_KEY_BYTES);
        assert_int_equal(mr_announcement_sign(signatures[i].bytes, terms.hash,
                                              i ? signatures[i].seal_key : NULL,
                                              PAIR_OF(private_keys[i])),
                         0);
    }
    return mr_announcement_seal(out, canonical, length, signatures, a->hub_count);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX], again[MR_ANNOUNCEMENT_MAX], hash[32];
    struct mr_announcement a;
    struct mr_round_terms terms;
    for (unsigned hubs = 2; hubs <= MR_HUBS_MAX; hubs++) {
        test_announcement(&a, private_keys, hubs);
        size_t length = mr_announcement_encode(bytes, &a);
        assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), 0);
        assert_memory_equal(&terms.announcement, &a, sizeof a); /* both started from zeros */
        assert_int_equal(mr_announcement_encode(again, &terms.announcement), length);
        assert_memory_equal(again, bytes, length);
        assert_int_equal(EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL), 1);
        assert_memory_equal(terms.hash, hash, sizeof hash);
        assert_int_equal(terms.layout.lanes, 1024);
    }
}

/* A part's hash for each hub. */
static void mark(struct mr_announcement *a, uint16_t strength)
{
    a->watermark.strength = strength;
    for (unsigned i = 0; i < a->hub_count; i++) {
        memset(a->watermark.part_hashes[i], (int)(0x30 + i), MR_WATERMARK_HASH_BYTES);
    }
}

static void test_watermark(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms;
    for (unsigned hubs = 2; hubs <= MR_HUBS_MAX; hubs++) {
        test_announcement(&a, private_keys, hubs);
        const size_t plain = mr_announcement_encode(bytes, &a);
        mark(&a, MR_WATERMARK_STRENGTH_MAX);
        const size_t length = mr_announcement_encode(bytes, &a);
        assert_int_equal(length, plain + 2 + hubs * 32);
        assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), 0);
        assert_memory_equal(&terms.announcement, &a, sizeof a);
        for (size_t cut = plain + 1; cut < length; cut++) {
            assert_int_equal(mr_round_terms_decode(&terms, bytes, cut, &error), -1);
        }
        memset(bytes + plain, 0, 2); /* one encoding: no mark has no bytes */
        assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), -1);
        bytes[plain + 1] = MR_WATERMARK_STRENGTH_MIN - 1;
        assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), -1);
        bytes[plain + 1] = MR_WATERMARK_STRENGTH_MIN;
        assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), 0);
    }
    memcpy(a.watermark.part_hashes[0], a.watermark.part_hashes[1], MR_WATERMARK_HASH_BYTES);
    assert_int_equal(mr_announcement_check(&a, &error), -1);
    assert_non_null(strstr(error.text, "hubs[0] and hubs[1] have the same part"));
}

/* The largest announcement there is fits the buffers that the header promises. */
static void test_largest_fits(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms;
    test_announcement(&a, private_keys, MR_HUBS_MAX);
    memset(a.task, 't', MR_TASK_NAME_MAX);
    memset(a.training, ' ', MR_TRAINING_MAX);
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        memset(a.hubs[i].name, 'a', MR_HUB_NAME_MAX);
    }
    a.metric_count = MR_METRICS_MAX;
    for (unsigned i = 0; i < MR_METRICS_MAX; i++) {
        memset(a.metrics[i].name, 'a' + (int)i, MR_METRIC_NAME_MAX);
        a.metrics[i].high = 1;
    }
    mark(&a, 20);
    size_t length = sealed(bytes, &a);
    assert_true(length <= sizeof bytes);
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), 0);
}

static void test_truncated_and_longer(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_SIGNED_MAX + 1] = {0};
    struct mr_announcement a;
    struct mr_round_terms terms;
    test_announcement(&a, private_keys, 2);
    size_t length = mr_announcement_encode(bytes, &a);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(mr_round_terms_decode(&terms, copy, cut, &error), -1);
        free(copy);
    }
    assert_int_equal(mr_round_terms_decode(&terms, bytes, length + 1, &error), -1);
    length = sealed(bytes, &a);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(mr_announcement_open(&terms, copy, cut, &error), -1);
        free(copy);
    }
    assert_int_equal(mr_announcement_open(&terms, bytes, length + 1, &error), -1);
}

/* --- noise ----------------------------------------------------------------------------------- */

static void noised(struct mr_announcement *a)
{
    test_announcement(a, private_keys, 2);
    a->noise_kind = MR_NOISE_HUB;
    a->cohort_max = 20;
    a->privacy = (struct mr_privacy_terms){.model_sigma2 = 40000,
                                           .norms_sigma2 = 5000,
                                           .weight_sigma2 = 1000000,
                                           .budget = MR_PRIVACY_RHO_MAX,
                                           .horizon_s = 86400,
                                           .delta = 1e-6f,
                                           .pool = "ward"};
    a->privacy.rho = mr_announcement_rho(a, 1024);
}

static void refused_terms(struct mr_announcement *a, const char *words)
{
    assert_int_equal(mr_announcement_check(a, &error), -1);
    if (!strstr(error.text, words)) {
        fail_msg("'%s' lacks '%s'", error.text, words);
    }
    noised(a);
}

static void test_noise_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms;
    noised(&a);
    const size_t length = mr_announcement_encode(bytes, &a);
    assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), 0);
    assert_memory_equal(&terms.announcement, &a, sizeof a);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(mr_round_terms_decode(&terms, bytes, cut, &error), -1);
    }
}

/* What a round costs follows from its noise; no announcement says less, or has none to pay it from.
 */
static void test_noise_rules(void **state)
{
    (void)state;
    struct mr_announcement a;
    noised(&a);
    assert_int_equal(mr_announcement_check(&a, &error), 0);
    a.privacy.rho--;
    refused_terms(&a, "rho is");
    a.privacy.model_sigma2++;
    refused_terms(&a, "rho is");
    a.scale *= 2;
    refused_terms(&a, "rho is");
    a.privacy.budget = a.privacy.rho - 1;
    refused_terms(&a, "budget is");
    a.privacy.budget = MR_PRIVACY_RHO_MAX + 1;
    refused_terms(&a, "budget is");
    a.privacy.model_sigma2 = MR_NOISE_SIGMA2_MIN - 1;
    refused_terms(&a, "model_sigma2 is");
    a.privacy.norms_sigma2 = 1;
    refused_terms(&a, "norms_sigma2 is");
    a.privacy.weight_sigma2 = 0; /* the weights would be opened without any */
    refused_terms(&a, "weight_sigma2 is 0");
    a.weight_max = 1;
    refused_terms(&a, "must be 0 where weight_max is 1");
    a.privacy.delta = 0;
    refused_terms(&a, "delta");
    a.privacy.pool[0] = '\0';
    refused_terms(&a, "pool");
    a.cohort_max = 60; /* what the ring holds without noise */
    refused_terms(&a, "with the noise");
    a.noise_kind = MR_NOISE_NONE;
    refused_terms(&a, "terms of noise");
    a.noise_kind = 3;
    refused_terms(&a, "noise_kind is 3");
    a.privacy.norms_sigma2 = 0; /* devices leave these lanes empty then */
    a.privacy.rho = mr_announcement_rho(&a, 1024);
    assert_int_equal(mr_announcement_check(&a, &error), 0);
}

/* Noise of devices: its cost goes by those who are honest, and its reach by all of them. */
static void test_device_noise(void **state)
{
    (void)state;
    struct mr_announcement a;
    noised(&a);
    const mr_rho hubs = a.privacy.rho;
    const uint64_t tail = mr_announcement_tail(&a, MR_NOISE_MODEL);
    a.privacy.honest = 2;
    refused_terms(&a, "must be 0 with noise of hubs");
    a.noise_kind = MR_NOISE_DEVICE;
    refused_terms(&a, "honest is 0: must be 2 to cohort_min");
    a.noise_kind = MR_NOISE_DEVICE;
    a.privacy.honest = a.cohort_min + 1;
    refused_terms(&a, "honest is");
    a.noise_kind = MR_NOISE_DEVICE;
    a.privacy.honest = 2;
    refused_terms(&a, "rho is");
    a.noise_kind = MR_NOISE_DEVICE;
    a.cohort_max = 8; /* more would be beyond the ring with the noise of each */
    a.privacy.honest = 2;
    a.privacy.rho = mr_announcement_rho(&a, 1024);
    assert_int_equal(mr_announcement_check(&a, &error), 0);
    assert_true(a.privacy.rho >= hubs / 2 && a.privacy.rho <= hubs / 2 + 3);
    assert_int_equal(mr_announcement_tail(&a, MR_NOISE_MODEL),
                     mr_noise_tail(a.privacy.model_sigma2, a.cohort_max));
    assert_true(mr_announcement_tail(&a, MR_NOISE_MODEL) > tail);
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_round_terms terms;
    const size_t length = mr_announcement_encode(bytes, &a);
    assert_int_equal(mr_round_terms_decode(&terms, bytes, length, &error), 0);
    assert_memory_equal(&terms.announcement, &a, sizeof a);
}

/* Every changed bit is refused, or names another round; never opened under the old signatures. */
static void test_every_bit(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_SIGNED_MAX], canonical[MR_ANNOUNCEMENT_MAX];
    uint8_t again[MR_ANNOUNCEMENT_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms, original;
    test_announcement(&a, private_keys, 3);
    size_t length = mr_announcement_encode(canonical, &a);
    assert_int_equal(mr_round_terms_decode(&original, canonical, length, &error), 0);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        canonical[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (mr_round_terms_decode(&terms, canonical, length, &error) == 0) {
            assert_memory_not_equal(terms.hash, original.hash, MR_HASH_BYTES);
            assert_int_equal(mr_announcement_encode(again, &terms.announcement), length);
            assert_memory_equal(again, canonical, length);
        }
        canonical[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    length = sealed(bytes, &a);
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), 0);
    for (size_t byte = 0; byte < length; byte++) {
        bytes[byte] ^= (uint8_t)(1u << byte % 8);
        assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), -1);
        bytes[byte] ^= (uint8_t)(1u << byte % 8);
    }
}

/* An envelope of three hubs, opened by nobody. */
static void expect_untrusted(const uint8_t *bytes, size_t length, const char *word)
{
    struct mr_round_terms terms;
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), -1);
    assert_non_null(strstr(error.text, word));
}

static void test_signatures(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms;
    struct mr_hub_signature one = {.seal_key = {0}};
    test_announcement(&a, private_keys, 3);
    size_t length = sealed(bytes, &a);
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), 0);
    /* one signature short, the last doubled in its place, one of zeros, one of another signer */
    expect_untrusted(bytes, length - MR_SIGNATURE_BYTES, "signatures");
    uint8_t *last = bytes + length - MR_SIGNATURE_BYTES;
    memcpy(last, last - MR_SEAL_KEY_BYTES - MR_SIGNATURE_BYTES, MR_SIGNATURE_BYTES);
    expect_untrusted(bytes, length, "signature of hub 3");
    memset(last, 0, MR_SIGNATURE_BYTES);
    expect_untrusted(bytes, length, "signature of hub 3");
    uint8_t foreign[32] = {9};
    memset(one.seal_key, 0x72, MR_SEAL_KEY_BYTES);
    assert_int_equal(mr_announcement_sign(one.bytes, terms.hash, one.seal_key, PAIR_OF(foreign)),
                     0);
    memcpy(last, one.bytes, MR_SIGNATURE_BYTES);
    expect_untrusted(bytes, length, "signature of hub 3");
    assert_int_equal(
        mr_announcement_sign(one.bytes, terms.hash, one.seal_key, PAIR_OF(private_keys[2])), 0);
    memcpy(last, one.bytes, MR_SIGNATURE_BYTES);
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), 0);
    const uint8_t *third = a.hubs[2].public_key;
    assert_int_equal(mr_announcement_verify(one.bytes, terms.hash, one.seal_key, third), 0);
    assert_int_equal(
        mr_announcement_verify(one.bytes, terms.hash, one.seal_key, a.hubs[1].public_key), -1);
    terms.hash[0] ^= 1;
    assert_int_equal(mr_announcement_verify(one.bytes, terms.hash, one.seal_key, third), -1);
}

/* The key that seeds are sealed to is the helper's own word: nobody between can put in another. */
static void test_seal_keys(void **state)
{
    (void)state;
    uint8_t bytes[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_announcement a;
    struct mr_round_terms terms;
    struct mr_hub_signature one = {.seal_key = {0}};
    test_announcement(&a, private_keys, 3);
    const size_t length = sealed(bytes, &a);
    assert_int_equal(mr_announcement_open(&terms, bytes, length, &error), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(terms.seal_keys[i][31], i ? 0x70 + i : 0); /* the lead has none */
    }
    uint8_t *key = bytes + length - MR_SIGNATURE_BYTES - MR_SEAL_KEY_BYTES;
    memcpy(key, terms.seal_keys[1], MR_SEAL_KEY_BYTES); /* another helper's */
    expect_untrusted(bytes, length, "signature of hub 3");
    memset(key, 0x55, MR_SEAL_KEY_BYTES);
    expect_untrusted(bytes, length, "signature of hub 3");
    /* a signature as a lead's is none of a helper's, and the other way round */
    const uint8_t *third = a.hubs[2].public_key;
    assert_int_equal(mr_announcement_sign(one.bytes, terms.hash, NULL, PAIR_OF(private_keys[2])),
                     0);
    assert_int_equal(mr_announcement_verify(one.bytes, terms.hash, NULL, third), 0);
    assert_int_equal(mr_announcement_verify(one.bytes, terms.hash, one.seal_key, third), -1);
    assert_int_equal(
        mr_announcement_sign(one.bytes, terms.hash, one.seal_key, PAIR_OF(private_keys[2])), 0);
    assert_int_equal(mr_announcement_verify(one.bytes, terms.hash, NULL, third), -1);
}

static void test_trust(void **state)
{
    (void)state;
    struct mr_announcement a, pinned;
    test_announcement(&a, private_keys, 3);
    pinned = a;
    assert_int_equal(mr_announcement_trusts(&a, pinned.hubs, 3, &error), 0);
    strcpy(pinned.hubs[1].name, "elsewhere"); /* names are for people */
    assert_int_equal(mr_announcement_trusts(&a, pinned.hubs, 3, &error), 0);
    assert_int_equal(mr_announcement_trusts(&a, pinned.hubs, 2, &error), -1);
    pinned.hubs[2].public_key[31] ^= 1;
    assert_int_equal(mr_announcement_trusts(&a, pinned.hubs, 3, &error), -1);
    assert_non_null(strstr(error.text, "hub 3"));
    pinned = a;
    pinned.hubs[0].index = 9;
    assert_int_equal(mr_announcement_trusts(&a, pinned.hubs, 3, &error), -1);
    assert_int_equal(mr_announcement_hub(&a, 1), 0);
    assert_int_equal(mr_announcement_hub(&a, 3), 2);
    assert_int_equal(mr_announcement_hub(&a, 4), -1);
}

/* One field at a time; the error names it. */
#define REFUSED(change, word)                                                                      \
    do {                                                                                           \
        struct mr_announcement a;                                                                  \
        test_announcement(&a, private_keys, 3);                                                    \
        assert_int_equal(mr_announcement_check(&a, &error), 0);                                    \
        change;                                                                                    \
        if (mr_announcement_check(&a, &error) == 0)                                                \
            fail_msg("accepted: %s", #change);                                                     \
        if (strstr(error.text, (word)) == NULL)                                                    \
            fail_msg("%s: \"%s\" does not name it", #change, error.text);                          \
    } while (0)

static void test_rules_of_numbers(void **state)
{
    (void)state;
    REFUSED(a.round = 0, "round");
    REFUSED(a.round = UINT64_C(1) << 53, "round");
    REFUSED(a.round = UINT64_MAX, "round");
    REFUSED(a.deadline_unix_ms = 0, "deadline");
    REFUSED(a.dimension = 0, "dimension");
    REFUSED(a.dimension = MR_DIMENSION_MAX + 1, "dimension");
    REFUSED(a.ring_bits = 8, "cohort_max");
    REFUSED(a.ring_bits = 11, "only 8, 10, 12, 16, 24 and 32 exist");
    REFUSED(a.ring_bits = 15, "ring_bits");
    REFUSED(a.ring_bits = 0, "ring_bits");
    REFUSED(a.ring_bits = 64, "ring_bits");
    REFUSED(a.rotation_log2 = 17, "rotation");
    REFUSED(a.noise_kind = 3, "noise");
    REFUSED(a.chunk_bytes = 0, "chunk_bytes");
    REFUSED(a.chunk_bytes = 1400, "chunk_bytes");
    REFUSED(a.chunk_bytes = 8960, "chunk_bytes");
    REFUSED(a.cohort_min = 1, "cohort_min");
    REFUSED(a.cohort_min = 65, "cohort_max");
    REFUSED(a.levels = 0, "levels");
    REFUSED(a.levels = 128, "levels");
    REFUSED(a.headroom = 3, "headroom");
    REFUSED(a.headroom = 65, "headroom");
    REFUSED(a.headroom = 5, "cohort_max");
    REFUSED(a.seal = 0, "seal");
    REFUSED(a.seal = 2, "seal");
    REFUSED(a.weight_max = 0, "weight_max");
    REFUSED(a.weight_max = UINT32_MAX / 64 + 1, "weight_max");
    const float bad[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, -1.0f, 1e-40f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(a.scale = bad[i], "scale");
        REFUSED(a.clip_norm = bad[i], "clip_norm");
        REFUSED(a.step_max = bad[i], "step_max");
    }
}

static void test_ring_bound(void **state)
{
    (void)state;
    struct mr_announcement a;
    static const struct {
        uint8_t ring_bits, levels, headroom;
        uint32_t cohort_max;
    } bounds[] = {
        {16, 127, 4, 64},      {16, 1, 4, 8191},   {16, 8, 4, 1023},      {16, 8, 64, 63},
        {24, 127, 4, 16513},   {24, 3, 4, 699050}, {32, 127, 4, 4227330}, {32, 1, 4, 536870911},
        {32, 127, 64, 264208}, {8, 1, 4, 31},      {8, 15, 4, 2},         {10, 1, 4, 127},
        {10, 4, 4, 31},        {12, 127, 4, 4},    {12, 17, 4, 30},       {12, 1, 64, 31}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        test_announcement(&a, private_keys, 2);
        a.ring_bits = bounds[i].ring_bits;
        a.levels = bounds[i].levels;
        a.headroom = bounds[i].headroom;
        a.weight_max = 1;
        a.cohort_max = bounds[i].cohort_max;
        assert_int_equal(mr_announcement_check(&a, &error), 0);
        a.cohort_max++;
        assert_int_equal(mr_announcement_check(&a, &error), -1);
        assert_non_null(strstr(error.text, "cohort_max"));
    }
}

static void test_rules_of_texts(void **state)
{
    (void)state;
    REFUSED(memset(a.training, 'x', sizeof a.training), "training");
    REFUSED(strcpy(a.training, "a\nb"), "training");
    REFUSED(strcpy(a.training, "\xc3\xa9"), "training");
    REFUSED(a.task[0] = '\0', "task");
    REFUSED(strcpy(a.task, "-digits"), "task");
    REFUSED(strcpy(a.task, "Digits"), "task");
    REFUSED(strcpy(a.task, "digits.1"), "task");
    REFUSED(memset(a.task, 'a', sizeof a.task), "task");
    REFUSED(a.hub_count = 1, "hub_count");
    REFUSED(a.hub_count = MR_HUBS_MAX + 1, "hub_count");
    REFUSED(a.hubs[1].name[0] = '\0', "name");
    REFUSED(strcpy(a.hubs[1].name, "Hub"), "name");
    REFUSED(strcpy(a.hubs[1].name, "a/b"), "name");
    REFUSED(memset(a.hubs[1].name, 'a', sizeof a.hubs[1].name), "name");
    REFUSED(a.hubs[2].index = 2, "index");
    REFUSED(a.hubs[2].index = 1, "index");
    REFUSED(a.hubs[1].index = 1, "index");
    REFUSED(a.hubs[1].index = 4, "index");
    REFUSED(memcpy(a.hubs[2].public_key, a.hubs[0].public_key, 32), "public_key");
    struct mr_announcement a;
    test_announcement(&a, private_keys, 3);
    a.hubs[0].index = 77; /* the lead is first whatever its index */
    assert_int_equal(mr_announcement_check(&a, &error), 0);
}

static void test_task_names(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "0", "default", "a-", "1-a", "wake-word-2", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"",
                                      "-",
                                      "-a",
                                      "A",
                                      "a_b",
                                      "a.b",
                                      "a/b",
                                      "a b",
                                      "a\n",
                                      "..",
                                      "caf\xc3\xa9",
                                      "a%2fb",
                                      "abcdefghijklmnopqrstuvwxyz0123456"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(mr_task_name_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(mr_task_name_valid(bad[i]));
    }
    assert_false(mr_task_name_valid(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_noise_round_trip),
        cmocka_unit_test(test_noise_rules),      cmocka_unit_test(test_device_noise),
        cmocka_unit_test(test_largest_fits),     cmocka_unit_test(test_truncated_and_longer),
        cmocka_unit_test(test_every_bit),        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_seal_keys),        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_rules_of_numbers), cmocka_unit_test(test_ring_bound),
        cmocka_unit_test(test_rules_of_texts),   cmocka_unit_test(test_task_names),
        cmocka_unit_test(test_watermark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
