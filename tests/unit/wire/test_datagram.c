/* test_datagram.c - the datagram's form, its seal, and everything a forger may change. */
#include "wire_test.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#define PAYLOAD 1408
#define TOTAL   (MR_DATAGRAM_OVERHEAD + PAYLOAD)

struct sealed {
    struct mr_aead *aead;
    struct mr_datagram header;
    uint8_t bytes[TOTAL];
    uint8_t plain[PAYLOAD];
};

static void seal(struct sealed *s)
{
    uint8_t *payload = s->bytes + MR_DATAGRAM_HEADER_BYTES;
    mr_datagram_encode(s->bytes, &s->header);
    assert_int_equal(mr_aead_seal(s->aead,
                                  &(struct mr_aead_message){.sequence = s->header.chunk,
                                                            .aad = s->bytes,
                                                            .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                            .text = s->plain,
                                                            .bytes = PAYLOAD},
                                  payload, payload + PAYLOAD),
                     0);
}

static int sealed_setup(void **state)
{
    static struct sealed s;
    uint64_t seed = 1;
    struct mr_aead_key key;
    test_fill(&seed, (uint8_t *)&key, sizeof key);
    test_fill(&seed, s.plain, sizeof s.plain);
    s.header =
        (struct mr_datagram){MR_DATAGRAM_CHUNK, PAYLOAD, UINT64_C(0x0102030405060708), 9, 2, 17};
    s.aead = mr_aead_open();
    if (!s.aead || mr_aead_rekey(s.aead, &key) != 0) {
        return -1;
    }
    seal(&s);
    *state = &s;
    return 0;
}

static int sealed_teardown(void **state)
{
    struct sealed *s = *state;
    mr_aead_close(s->aead);
    return 0;
}

/* What a hub does with a datagram whose session it found: 0 accepted, -1 dropped. */
static int receive(struct sealed *s, const uint8_t *bytes, size_t total, uint8_t *opened)
{
    struct mr_datagram header;
    if (mr_datagram_decode(&header, bytes, total) != MR_DATAGRAM_OK) {
        return -1;
    }
    const uint8_t *payload = bytes + MR_DATAGRAM_HEADER_BYTES;
    return mr_aead_unseal(s->aead,
                          &(struct mr_aead_message){.sequence = header.chunk,
                                                    .aad = bytes,
                                                    .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                    .text = payload,
                                                    .bytes = header.length},
                          payload + header.length, opened);
}

static void test_round_trip(void **state)
{
    struct sealed *s = *state;
    struct mr_datagram header;
    uint8_t opened[PAYLOAD];
    assert_int_equal(mr_datagram_decode(&header, s->bytes, TOTAL), MR_DATAGRAM_OK);
    assert_int_equal(header.type, s->header.type);
    assert_int_equal(header.length, s->header.length);
    assert_true(header.upload_id == s->header.upload_id);
    assert_true(header.round == s->header.round);
    assert_int_equal(header.attempt, s->header.attempt);
    assert_int_equal(header.chunk, s->header.chunk);
    assert_int_equal(receive(s, s->bytes, TOTAL, opened), 0);
    assert_memory_equal(opened, s->plain, PAYLOAD);
}

static void test_header_layout(void **state)
{
    (void)state;
    static const uint8_t want[MR_DATAGRAM_HEADER_BYTES] = {
        'M',  'R',  1,    1,    0,    0,    0x05, 0x80, 0x01, 0x02, 0x03,
        0x04, 0x05, 0x06, 0x07, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
        0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x31, 0x32, 0x33, 0x34};
    const struct mr_datagram header = {
        MR_DATAGRAM_CHUNK, PAYLOAD,   UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718),
        0x21222324,        0x31323334};
    uint8_t got[MR_DATAGRAM_HEADER_BYTES];
    mr_datagram_encode(got, &header);
    assert_memory_equal(got, want, sizeof want);
}

/* Each length in an allocation of its own, so that the sanitizer sees a read past the end. */
static void test_every_truncation(void **state)
{
    struct sealed *s = *state;
    struct mr_datagram header;
    for (size_t total = 0; total < TOTAL; total++) {
        uint8_t *cut = malloc(total > 0 ? total : 1);
        assert_non_null(cut);
        memcpy(cut, s->bytes, total);
        assert_int_equal(mr_datagram_decode(&header, cut, total), MR_DATAGRAM_TRUNCATED);
        free(cut);
    }
}

static void test_oversized(void **state)
{
    struct sealed *s = *state;
    struct mr_datagram header;
    uint8_t *longer = calloc(1, 65536);
    assert_non_null(longer);
    memcpy(longer, s->bytes, TOTAL);
    for (size_t total = TOTAL + 1; total < TOTAL + 64; total++) {
        assert_int_equal(mr_datagram_decode(&header, longer, total), MR_DATAGRAM_OVERSIZED);
    }
    assert_int_equal(mr_datagram_decode(&header, longer, 65536), MR_DATAGRAM_OVERSIZED);
    free(longer);
}

static void test_every_bit_of_header_and_tag(void **state)
{
    struct sealed *s = *state;
    uint8_t forged[TOTAL], opened[PAYLOAD];
    for (size_t byte = 0; byte < TOTAL; byte++) {
        if (byte >= MR_DATAGRAM_HEADER_BYTES && byte < TOTAL - MR_TAG_BYTES && byte % 97 != 0) {
            continue; /* of the payload, a sample */
        }
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(forged, s->bytes, TOTAL);
            forged[byte] ^= (uint8_t)(1u << bit);
            assert_int_equal(receive(s, forged, TOTAL, opened), -1);
        }
    }
    assert_int_equal(receive(s, s->bytes, TOTAL, opened), 0); /* the context still works */
}

static void test_verdicts(void **state)
{
    struct sealed *s = *state;
    struct mr_datagram header;
    static const struct {
        size_t at;
        uint8_t value;
        enum mr_datagram_verdict verdict;
    } cases[] = {
        {0, 'X', MR_DATAGRAM_BAD_MAGIC},  {1, 'X', MR_DATAGRAM_BAD_MAGIC},
        {2, 0, MR_DATAGRAM_BAD_VERSION},  {2, 2, MR_DATAGRAM_BAD_VERSION},
        {3, 0, MR_DATAGRAM_BAD_TYPE},     {3, 3, MR_DATAGRAM_BAD_TYPE},
        {4, 0x80, MR_DATAGRAM_BAD_FLAGS}, {5, 1, MR_DATAGRAM_BAD_FLAGS},
        {6, 0xff, MR_DATAGRAM_TRUNCATED}, {6, 0, MR_DATAGRAM_OVERSIZED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t forged[TOTAL];
        memcpy(forged, s->bytes, TOTAL);
        forged[cases[i].at] = cases[i].value;
        assert_int_equal(mr_datagram_decode(&header, forged, TOTAL), cases[i].verdict);
    }
}

/* Another sequence, key, or AAD length never opens; an empty payload does when it is true. */
static void test_aead_edges(void **state)
{
    struct sealed *s = *state;
    uint8_t opened[PAYLOAD], tag[MR_TAG_BYTES];
    const uint8_t *payload = s->bytes + MR_DATAGRAM_HEADER_BYTES;
    const struct mr_aead_message sealed = {.sequence = s->header.chunk,
                                           .aad = s->bytes,
                                           .aad_bytes = 32,
                                           .text = payload,
                                           .bytes = PAYLOAD};
    struct mr_aead_message message = sealed;
    message.sequence++;
    assert_int_equal(mr_aead_unseal(s->aead, &message, payload + PAYLOAD, opened), -1);
    message = sealed;
    message.aad_bytes = 31;
    assert_int_equal(mr_aead_unseal(s->aead, &message, payload + PAYLOAD, opened), -1);
    message = (struct mr_aead_message){.sequence = 3, .aad = s->bytes, .aad_bytes = 32};
    assert_int_equal(mr_aead_seal(s->aead, &message, NULL, tag), 0);
    assert_int_equal(mr_aead_unseal(s->aead, &message, tag, NULL), 0);
    tag[15] ^= 1;
    assert_int_equal(mr_aead_unseal(s->aead, &message, tag, NULL), -1);
    /* In place. */
    uint8_t buffer[64], first[64];
    memcpy(first, s->plain, sizeof first);
    memcpy(buffer, first, sizeof buffer);
    message = (struct mr_aead_message){.sequence = 4, .text = buffer, .bytes = 64};
    assert_int_equal(mr_aead_seal(s->aead, &message, buffer, tag), 0);
    assert_memory_not_equal(buffer, first, 64);
    assert_int_equal(mr_aead_unseal(s->aead, &message, tag, buffer), 0);
    assert_memory_equal(buffer, first, 64);
    /* A new key opens nothing that was sealed with the old one. */
    struct mr_aead_key other = {.key = {1}, .iv = {2}};
    struct mr_aead *aead = mr_aead_open();
    assert_non_null(aead);
    assert_int_equal(mr_aead_rekey(aead, &other), 0);
    assert_int_equal(mr_aead_unseal(aead, &sealed, payload + PAYLOAD, opened), -1);
    mr_aead_close(aead);
}

static void test_ack(void **state)
{
    (void)state;
    struct mr_ack ack = {MR_UPLOAD_REFUSED, MR_REASON_IDLE, 0x01020304, 64, 0x0a0b0c0d, {0}}, back;
    uint8_t bytes[MR_ACK_BYTES + 1];
    for (size_t i = 0; i < MR_ACK_BITMAP_BYTES; i++) {
        ack.bitmap[i] = (uint8_t)(i * 7);
    }
    mr_ack_encode(bytes, &ack);
    static const uint8_t want[16] = {4, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 64, 10, 11, 12, 13};
    assert_memory_equal(bytes, want, sizeof want);
    assert_int_equal(mr_ack_decode(&back, bytes, MR_ACK_BYTES), 0);
    assert_int_equal(back.state, ack.state);
    assert_int_equal(back.reason, ack.reason);
    assert_int_equal(back.received, ack.received);
    assert_int_equal(back.window, ack.window);
    assert_int_equal(back.base, ack.base);
    assert_memory_equal(back.bitmap, ack.bitmap, sizeof ack.bitmap);
    for (size_t length = 0; length < MR_ACK_BYTES; length++) {
        assert_int_equal(mr_ack_decode(&back, bytes, length), -1);
    }
    assert_int_equal(mr_ack_decode(&back, bytes, MR_ACK_BYTES + 1), -1);
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 0}, {0, 5}, {1, 6}, {2, 1}, {3, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t saved = bytes[bad[i].at];
        bytes[bad[i].at] = bad[i].value;
        assert_int_equal(mr_ack_decode(&back, bytes, MR_ACK_BYTES), -1);
        bytes[bad[i].at] = saved;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, sealed_setup, sealed_teardown),
        cmocka_unit_test(test_header_layout),
        cmocka_unit_test_setup_teardown(test_every_truncation, sealed_setup, sealed_teardown),
        cmocka_unit_test_setup_teardown(test_oversized, sealed_setup, sealed_teardown),
        cmocka_unit_test_setup_teardown(test_every_bit_of_header_and_tag, sealed_setup,
                                        sealed_teardown),
        cmocka_unit_test_setup_teardown(test_verdicts, sealed_setup, sealed_teardown),
        cmocka_unit_test_setup_teardown(test_aead_edges, sealed_setup, sealed_teardown),
        cmocka_unit_test(test_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
