/* test_open.c - what opens the seals of chunks, by name: the same test for every implementation,
 * and each against OpenSSL's.
 *
 * usage: test_open openssl|ipsec_mb|auto share.json */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>

#include "appliance/upload/open.h"
#include "upload_kit.h"
#include "base/bytes.h"

#define PLACES 5
#define CANARY 64

static enum mr_opener_kind kind;
static uint32_t levels; /* that it may use; 0: all */
static const char *level_said;
static json_t *vectors;

/* Bytes that end where a page begins that must not be touched. */
struct fence {
    uint8_t *map;
    size_t bytes;
};

static uint8_t *fence_end(const struct fence *fence)
{
    return fence->map + fence->bytes;
}

static void fence_open(struct fence *fence)
{
    fence->bytes = 16384;
    fence->map =
        mmap(NULL, fence->bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(fence->map, MAP_FAILED);
    assert_int_equal(mprotect(fence_end(fence), 4096, PROT_NONE), 0);
}

static void fence_close(struct fence *fence)
{
    munmap(fence->map, fence->bytes + 4096);
}

static struct mr_opener *open_kind(enum mr_opener_kind which)
{
    struct mr_error error = {.text = ""};
    struct mr_opener *opener = mr_opener_open(which, PLACES, levels, &error);

    if (!opener) {
        print_error("%s\n", error.text);
    }
    assert_non_null(opener);
    return opener;
}

/* A sealed datagram of `bytes`, its header random, that ends at the fence. */
struct sealed {
    struct fence fence, room;
    uint8_t *datagram;
    uint8_t *plain; /* where to open it; a canary lies before it */
    uint8_t want[MR_CHUNK_BYTES_MAX];
    uint32_t bytes;
    uint64_t sequence;
};

static void seal(struct sealed *sealed, uint64_t *seed, const struct mr_aead_key *key,
                 uint32_t bytes)
{
    struct mr_aead *aead = mr_aead_open();

    assert_non_null(aead);
    sealed->bytes = bytes;
    sealed->sequence = kit_random(seed);
    sealed->datagram = fence_end(&sealed->fence) - MR_DATAGRAM_OVERHEAD - bytes;
    sealed->plain = fence_end(&sealed->room) - bytes;
    kit_fill(seed, sealed->datagram, MR_DATAGRAM_HEADER_BYTES);
    kit_fill(seed, sealed->want, bytes);
    memset(sealed->room.map, 0xa5, sealed->room.bytes);
    uint8_t *cipher = sealed->datagram + MR_DATAGRAM_HEADER_BYTES;
    assert_int_equal(mr_aead_rekey(aead, key), 0);
    assert_int_equal(mr_aead_seal(aead,
                                  &(struct mr_aead_message){.sequence = sealed->sequence,
                                                            .aad = sealed->datagram,
                                                            .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                            .text = sealed->want,
                                                            .bytes = bytes},
                                  cipher, cipher + bytes),
                     0);
    mr_aead_close(aead);
}

static bool opens_to(struct mr_opener *opener, const struct sealed *sealed, uint32_t place,
                     bool past_cache)
{
    struct mr_open_job job = {.sequence = sealed->sequence,
                              .datagram = sealed->datagram,
                              .plain = sealed->plain,
                              .bytes = sealed->bytes,
                              .key = place,
                              .past_cache = past_cache};

    mr_open_burst(opener, &job, 1);
    for (unsigned i = 1; i <= CANARY; i++) {
        assert_int_equal(sealed->plain[-(int)i], 0xa5);
    }
    return job.held;
}

/* Both ways of writing agree. */
static bool opens(struct mr_opener *opener, const struct sealed *sealed, uint32_t place)
{
    const bool held = opens_to(opener, sealed, place, false);

    if (held) {
        assert_memory_equal(sealed->plain, sealed->want, sealed->bytes);
        memset(sealed->plain, 0xa5, sealed->bytes);
    }
    assert_int_equal(opens_to(opener, sealed, place, true), held);
    return held;
}

static void assert_plain(const struct sealed *sealed)
{
    assert_memory_equal(sealed->plain, sealed->want, sealed->bytes);
}

static int setup(void **state)
{
    struct sealed *sealed = calloc(1, sizeof *sealed);

    assert_non_null(sealed);
    fence_open(&sealed->fence);
    fence_open(&sealed->room);
    *state = sealed;
    return 0;
}

static int teardown(void **state)
{
    struct sealed *sealed = *state;

    fence_close(&sealed->fence);
    fence_close(&sealed->room);
    free(sealed);
    return 0;
}

static void hex_of(uint8_t *out, size_t bytes, const char *name)
{
    const json_t *group = json_object_get(vectors, "upload_aead");

    assert_int_equal(mr_hex_decode(out, bytes, json_string_value(json_object_get(group, name))), 0);
}

static void test_vector(void **state)
{
    struct sealed *sealed = *state;
    struct mr_aead_key key;
    uint8_t datagram[MR_DATAGRAM_OVERHEAD + 64], plain[64], want[64];
    struct mr_opener *opener = open_kind(kind);
    const json_t *chunk = json_object_get(json_object_get(vectors, "upload_aead"), "chunk");
    struct mr_open_job job = {.datagram = datagram, .plain = plain, .bytes = 64, .key = 3};

    (void)sealed;
    hex_of(key.key, 16, "key");
    hex_of(key.iv, 12, "iv");
    hex_of(datagram, 32, "aad");
    hex_of(datagram + 32, 64, "ciphertext");
    hex_of(datagram + 96, 16, "tag");
    hex_of(want, 64, "plaintext");
    job.sequence = (uint64_t)json_integer_value(chunk);
    assert_int_equal(mr_opener_key(opener, 3, &key), 0);
    mr_open_burst(opener, &job, 1);
    assert_true(job.held);
    assert_memory_equal(plain, want, sizeof want);
    mr_opener_close(opener);
}

/* Random lengths, all short ones and the longest; whatever opens, opens the same as OpenSSL. */
static void test_lengths(void **state)
{
    struct sealed *sealed = *state;
    struct mr_opener *opener = open_kind(kind), *plain = open_kind(MR_OPENER_OPENSSL);
    uint64_t seed = 11;

    for (unsigned i = 0; i < 700; i++) {
        struct mr_aead_key key;
        const uint32_t place = (uint32_t)(kit_random(&seed) % PLACES);
        const uint32_t bytes = i < 300 ? i
                               : i == 300
                                   ? MR_CHUNK_BYTES_MAX
                                   : (uint32_t)(kit_random(&seed) % (MR_CHUNK_BYTES_MAX + 1));
        kit_fill(&seed, &key, sizeof key);
        assert_int_equal(mr_opener_key(opener, place, &key), 0);
        assert_int_equal(mr_opener_key(plain, place, &key), 0);
        seal(sealed, &seed, &key, bytes);
        assert_true(opens(opener, sealed, place));
        assert_plain(sealed);
        memset(sealed->plain, 0xa5, bytes);
        assert_true(opens(plain, sealed, place));
        assert_plain(sealed);
    }
    mr_opener_close(opener);
    mr_opener_close(plain);
}

/* One wrong bit in tag, header, cipher or sequence, or another key: it does not hold. */
static void test_wrong_bits(void **state)
{
    static const uint32_t lengths[] = {0, 1, 64, 1408};
    struct sealed *sealed = *state;
    struct mr_opener *opener = open_kind(kind);
    struct mr_aead_key key;
    uint64_t seed = 12;

    kit_fill(&seed, &key, sizeof key);
    assert_int_equal(mr_opener_key(opener, 0, &key), 0);
    key.key[15] ^= 1;
    assert_int_equal(mr_opener_key(opener, 1, &key), 0);
    key.key[15] ^= 1;
    for (unsigned n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        seal(sealed, &seed, &key, lengths[n]);
        const uint32_t total = MR_DATAGRAM_OVERHEAD + sealed->bytes;
        for (uint32_t at = 0; at<total; at += at> 80 && at + 48 < total ? 31 : 1) {
            for (unsigned bit = 0; bit < 8; bit++) {
                sealed->datagram[at] ^= (uint8_t)(1u << bit);
                assert_false(opens(opener, sealed, 0));
                sealed->datagram[at] ^= (uint8_t)(1u << bit);
            }
        }
        assert_false(opens(opener, sealed, 1));
        for (unsigned bit = 0; bit < 64; bit++) {
            sealed->sequence ^= UINT64_C(1) << bit;
            assert_false(opens(opener, sealed, 0));
            sealed->sequence ^= UINT64_C(1) << bit;
        }
        assert_true(opens(opener, sealed, 0));
        assert_plain(sealed);
    }
    mr_opener_close(opener);
}

/* Full bursts over mixed keys and lengths, some forged: each job is judged by itself. */
static void test_bursts(void **state)
{
    struct sealed *sealed = *state;
    struct mr_opener *opener = open_kind(kind);
    struct mr_aead_key keys[PLACES];
    struct mr_open_job jobs[MR_BURST_MAX];
    uint8_t *datagrams = malloc((size_t)MR_BURST_MAX * KIT_DATAGRAM_MAX);
    uint8_t *plains = malloc((size_t)MR_BURST_MAX * MR_CHUNK_BYTES_MAX);
    uint8_t *wants = malloc((size_t)MR_BURST_MAX * MR_CHUNK_BYTES_MAX);
    uint64_t seed = 13;

    assert_true(datagrams && plains && wants);
    for (unsigned i = 0; i < PLACES; i++) {
        kit_fill(&seed, &keys[i], sizeof keys[i]);
        assert_int_equal(mr_opener_key(opener, i, &keys[i]), 0);
    }
    for (unsigned count = 0; count <= MR_BURST_MAX; count++) {
        uint64_t forged = kit_random(&seed);
        for (unsigned i = 0; i < count; i++) {
            const uint32_t place = (uint32_t)(kit_random(&seed) % PLACES);
            uint8_t *datagram = datagrams + (size_t)i * KIT_DATAGRAM_MAX;
            seal(sealed, &seed, &keys[place], (uint32_t)(kit_random(&seed) % 24) * 64);
            memcpy(datagram, sealed->datagram, sealed->bytes + MR_DATAGRAM_OVERHEAD);
            memcpy(wants + (size_t)i * MR_CHUNK_BYTES_MAX, sealed->want, sealed->bytes);
            datagram[MR_DATAGRAM_HEADER_BYTES + sealed->bytes + 7] ^= (forged >> i & 1) ? 0x10 : 0;
            jobs[i] = (struct mr_open_job){.sequence = sealed->sequence,
                                           .datagram = datagram,
                                           .plain = plains + (size_t)i * MR_CHUNK_BYTES_MAX,
                                           .bytes = sealed->bytes,
                                           .key = place,
                                           .past_cache = i % 3 != 0,
                                           .held = (forged >> i & 1) != 0};
        }
        mr_open_burst(opener, jobs, count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(jobs[i].held, (forged >> i & 1) == 0);
            if (jobs[i].held) {
                assert_memory_equal(jobs[i].plain, wants + (size_t)i * MR_CHUNK_BYTES_MAX,
                                    jobs[i].bytes);
            }
        }
    }
    free(datagrams);
    free(plains);
    free(wants);
    mr_opener_close(opener);
}

/* Whole bursts of answers over mixed keys: each opens under its own key and number, by OpenSSL, and
 * no byte behind its tag is touched. */
static void test_sealing(void **state)
{
    enum { TEXT = 48, ROOM = MR_DATAGRAM_OVERHEAD + TEXT + 16 };
    struct mr_opener *opener = open_kind(kind);
    struct mr_aead *aead = mr_aead_open();
    struct mr_aead_key keys[PLACES];
    struct mr_seal_job jobs[MR_BURST_MAX];
    uint8_t datagrams[MR_BURST_MAX][ROOM], wants[MR_BURST_MAX][ROOM], plain[TEXT];
    uint64_t seed = 15;

    (void)state;
    assert_non_null(aead);
    for (unsigned i = 0; i < PLACES; i++) {
        kit_fill(&seed, &keys[i], sizeof keys[i]);
        assert_int_equal(mr_opener_key(opener, i, &keys[i]), 0);
    }
    for (unsigned count = 0; count <= MR_BURST_MAX; count++) {
        kit_fill(&seed, datagrams, sizeof datagrams);
        memcpy(wants, datagrams, sizeof wants);
        for (unsigned i = 0; i < count; i++) {
            jobs[i] = (struct mr_seal_job){.sequence = kit_random(&seed),
                                           .datagram = datagrams[i],
                                           .bytes = TEXT - i % 3,
                                           .key = (uint32_t)(kit_random(&seed) % PLACES)};
        }
        mr_seal_burst(opener, jobs, count);
        for (unsigned i = 0; i < count; i++) {
            const uint32_t bytes = jobs[i].bytes, total = MR_DATAGRAM_OVERHEAD + bytes;
            const uint8_t *text = datagrams[i] + MR_DATAGRAM_HEADER_BYTES;
            const struct mr_aead_message message = {.sequence = jobs[i].sequence,
                                                    .aad = wants[i],
                                                    .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                    .text = text,
                                                    .bytes = bytes};
            assert_true(jobs[i].sealed);
            assert_int_equal(mr_aead_rekey(aead, &keys[jobs[i].key]), 0);
            assert_int_equal(mr_aead_unseal(aead, &message, text + bytes, plain), 0);
            assert_memory_equal(plain, wants[i] + MR_DATAGRAM_HEADER_BYTES, bytes);
            assert_memory_equal(datagrams[i] + total, wants[i] + total, ROOM - total);
        }
    }
    mr_aead_close(aead);
    mr_opener_close(opener);
}

static void test_forgotten(void **state)
{
    struct sealed *sealed = *state;
    struct mr_opener *opener = open_kind(kind);
    struct mr_aead_key key;
    uint64_t seed = 14;

    kit_fill(&seed, &key, sizeof key);
    mr_opener_forget(opener, 2); /* nothing there: fine */
    assert_int_equal(mr_opener_key(opener, 2, &key), 0);
    seal(sealed, &seed, &key, 1408);
    assert_true(opens(opener, sealed, 2));
    mr_opener_forget(opener, 2);
    key.iv[0] ^= 1;
    assert_int_equal(mr_opener_key(opener, 2, &key), 0);
    assert_false(opens(opener, sealed, 2)); /* the place's nonces changed */
    key.iv[0] ^= 1;
    assert_int_equal(mr_opener_key(opener, 2, &key), 0);
    assert_true(opens(opener, sealed, 2));
    mr_opener_close(opener);
}

static void test_name(void **state)
{
    static const char *const names[] = {
        [MR_OPENER_OPENSSL] = "openssl", [MR_OPENER_IPSEC_MB] = "ipsec_mb"};
    struct mr_opener *bulk, *opener = open_kind(kind);

    (void)state;
    assert_true(strlen(mr_opener_why(opener)) > 0);
    if (kind != MR_OPENER_AUTO) {
        assert_string_equal(mr_opener_name(opener), names[kind]);
        assert_true(!level_said || strstr(mr_opener_why(opener), level_said));
    } else {
        bulk = mr_opener_open(MR_OPENER_IPSEC_MB, 1, 0, NULL);
        assert_string_equal(mr_opener_name(opener), bulk ? "ipsec_mb" : "openssl");
        mr_opener_close(bulk);
    }
    mr_opener_close(opener);
    mr_opener_close(NULL);
}

static const struct {
    const char *name;
    enum mr_opener_kind kind;
    uint32_t levels;
    const char *said; /* of the library's level, where the CPU has what is allowed */
} ways[] = {
    {"auto", MR_OPENER_AUTO, 0, NULL},
    {"openssl", MR_OPENER_OPENSSL, 0, NULL},
    {"ipsec_mb", MR_OPENER_IPSEC_MB, 0, NULL},
    {"ipsec_mb-avx2", MR_OPENER_IPSEC_MB, MR_CPU_SCALAR | MR_CPU_AVX2, "AVX2"},
    {"ipsec_mb-scalar", MR_OPENER_IPSEC_MB, MR_CPU_SCALAR, "SSE"},
};

/* Exit code, or -1 to go on. */
static int choose(const char *name)
{
    struct mr_error error = {.text = ""};

    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(name, ways[i].name) == 0) {
            kind = ways[i].kind;
            levels = ways[i].levels;
            level_said = mr_cpu_levels() & MR_CPU_AVX2 ? ways[i].said : NULL;
        }
    }
    struct mr_opener *opener = mr_opener_open(kind, 1, levels, &error);
    if (!opener) {
        printf("skipped: %s\n", error.text);
        return kind == MR_OPENER_IPSEC_MB ? 77 : 1;
    }
    mr_opener_close(opener);
    return -1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bursts, setup, teardown),
        cmocka_unit_test(test_sealing),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
        cmocka_unit_test(test_name),
    };

    if (argc != 3 || (vectors = json_load_file(argv[2], 0, NULL)) == NULL) {
        fprintf(stderr, "usage: %s openssl|ipsec_mb[-avx2|-scalar]|auto share.json\n", argv[0]);
        return 2;
    }
    const int code = choose(argv[1]);
    const int failed = code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
