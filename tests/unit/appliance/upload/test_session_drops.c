/* test_session_drops.c - every reason for which a datagram is dropped, and that a dropped one
 * leaves nothing behind. */
#include <string.h>

#include "session_fixture.h"
#include "base/bytes.h"

/* A valid sealed datagram of chunk 0 and its device, which has received nothing. */
struct valid {
    struct kit_device *device;
    uint8_t bytes[KIT_DATAGRAM_MAX];
    uint32_t length;
};

static void make_valid(struct bench *bench, struct valid *valid)
{
    valid->device = bench_admit(bench, 5);
    valid->length = kit_seal(valid->device, 0, valid->bytes);
}

/* Nothing was received, nobody is answered, and the untouched datagram still counts once. */
static void assert_untouched(struct bench *bench, const struct valid *valid)
{
    assert_int_equal(bench_received(bench, valid->device), 0);
    assert_int_equal(bench_drain_acks(bench), 0);
    assert_int_equal(bench_give(bench, valid->bytes, valid->length, &bench_home),
                     MR_UPLOAD_ACCEPTED);
    assert_int_equal(bench_received(bench, valid->device), 1);
}

static void test_header_bits(void **state)
{
    struct bench *bench = *state;
    struct valid valid;
    uint8_t forged[KIT_DATAGRAM_MAX];

    make_valid(bench, &valid);
    for (unsigned bit = 0; bit < 8 * MR_DATAGRAM_HEADER_BYTES; bit++) {
        memcpy(forged, valid.bytes, valid.length);
        forged[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        const enum mr_drop_reason reason = bench_give(bench, forged, valid.length, &bench_home);
        assert_int_not_equal(reason, MR_UPLOAD_ACCEPTED);
        assert_int_not_equal(reason, MR_UPLOAD_DROP_duplicate);
    }
    /* One cause each where the form alone tells: magic 16, version 8, flags 16 bits. */
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_magic), 16);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_version), 8);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_type), 8);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_flags), 16);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_truncated) +
                         bench_count(bench, MR_UPLOAD_DROP_oversized),
                     16);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_unknown_upload), 64);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_wrong_round), 64);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_wrong_attempt), 32);
    /* Chunk numbers 1, 2, 4 exist (bad tag); 8 is the short last one (bad length). */
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_tag), 3);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_length), 1);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_bad_chunk), 28);
    assert_untouched(bench, &valid);
}

static void test_payload_and_tag_bits(void **state)
{
    struct bench *bench = *state;
    struct valid valid;
    uint8_t forged[KIT_DATAGRAM_MAX];

    make_valid(bench, &valid);
    for (uint32_t bit = 8 * MR_DATAGRAM_HEADER_BYTES; bit < 8 * valid.length; bit++) {
        memcpy(forged, valid.bytes, valid.length);
        forged[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(bench_give(bench, forged, valid.length, &bench_home),
                         MR_UPLOAD_DROP_bad_tag);
    }
    assert_untouched(bench, &valid);
}

static void test_truncated_and_oversized(void **state)
{
    struct bench *bench = *state;
    struct valid valid;

    make_valid(bench, &valid);
    for (uint32_t length = 0; length < valid.length; length++) {
        assert_int_equal(bench_give(bench, valid.bytes, length, &bench_home),
                         MR_UPLOAD_DROP_truncated);
    }
    for (uint32_t length = valid.length + 1; length < valid.length + 100; length++) {
        assert_int_equal(bench_give(bench, valid.bytes, length, &bench_home),
                         MR_UPLOAD_DROP_oversized);
    }
    assert_untouched(bench, &valid);
}

/* Sealed by the right device, but for something else: only the header's meaning is wrong. */
static void test_wrong_round_and_attempt(void **state)
{
    struct bench *bench = *state;
    struct valid valid;

    make_valid(bench, &valid);
    valid.device->round = KIT_ROUND + 1;
    assert_int_equal(bench_chunk(bench, valid.device, 0), MR_UPLOAD_DROP_wrong_round);
    valid.device->round = KIT_ROUND;
    valid.device->attempt--;
    assert_int_equal(bench_chunk(bench, valid.device, 0), MR_UPLOAD_DROP_wrong_attempt);
    valid.device->attempt++;
    assert_untouched(bench, &valid);
}

static void test_unknown_upload(void **state)
{
    struct bench *bench = *state;
    struct valid valid;

    make_valid(bench, &valid);
    const uint64_t id = valid.device->upload_id;
    const uint64_t others[] = {
        0,
        id ^ 1,                                          /* another random part */
        id & ~UINT64_C(0xffffffff),                      /* none */
        mr_upload_id_make(LANE + 1, 5, (uint32_t)id),    /* another worker */
        mr_upload_id_make(LANE, 6, (uint32_t)id),        /* another index, free */
        mr_upload_id_make(LANE, SESSIONS, (uint32_t)id), /* past the table */
        mr_upload_id_make(LANE, 0xffffff, (uint32_t)id),
        mr_upload_id_make(LANE, 6, 0),
        UINT64_MAX,
    };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        valid.device->upload_id = others[i];
        assert_int_equal(bench_chunk(bench, valid.device, 0), MR_UPLOAD_DROP_unknown_upload);
    }
    valid.device->upload_id = id;
    assert_untouched(bench, &valid);
}

/* Seals any header and payload length under the device's key. */
static enum mr_drop_reason give_made_up(struct bench *bench, const struct kit_device *device,
                                        uint8_t type, uint32_t chunk, uint16_t bytes)
{
    uint8_t datagram[KIT_DATAGRAM_MAX] = {0};
    const struct mr_datagram header = {.type = type,
                                       .length = bytes,
                                       .upload_id = device->upload_id,
                                       .round = device->round,
                                       .attempt = device->attempt,
                                       .chunk = chunk};
    uint8_t *cipher = datagram + MR_DATAGRAM_HEADER_BYTES;

    mr_datagram_encode(datagram, &header);
    assert_int_equal(mr_aead_seal(device->up,
                                  &(struct mr_aead_message){.sequence = chunk,
                                                            .aad = datagram,
                                                            .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                            .text = cipher,
                                                            .bytes = bytes},
                                  cipher, cipher + bytes),
                     0);
    return bench_give(bench, datagram, bytes + (uint32_t)MR_DATAGRAM_OVERHEAD, &bench_home);
}

static void test_bad_chunk_and_length(void **state)
{
    struct bench *bench = *state;
    struct valid valid;

    make_valid(bench, &valid);
    const uint32_t chunks[] = {9, 10, 64, 1u << 24, UINT32_MAX};
    for (unsigned i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        assert_int_equal(give_made_up(bench, valid.device, MR_DATAGRAM_CHUNK, chunks[i], 256),
                         MR_UPLOAD_DROP_bad_chunk);
    }
    const uint16_t lengths[] = {0, 1, 64, 255, 257, 320, 8896};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(give_made_up(bench, valid.device, MR_DATAGRAM_CHUNK, 0, lengths[i]),
                         MR_UPLOAD_DROP_bad_length);
    }
    /* The last chunk is short: a full one would run past the slot. */
    assert_int_equal(give_made_up(bench, valid.device, MR_DATAGRAM_CHUNK, 8, 256),
                     MR_UPLOAD_DROP_bad_length);
    assert_int_equal(give_made_up(bench, valid.device, MR_DATAGRAM_ACK, 0, 256),
                     MR_UPLOAD_DROP_bad_type);
    assert_untouched(bench, &valid);
}

static void test_duplicate(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);

    assert_int_equal(bench_chunk(bench, device, 4), MR_UPLOAD_ACCEPTED);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(bench_chunk(bench, device, 4), MR_UPLOAD_DROP_duplicate);
    }
    assert_int_equal(bench_received(bench, device), 1);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_duplicate), 5);
}

static void test_not_receiving(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);

    assert_int_equal(bench_chunk(bench, device, 0), MR_UPLOAD_ACCEPTED);
    assert_true(mr_sessions_revoke(bench->sessions, device->upload_id, MR_REASON_SUPERSEDED));
    assert_int_equal(bench_chunk(bench, device, 1), MR_UPLOAD_DROP_not_receiving);
    assert_int_equal(bench_received(bench, device), 1);
}

/* Another device's key does not open it, nor does its own key for the other direction. */
static void test_other_key(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0), *other = bench_admit(bench, 1);
    struct kit_device liar = *other;

    liar.upload_id = device->upload_id;
    assert_int_equal(bench_chunk(bench, &liar, 0), MR_UPLOAD_DROP_bad_tag);
    liar.up = device->down;
    assert_int_equal(bench_chunk(bench, &liar, 0), MR_UPLOAD_DROP_bad_tag);
    assert_int_equal(bench_received(bench, device), 0);
    assert_int_equal(bench_received(bench, other), 0);
}

/* Forged copies before and after the true one in the same burst: the true bytes stay. */
static void forged_copies(struct bench *bench)
{
    struct kit_device *device = bench_admit(bench, 0);
    static uint8_t bytes[3][KIT_DATAGRAM_MAX];
    struct mr_packet packets[3];
    enum mr_drop_reason reasons[3];

    for (uint32_t chunk = 0; chunk < 9; chunk++) {
        for (unsigned i = 0; i < 3; i++) {
            packets[i].data = bytes[i];
            packets[i].length = kit_seal(device, chunk, bytes[i]);
            packets[i].from = bench_home;
        }
        bytes[0][40] ^= 1;
        bytes[2][50] ^= 1;
        packets[2].from = kit_address(1, 1);
        mr_sessions_receive(bench->sessions, packets, 3, bench->now_ms, reasons);
        assert_int_equal(reasons[0], MR_UPLOAD_DROP_bad_tag);
        assert_int_equal(reasons[1], MR_UPLOAD_ACCEPTED);
        assert_int_equal(reasons[2], MR_UPLOAD_DROP_bad_tag);
    }
    bench_fold(bench);
    struct kit_sum plain, got;
    kit_sum_init(&plain, &bench->terms.layout);
    kit_sum_init(&got, &bench->terms.layout);
    kit_sum_share(&plain, device->share);
    kit_sum_part(&got, &bench->shard.sum);
    kit_sum_equal(&plain, &got);
    kit_sum_fini(&plain);
    kit_sum_fini(&got);
}

static void test_forged_copies_in_one_burst(void **state)
{
    forged_copies(*state);
}

/* Opened straight into the slot: a forged copy that came later would overwrite the true one. */
static void test_forged_copies_in_the_slot(void **state)
{
    struct bench bench;

    (void)state;
    bench_open_cached(&bench, 16, 1000, 256, UINT64_MAX);
    forged_copies(&bench);
    bench_close(&bench);
}

/* The counter's label is the name in the table, and every cause has one of its own. */
static void test_names(void **state)
{
    (void)state;
    for (int a = 0; a < MR_DROP_REASONS; a++) {
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(mr_drop_reason_name((enum mr_drop_reason)a),
                                    mr_drop_reason_name((enum mr_drop_reason)b));
        }
    }
    assert_string_equal(mr_drop_reason_name(MR_UPLOAD_DROP_bad_tag), "bad_tag");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_header_bits),
        TEST(test_payload_and_tag_bits),
        TEST(test_truncated_and_oversized),
        TEST(test_wrong_round_and_attempt),
        TEST(test_unknown_upload),
        TEST(test_bad_chunk_and_length),
        TEST(test_duplicate),
        TEST(test_not_receiving),
        TEST(test_other_key),
        TEST(test_forged_copies_in_one_burst),
        cmocka_unit_test(test_forged_copies_in_the_slot),
        TEST(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
