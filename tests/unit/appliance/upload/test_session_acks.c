/* test_session_acks.c - what is answered, to whom, how often, and never more than was received. */
#include <string.h>

#include "session_fixture.h"

static bool same(const struct mr_peer_address *a, const struct mr_peer_address *b)
{
    return a->port == b->port && memcmp(&a->host, &b->host, sizeof a->host) == 0;
}

static enum mr_drop_reason chunk_from(struct bench *bench, const struct kit_device *device,
                                      uint32_t chunk, const struct mr_peer_address *from)
{
    uint8_t datagram[KIT_DATAGRAM_MAX];
    const uint32_t length = kit_seal(device, chunk, datagram);

    return bench_give(bench, datagram, length, from);
}

/* base and bitmap say exactly which chunks are there, over shares of more than 256 chunks. */
static void test_ack_tells_the_bitmap(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, 16, 20000, 64); /* 629 chunks */
    struct kit_device *device = bench_admit(&bench, 0);
    const uint32_t chunks = bench.terms.layout.chunks;
    static uint32_t order[1000];
    static bool there[1000];
    struct mr_ack ack;

    memset(there, 0, sizeof there);
    kit_shuffle(&bench.seed, order, chunks);
    for (uint32_t i = 0; i + 1 < chunks; i++) {
        assert_int_equal(bench_chunk(&bench, device, order[i]), MR_UPLOAD_ACCEPTED);
        there[order[i]] = true;
        bench.now_ms += 10;
        assert_true(bench_ack(&bench, device, &ack, NULL));
        assert_int_equal(ack.state, MR_UPLOAD_RECEIVING);
        assert_int_equal(ack.received, i + 1);
        uint32_t base = 0;
        while (there[base]) {
            base++;
        }
        assert_int_equal(ack.base, base);
        for (uint32_t bit = 0; bit < 256; bit++) {
            assert_int_equal(ack.bitmap[bit / 8] >> (bit % 8) & 1,
                             base + bit < chunks && there[base + bit]);
        }
    }
    bench_close(&bench);
}

static void test_ack_numbers_rise(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    struct mr_ack_datagram datagram;
    struct mr_ack ack;

    for (uint32_t i = 0; i < 8; i++) {
        bench_chunk(bench, device, i);
        bench->now_ms += 10;
        assert_true(mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram));
        assert_int_equal(kit_open_ack(device, datagram.bytes, sizeof datagram.bytes, &ack), i);
    }
}

/* Staged and committed are told at once; window 0 says that nothing more is wanted. */
static void test_ack_of_the_end(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    struct mr_ack ack;

    bench_all_chunks(bench, device);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_STAGED);
    assert_int_equal(ack.base, 9);
    assert_int_equal(ack.window, 0);
    bench_fold(bench);
    mr_sessions_settle(bench->sessions, device->upload_id, true, MR_REASON_NONE);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_COMMITTED);
    assert_false(bench_ack(bench, device, &ack, NULL));
    /* That ACK was lost: the device repeats a chunk and hears it again. */
    bench->now_ms += 10;
    assert_int_equal(bench_chunk(bench, device, 2), MR_UPLOAD_DROP_duplicate);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_COMMITTED);
}

/* Refused before it sent anything: its first packet, opened, gets the answer. */
static void test_refused_before_heard(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0), *other = bench_admit(bench, 1);
    struct kit_device liar = *other;
    struct mr_ack ack;

    mr_sessions_refuse_all(bench->sessions, 0, MR_REASON_CLOSED);
    assert_int_equal(bench_drain_acks(bench), 0); /* nobody to tell */
    liar.upload_id = device->upload_id;
    assert_int_equal(bench_chunk(bench, &liar, 0), MR_UPLOAD_DROP_bad_tag);
    assert_int_equal(bench_drain_acks(bench), 0);
    assert_int_equal(bench_chunk(bench, device, 0), MR_UPLOAD_DROP_not_receiving);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_REFUSED);
    assert_int_equal(ack.reason, MR_REASON_CLOSED);
}

static void test_repeats_are_rate_limited(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    unsigned acks = 0;

    bench_chunk(bench, device, 0);
    for (unsigned i = 0; i < 1000; i++) {
        bench->now_ms += i % 100 == 99;
        assert_int_equal(bench_chunk(bench, device, 0), MR_UPLOAD_DROP_duplicate);
        acks += bench_drain_acks(bench);
    }
    assert_in_range(acks, 10, 11); /* one a millisecond */
}

/* On a busy socket a burst of new chunks is acknowledged every sixteen; the rest waits. */
static void test_ack_every_sixteen(void **state)
{
    (void)state;
    struct bench bench;
    struct mr_ack_datagram datagram;
    unsigned acks = 0;

    bench_open(&bench, 16, 20000, 64);
    struct kit_device *device = bench_admit(&bench, 0);
    bench.now_ms += 10;
    bench_chunk(&bench, device, 0);
    while (mr_sessions_ack(bench.sessions, bench.now_ms, true, &datagram)) {
        acks++;
    }
    assert_int_equal(acks, 1);
    for (uint32_t i = 1; i <= 160; i++) {
        bench_chunk(&bench, device, i);
        while (mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram)) {
            acks++;
        }
        assert_int_equal(acks, 1 + i / MR_ACK_EVERY);
    }
    bench_chunk(&bench, device, 161);
    assert_int_equal(mr_sessions_ack_wait_ms(bench.sessions, bench.now_ms), 1);
    bench.now_ms += 4;
    assert_false(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, true, &datagram));
    assert_int_equal(mr_sessions_ack_wait_ms(bench.sessions, bench.now_ms), UINT32_MAX);
    bench_chunk(&bench, device, 162);
    bench.now_ms += 6;
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    bench_close(&bench);
}

/* The device's address changes in the middle; a replay by a stranger changes nothing for good. */
static void test_rebinding(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    const struct mr_peer_address moved = kit_address(0x0a000002, 777);
    struct mr_peer_address to;
    struct mr_ack ack;

    bench_chunk(bench, device, 0);
    bench->now_ms += MR_ACK_DELAY_MS;
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_true(same(&to, &bench_home));
    bench->now_ms += 10;
    assert_int_equal(chunk_from(bench, device, 1, &moved), MR_UPLOAD_ACCEPTED);
    bench->now_ms += MR_ACK_DELAY_WHOLE_MS;
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_true(same(&to, &moved));
    /* A repeat from home, sealed well: the device moved back. */
    bench->now_ms += 10;
    assert_int_equal(bench_chunk(bench, device, 0), MR_UPLOAD_DROP_duplicate);
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_true(same(&to, &bench_home));
    assert_int_equal(mr_counter_get(&bench->counters->counts[MR_UPLOAD_COUNT_rebound]), 2);
}

/* Another router, the same address, and the device has nothing new to say: its repeats tell the way
 * back, but only if their seals hold. */
static void test_another_way_back(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    const struct mr_link_address router = {.vlan = 7, .mac = {2, 0, 0, 0, 0, 9}};
    struct mr_peer_address by_router = bench_home, to;
    uint8_t datagram[KIT_DATAGRAM_MAX];
    struct mr_ack ack;

    by_router.link = router;
    bench_chunk(bench, device, 0);
    bench_drain_acks(bench);
    bench->now_ms += 10;
    const uint32_t length = kit_seal(device, 0, datagram);
    datagram[length - 1] ^= 1;
    assert_int_equal(bench_give(bench, datagram, length, &by_router), MR_UPLOAD_DROP_bad_tag);
    assert_int_equal(chunk_from(bench, device, 0, &bench_home), MR_UPLOAD_DROP_duplicate);
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_memory_equal(&to.link, &bench_home.link, sizeof to.link);
    bench->now_ms += 10;
    assert_int_equal(chunk_from(bench, device, 0, &by_router), MR_UPLOAD_DROP_duplicate);
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_true(same(&to, &bench_home));
    assert_memory_equal(&to.link, &router, sizeof router);
    assert_int_equal(mr_counter_get(&bench->counters->counts[MR_UPLOAD_COUNT_rebound]), 0);
}

static void test_stranger_gets_nothing(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    const struct mr_peer_address stranger = kit_address(0xc0a80001, 9);
    uint8_t datagram[KIT_DATAGRAM_MAX];
    struct mr_ack ack;
    struct mr_peer_address to;

    bench_chunk(bench, device, 0);
    bench->now_ms += MR_ACK_DELAY_MS;
    bench_drain_acks(bench);
    const uint32_t length = kit_seal(device, 0, datagram);
    datagram[length - 1] ^= 1;
    for (unsigned i = 0; i < 100; i++) {
        bench->now_ms += 10;
        assert_int_equal(bench_give(bench, datagram, length, &stranger), MR_UPLOAD_DROP_bad_tag);
        assert_int_equal(bench_drain_acks(bench), 0);
    }
    bench_chunk(bench, device, 1);
    bench->now_ms += MR_ACK_DELAY_WHOLE_MS;
    assert_true(bench_ack(bench, device, &ack, &to));
    assert_true(same(&to, &bench_home));
    assert_int_equal(ack.received, 2);
}

/* Whatever happens in whatever order, no address is sent more than came from it. */
static void test_no_amplification(void **state)
{
    (void)state;
    struct bench bench;
    struct mr_peer_address places[3] = {bench_home, kit_address(0x0a000002, 2),
                                        kit_address(0x0a000003, 3)};
    uint64_t in[3] = {0}, out[3] = {0};
    struct mr_ack_datagram datagram;

    bench_open(&bench, 16, 600, 64); /* the smallest chunks: an ACK is nearly as large */
    for (unsigned step = 0; step < 20000; step++) {
        const uint32_t index = (uint32_t)(kit_random(&bench.seed) % 4);
        struct kit_device *device = &bench.devices[index];
        const unsigned place = (unsigned)(kit_random(&bench.seed) % 3);
        bench.now_ms += kit_random(&bench.seed) % 3;
        if (!device->share || kit_random(&bench.seed) % 100 == 0) {
            if (device->share) {
                bench_fold(&bench);
                bench.shard.count = 0;
                mr_sessions_settle(bench.sessions, device->upload_id, step % 2 == 0,
                                   MR_REASON_VOID);
                mr_sessions_revoke(bench.sessions, device->upload_id, MR_REASON_IDLE);
            }
            bench_admit(&bench, index);
            continue;
        }
        uint8_t bytes[KIT_DATAGRAM_MAX];
        const uint32_t length =
            kit_seal(device, (uint32_t)kit_random(&bench.seed) % device->layout->chunks, bytes);
        bytes[40] ^= kit_random(&bench.seed) % 4 == 0; /* some forged */
        bench_give(&bench, bytes, length, &places[place]);
        in[place] += length;
        while (mr_sessions_ack(bench.sessions, bench.now_ms, step % 2 == 0, &datagram)) {
            for (unsigned p = 0; p < 3; p++) {
                out[p] += same(&datagram.to, &places[p]) ? sizeof datagram.bytes : 0;
            }
            for (unsigned p = 0; p < 3; p++) {
                assert_true(out[p] <= in[p]);
            }
        }
    }
    assert_true(out[0] > 0 && out[1] > 0 && out[2] > 0);
    bench_close(&bench);
}

/* Bytes from one address buy nothing for another: a replayed packet with a forged sender cannot
 * turn a session's answers into a flood. */
static void test_no_credit_for_another_address(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    const struct mr_peer_address victim = kit_address(0xc0a80001, 9);
    struct mr_peer_address to;
    struct mr_ack ack;

    for (uint32_t chunk = 0; chunk < 8; chunk++) {
        bench_chunk(bench, device, chunk);
    }
    bench_drain_acks(bench);
    assert_int_equal(chunk_from(bench, device, 8, &victim), MR_UPLOAD_ACCEPTED); /* 112 bytes */
    assert_true(bench_ack(bench, device, &ack, &to));                            /* 96 bytes */
    assert_true(same(&to, &victim));
    bench_fold(bench);
    mr_sessions_settle(bench->sessions, device->upload_id, true, MR_REASON_NONE);
    assert_int_equal(bench_drain_acks(bench), 0);
    assert_int_equal(bench_count(bench, MR_UPLOAD_DROP_ack_withheld), 1);
}

/* Three small chunks, each acknowledged: the fourth ACK would be one too many until more comes. */
static void test_ack_withheld(void **state)
{
    (void)state;
    struct bench bench;
    struct mr_ack ack;

    bench_open(&bench, 16, 32, 64); /* 192 bytes of share, 336 with headers and tags */
    struct kit_device *device = bench_admit(&bench, 0);
    for (uint32_t chunk = 0; chunk < 2; chunk++) {
        bench_chunk(&bench, device, chunk);
        bench.now_ms += 10;
        assert_int_equal(bench_drain_acks(&bench), 1);
    }
    bench_chunk(&bench, device, 2);
    assert_int_equal(bench_drain_acks(&bench), 1);
    bench_fold(&bench);
    mr_sessions_settle(bench.sessions, device->upload_id, true, MR_REASON_NONE);
    assert_int_equal(bench_drain_acks(&bench), 0); /* 288 bytes are out */
    assert_int_equal(bench_count(&bench, MR_UPLOAD_DROP_ack_withheld), 1);
    bench.now_ms += 10;
    bench_chunk(&bench, device, 0);
    assert_true(bench_ack(&bench, device, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_COMMITTED);
    bench_close(&bench);
}

/* An upload of no more chunks than the least window is answered when it is whole; where the rest
 * does not come, soon on a quiet socket and later on a busy one. */
static void test_small_upload_has_one_ack(void **state)
{
    (void)state;
    struct bench bench;
    struct mr_ack_datagram datagram;
    struct mr_ack ack;

    bench_open(&bench, 16, 64, 64);
    assert_int_equal(bench.terms.layout.chunks, 3);
    struct kit_device *whole = bench_admit(&bench, 0), *part = bench_admit(&bench, 1);
    struct kit_device *third = bench_admit(&bench, 2);
    bench_chunk(&bench, whole, 0);
    bench_chunk(&bench, part, 0);
    assert_false(mr_sessions_ack(bench.sessions, bench.now_ms, true, &datagram));
    assert_int_equal(mr_sessions_ack_wait_ms(bench.sessions, bench.now_ms), MR_ACK_DELAY_MS);
    bench.now_ms += MR_ACK_DELAY_SMALL_MS - 1;
    assert_false(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    bench_chunk(&bench, whole, 1);
    bench_chunk(&bench, whole, 2);
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    assert_int_equal(kit_open_ack(whole, datagram.bytes, sizeof datagram.bytes, &ack), 0);
    assert_int_equal(ack.state, MR_UPLOAD_STAGED);
    assert_false(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    bench.now_ms += 1;
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    assert_int_equal(kit_open_ack(part, datagram.bytes, sizeof datagram.bytes, &ack), 0);
    assert_int_equal(ack.received, 1);
    bench_chunk(&bench, third, 2);
    bench.now_ms += MR_ACK_DELAY_MS;
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, true, &datagram));
    assert_int_equal(kit_open_ack(third, datagram.bytes, sizeof datagram.bytes, &ack), 0);
    /* What repeats itself has waited long enough, if it was answered before. */
    bench.now_ms += 10;
    bench_chunk(&bench, third, 2);
    assert_true(mr_sessions_ack(bench.sessions, bench.now_ms, false, &datagram));
    assert_int_equal(mr_sessions_ack_wait_ms(bench.sessions, bench.now_ms), UINT32_MAX);
    bench_close(&bench);
}

/* One that fits a window is answered at its end too, however its train is cut into bursts and
 * however long ago it was admitted; where something of it is lost, so long after its first chunk.
 */
static void test_whole_upload_has_one_ack(void **state)
{
    struct bench *bench = *state;
    struct mr_ack_datagram datagram;
    struct mr_ack ack;
    struct kit_device *whole = bench_admit(bench, 0), *part = bench_admit(bench, 1);

    bench->now_ms += 100;
    for (uint32_t i = 0; i < 8; i++) {
        bench_chunk(bench, whole, i);
        bench_chunk(bench, part, i);
    }
    bench->now_ms += MR_ACK_DELAY_BUSY_MS - 1;
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    bench_chunk(bench, whole, 8);
    assert_true(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    assert_int_equal(kit_open_ack(whole, datagram.bytes, sizeof datagram.bytes, &ack), 0);
    assert_int_equal(ack.state, MR_UPLOAD_STAGED);
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    bench->now_ms += 1;
    assert_true(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    assert_int_equal(kit_open_ack(part, datagram.bytes, sizeof datagram.bytes, &ack), 0);
    assert_int_equal(ack.received, 8);
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram));
}

/* Over a line that takes 2 ms for a chunk, on a quiet socket: not every chunk is answered. */
static void test_thin_line_has_few_acks(void **state)
{
    struct bench *bench = *state;
    struct kit_device *device = bench_admit(bench, 0);
    unsigned acks = 0;

    for (uint32_t i = 0; i < 9; i++) {
        bench_chunk(bench, device, i);
        if (i == 1) {
            assert_int_equal(mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms),
                             MR_ACK_DELAY_WHOLE_MS);
        }
        for (unsigned ms = 0; ms < 2; ms++) {
            acks += bench_drain_acks(bench);
            bench->now_ms++;
        }
    }
    /* The first chunk, six in two pieces of time, what was left with the end. */
    assert_int_equal(acks, 4);
    assert_int_equal(bench_state(bench, device), MR_UPLOAD_STAGED);
    assert_int_equal(mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms), UINT32_MAX);
}

/* Many at once: each is sealed for its own device, with its own number, and none is lost between
 * two bursts. */
static void test_acks_in_bursts(void **state)
{
    (void)state;
    struct bench bench;
    struct mr_ack_datagram datagrams[MR_BURST_MAX];
    struct mr_datagram header;
    struct mr_ack ack;
    unsigned answered[SLOTS] = {0}, count, all = 0;

    bench_open(&bench, 16, 1000, 256);
    for (uint32_t i = 0; i < SLOTS; i++) {
        bench_chunk(&bench, bench_admit(&bench, i), i % 9);
    }
    bench.now_ms += MR_ACK_DELAY_WAITING_MS;
    while ((count = mr_sessions_acks(bench.sessions, bench.now_ms, true, datagrams, 7)) > 0) {
        assert_true(count <= 7);
        for (unsigned i = 0; i < count; i++) {
            mr_datagram_decode(&header, datagrams[i].bytes, sizeof datagrams[i].bytes);
            const uint32_t index = mr_upload_id_index(header.upload_id);
            assert_int_equal(kit_open_ack(&bench.devices[index], datagrams[i].bytes,
                                          sizeof datagrams[i].bytes, &ack),
                             answered[index]++);
            assert_int_equal(ack.received, 1);
        }
        all += count;
    }
    assert_int_equal(all, SLOTS);
    bench_close(&bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_tells_the_bitmap),
        TEST(test_ack_numbers_rise),
        TEST(test_ack_of_the_end),
        TEST(test_refused_before_heard),
        TEST(test_repeats_are_rate_limited),
        cmocka_unit_test(test_ack_every_sixteen),
        TEST(test_rebinding),
        TEST(test_another_way_back),
        TEST(test_no_credit_for_another_address),
        TEST(test_stranger_gets_nothing),
        cmocka_unit_test(test_no_amplification),
        cmocka_unit_test(test_ack_withheld),
        cmocka_unit_test(test_small_upload_has_one_ack),
        TEST(test_whole_upload_has_one_ack),
        TEST(test_thin_line_has_few_acks),
        cmocka_unit_test(test_acks_in_bursts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
