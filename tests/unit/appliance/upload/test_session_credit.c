/* test_session_credit.c - who has a window, how large it is, who waits and for how long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session_fixture.h"

#define ROOM_FOR_32 256u /* a window_total: 32 windows of eight chunks, or 64 of the least */

#define MANY (1u << 20) /* chunks of an upload that no window carries whole */

static uint32_t turn(uint32_t window_total, uint32_t window_max, uint32_t chunks_max)
{
    return mr_window_turn(&(struct mr_window_terms){window_total, window_max, chunks_max});
}

static uint32_t first_window(uint32_t window_total, uint32_t receiving)
{
    return mr_window_first(&(struct mr_window_terms){window_total, 64, MANY}, receiving, 0);
}

static void test_window_is_shared_evenly(void **state)
{
    (void)state;
    assert_int_equal(mr_window_share(1024, 0, 64), 64);
    assert_int_equal(mr_window_share(1024, 16, 64), 64);
    assert_int_equal(mr_window_share(1024, 32, 64), 32);
    assert_int_equal(mr_window_share(1024, 1000, 64), 4);
    assert_int_equal(mr_window_share(1, 1000, 64), 4);
    assert_int_equal(mr_window_share(1024, 10, 2), 2);
    assert_int_equal(mr_window_share(UINT32_MAX, 1, UINT32_MAX), UINT32_MAX);
}

static void test_window_follows_the_sessions(void **state)
{
    struct bench *bench = *state;
    struct mr_ack ack;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 60);
    struct kit_device *device = bench_admit(bench, 0), *other = bench_admit(bench, 1);
    struct kit_device *third = bench_admit(bench, 2);
    bench_chunk(bench, device, 0);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.window, 20);
    mr_sessions_revoke(bench->sessions, other->upload_id, MR_REASON_SUPERSEDED);
    bench->now_ms += 10;
    bench_chunk(bench, device, 1);
    bench_drain_acks(bench);
    bench->now_ms += 10;
    bench_chunk(bench, device, 2);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.window, 30);
    bench_all_chunks(bench, third);
    assert_true(bench_ack(bench, third, &ack, NULL));
    assert_int_equal(mr_sessions_receiving(bench->sessions), 1);
    bench->now_ms += 10;
    bench_chunk(bench, device, 3);
    assert_true(bench_ack(bench, device, &ack, NULL));
    assert_int_equal(ack.window, 60);
}

static uint32_t window_told(struct bench *bench, const struct kit_device *device, uint32_t chunk)
{
    struct mr_ack ack;

    bench_chunk(bench, device, chunk);
    bench->now_ms += MR_ACK_DELAY_WAITING_MS;
    assert_true(bench_ack(bench, device, &ack, NULL));
    return ack.window;
}

static void finish(struct bench *bench, const struct kit_device *device)
{
    for (uint32_t i = 0; i < 9; i++) {
        bench_chunk(bench, device, i); /* some of them again */
    }
    assert_int_equal(bench_state(bench, device), MR_UPLOAD_STAGED);
}

/* Nine chunks in flight are two windows of at least four: the third device waits, and is told when
 * one of the two ends. */
static void test_no_window_for_all(void **state)
{
    struct bench *bench = *state;
    struct mr_ack ack;

    assert_int_equal(first_window(9, 1), 9);
    assert_int_equal(first_window(9, 2), 4);
    assert_int_equal(first_window(9, 3), 1);
    assert_int_equal(first_window(3, 1), 4);
    assert_int_equal(first_window(3, 2), 1);
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 9);
    struct kit_device *first = bench_admit(bench, 0), *second = bench_admit(bench, 1);
    struct kit_device *third = bench_admit(bench, 2), *unheard = bench_admit(bench, 3);
    struct kit_device *fifth = bench_admit(bench, 4);
    assert_int_equal(window_told(bench, first, 0), 4);
    assert_int_equal(window_told(bench, third, 0), 0);
    assert_int_equal(window_told(bench, fifth, 0), 0);
    assert_int_equal(window_told(bench, second, 0), 4);
    mr_sessions_revoke(bench->sessions, first->upload_id, MR_REASON_SUPERSEDED);
    assert_true(bench_ack(bench, third, &ack, NULL)); /* without having sent anything more */
    assert_int_equal(ack.window, 5);                  /* the second is slow by now, and has four */
    assert_true(bench_ack(bench, first, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_REFUSED);
    assert_int_equal(window_told(bench, fifth, 1), 0);
    finish(bench, second);
    bench_drain_acks(bench);
    /* Not the one that nobody heard of. */
    assert_int_equal(window_told(bench, fifth, 2), 4);
    assert_int_equal(window_told(bench, unheard, 0), 0);
    finish(bench, third);
    finish(bench, fifth);
    bench_drain_acks(bench);
    assert_int_equal(window_told(bench, unheard, 1), 9);
}

/* While one waits, who has a window is answered when three quarters of it are here; else when half
 * of it is. */
static void test_answers_while_others_wait(void **state)
{
    struct bench *bench = *state;
    struct mr_ack_datagram datagram;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 9);
    struct kit_device *first = bench_admit(bench, 0), *second = bench_admit(bench, 1);
    struct kit_device *third = bench_admit(bench, 2);
    bench->now_ms += 10;
    bench_chunk(bench, first, 0);
    bench_chunk(bench, second, 0);
    (void)bench_drain_acks(bench);
    bench_chunk(bench, first, 1);
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    bench_chunk(bench, first, 2);
    assert_true(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    bench_chunk(bench, third, 0);
    for (uint32_t i = 3; i < 5; i++) {
        bench_chunk(bench, first, i);
        assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    }
    bench_chunk(bench, first, 5);
    assert_true(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
}

/* A device that has a window and sends nothing gives it up to one that waits, and gets one again
 * when there is room. */
static void test_window_of_a_stalled_device(void **state)
{
    struct bench *bench = *state;
    struct mr_ack ack;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 4);
    struct kit_device *stalled = bench_admit(bench, 0), *other = bench_admit(bench, 1);
    assert_int_equal(window_told(bench, stalled, 0), 4);
    bench->now_ms += 1000 / MR_WINDOW_STALL;
    mr_sessions_expire(bench->sessions, bench->now_ms);
    assert_int_equal(window_told(bench, stalled, 1), 4); /* nobody waits */
    assert_int_equal(window_told(bench, other, 0), 0);
    bench->now_ms += 1000 / MR_WINDOW_STALL;
    mr_sessions_expire(bench->sessions, bench->now_ms);
    assert_true(bench_ack(bench, other, &ack, NULL));
    assert_int_equal(ack.window, 4);
    assert_int_equal(window_told(bench, stalled, 2), 0);
    finish(bench, other);
    bench_drain_acks(bench);
    assert_int_equal(window_told(bench, stalled, 3), 4);
}

/* One that waits is not told so at once, because its turn may come before. */
static void test_waiting_is_told_late(void **state)
{
    struct bench *bench = *state;
    struct mr_ack_datagram datagram;
    struct mr_ack ack;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 4);
    struct kit_device *first = bench_admit(bench, 0), *second = bench_admit(bench, 1);
    struct kit_device *third = bench_admit(bench, 2);
    bench_chunk(bench, second, 0);
    bench_chunk(bench, third, 0);
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram));
    assert_int_equal(mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms),
                     MR_ACK_DELAY_WAITING_MS);
    bench->now_ms += MR_ACK_DELAY_WAITING_MS - 1;
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram));
    mr_sessions_revoke(bench->sessions, first->upload_id, MR_REASON_SUPERSEDED);
    assert_true(
        bench_ack(bench, second, &ack, NULL)); /* its first ACK: it never heard of waiting */
    assert_int_equal(ack.window, 4);
    assert_int_equal(ack.received, 1);
    assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram));
    assert_int_equal(mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms), 1);
    bench->now_ms += 1;
    assert_true(bench_ack(bench, third, &ack, NULL));
    assert_int_equal(ack.window, 0);
    assert_int_equal(mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms), UINT32_MAX);
    bench_chunk(bench, third, 1); /* a probe is answered as any chunk is */
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    assert_true(bench_ack(bench, third, &ack, NULL));
    assert_int_equal(ack.window, 0);
}

/* An upload that takes another's index over, and with it a place among those that wait, is told to
 * wait as any other: neither at once nor never. */
static void test_waiting_on_anothers_place(void **state)
{
    struct bench *bench = *state;
    struct mr_ack ack;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 4);
    bench_admit(bench, 0);
    struct kit_device *second = bench_admit(bench, 1);
    bench_chunk(bench, second, 0);
    bench->now_ms += 10;
    mr_sessions_revoke(bench->sessions, second->upload_id, MR_REASON_SUPERSEDED);
    bench_drain_acks(bench);
    second = bench_admit(bench, 1);
    bench_chunk(bench, second, 0);
    bench->now_ms += MR_ACK_DELAY_WAITING_MS - 1;
    assert_false(bench_ack(bench, second, &ack, NULL));
    bench->now_ms += 1;
    assert_true(bench_ack(bench, second, &ack, NULL));
    assert_int_equal(ack.window, 0);
    /* The place of one that was told. */
    mr_sessions_revoke(bench->sessions, second->upload_id, MR_REASON_SUPERSEDED);
    bench_drain_acks(bench);
    second = bench_admit(bench, 1);
    bench_chunk(bench, second, 0);
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    assert_true(bench_ack(bench, second, &ack, NULL));
    assert_int_equal(ack.window, 0);
    assert_int_equal(ack.received, 1);
}

/* However long one waited: when its turn has come it has as much time as any other to use it. */
static void test_a_turn_is_not_over_at_once(void **state)
{
    struct bench *bench = *state;
    const uint32_t stall_ms = 1000 / MR_WINDOW_STALL;
    struct mr_ack ack;

    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 4);
    struct kit_device *first = bench_admit(bench, 0), *second = bench_admit(bench, 1);
    struct kit_device *third = bench_admit(bench, 2);
    bench_chunk(bench, second, 0);
    bench_chunk(bench, third, 0);
    bench->now_ms += 4 * stall_ms;
    bench_drain_acks(bench);
    mr_sessions_clock(bench->sessions, bench->now_ms);
    mr_sessions_revoke(bench->sessions, first->upload_id, MR_REASON_SUPERSEDED);
    assert_true(bench_ack(bench, second, &ack, NULL));
    assert_int_equal(ack.window, 4);
    bench->now_ms += stall_ms - 1;
    mr_sessions_expire(bench->sessions, bench->now_ms);
    bench_chunk(bench, second, 1);
    assert_true(bench_ack(bench, second, &ack, NULL));
    assert_int_equal(ack.window, 4);
    bench->now_ms += stall_ms;
    mr_sessions_expire(bench->sessions, bench->now_ms);
    assert_true(bench_ack(bench, third, &ack, NULL));
    assert_int_equal(ack.window, 4);
}

/* Answers what is due; returns how many windows were told, each of which has to be `window`. */
static unsigned drain_windows(struct bench *bench, uint32_t window)
{
    struct mr_ack_datagram datagram;
    struct mr_datagram header;
    struct mr_ack ack;
    unsigned n = 0;

    while (mr_sessions_ack(bench->sessions, bench->now_ms, true, &datagram)) {
        mr_datagram_decode(&header, datagram.bytes, sizeof datagram.bytes);
        const struct kit_device *to = &bench->devices[mr_upload_id_index(header.upload_id)];
        assert_true(kit_open_ack(to, datagram.bytes, sizeof datagram.bytes, &ack) >= 0);
        if (ack.window == 0) {
            continue;
        }
        assert_int_equal(ack.window, window);
        n++;
    }
    return n;
}

/* No window is larger than an upload, so that more of them have one; and who has one that carries
 * the whole of it is answered once, at its end. */
static void test_windows_of_whole_uploads(void **state)
{
    struct bench *bench = *state;
    struct mr_ack_datagram datagram;
    const uint32_t chunks = bench->terms.layout.chunks, open = 56, waiting = 4;

    assert_int_equal(turn(MANY, 64, 29), 29);
    assert_int_equal(turn(MANY, 64, 45), MR_WINDOW_TURN);
    assert_int_equal(turn(MANY, 64, 1), MR_WINDOW_MIN);
    assert_int_equal(turn(MANY, 2, 1), 2);
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, open * chunks);
    for (uint32_t i = 0; i < open + waiting; i++) {
        bench_chunk(bench, bench_admit(bench, i), 0);
    }
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    assert_int_equal(drain_windows(bench, chunks), open);
    for (uint32_t chunk = 1; chunk + 1 < chunks; chunk++) {
        bench_chunk(bench, &bench->devices[0], chunk);
        assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    }
    bench_chunk(bench, &bench->devices[0], chunks - 1);
    assert_int_equal(drain_windows(bench, chunks), 1); /* of the next one */
    assert_int_equal(bench_state(bench, &bench->devices[0]), MR_UPLOAD_STAGED);
}

/* While a round has longer uploads, windows are for those: nobody knows whose turn comes. */
static void test_windows_beside_longer_uploads(void **state)
{
    struct bench *bench = *state;
    const uint32_t chunks = bench->terms.layout.chunks, total = 56 * chunks;
    const uint32_t longer_turn = total / MR_WINDOW_ABREAST, few = total / longer_turn;
    struct mr_layout longer;

    assert_int_equal(mr_layout_init(&longer, 16, 1000, 0, 64), 0);
    assert_true(longer_turn > chunks && longer.chunks > longer_turn);
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, total);
    mr_sessions_begin(bench->sessions, 1, KIT_ROUND + 1, &longer, total);
    for (uint32_t i = 0; i < 60; i++) {
        bench_chunk(bench, bench_admit(bench, i), 0);
    }
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    assert_int_equal(drain_windows(bench, total / few), few);
    mr_sessions_end(bench->sessions, 1, total);
    bench_chunk(bench, &bench->devices[0], 1);
    assert_int_equal(drain_windows(bench, chunks), 56 - few);
}

/* Those that do not use their windows up keep the least one, and what they had opens others; one
 * that does use it up keeps it. */
static void test_thin_lines_share_less(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(turn(ROOM_FOR_32, 64, MANY), 8);
    assert_int_equal(turn(1u << 20, 64, MANY), MR_WINDOW_TURN);
    assert_int_equal(turn(1u << 20, 6, MANY), 6);
    assert_int_equal(turn(1, 64, MANY), MR_WINDOW_MIN);
    assert_int_equal(mr_window_openings(&(struct mr_window_terms){ROOM_FOR_32, 64, MANY}, 0), 32);
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, ROOM_FOR_32);
    for (uint32_t i = 0; i < 56; i++) {
        bench_chunk(bench, bench_admit(bench, i), 0);
    }
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    assert_int_equal(drain_windows(bench, 8), 32);
    for (uint32_t chunk = 1; chunk < 8; chunk++) {
        bench_chunk(bench, &bench->devices[0], chunk);
    }
    bench->now_ms += MR_WINDOW_TURN_MS - MR_ACK_DELAY_BUSY_MS - 1;
    assert_int_equal(drain_windows(bench, 8), 1);
    bench_chunk(bench, &bench->devices[1], 1);
    assert_int_equal(drain_windows(bench, 8), 1); /* the turns are not over */
    bench->now_ms += 1;
    bench_chunk(bench, &bench->devices[40], 1); /* anybody's packet */
    /* 31 are slow: of 256 - 31 * 4 one and 15 others have eight, and nine devices wait. */
    assert_int_equal(drain_windows(bench, 8), 15);
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    bench_chunk(bench, &bench->devices[1], 2);
    assert_int_equal(drain_windows(bench, MR_WINDOW_MIN), 1);
    /* When the rest have theirs, nobody waits and all have the same. */
    for (uint32_t i = 32; i < 41; i++) {
        mr_sessions_revoke(bench->sessions, bench->devices[i].upload_id, MR_REASON_SUPERSEDED);
    }
    bench_drain_acks(bench);
    bench->now_ms += MR_ACK_DELAY_BUSY_MS;
    bench_chunk(bench, &bench->devices[1], 3);
    assert_int_equal(drain_windows(bench, ROOM_FOR_32 / 47), 1);
}

/* As the control thread reckons that has admitted them: silent ones are left the least window, so
 * that a newcomer has its own when it is first heard of, and needs no ACK that says so. */
static void test_a_window_beside_silent_ones(void **state)
{
    struct bench *bench = *state;
    const uint32_t chunks = bench->terms.layout.chunks, open = MR_WINDOW_ABREAST;
    const struct mr_window_terms terms = {open * chunks, 64, chunks};
    struct mr_ack_datagram datagram;
    struct mr_ack ack;

    assert_int_equal(mr_window_turn(&terms), chunks);
    assert_int_equal(mr_window_first(&terms, open + 1, 0), 1);
    assert_int_equal(mr_window_first(&terms, 1, open), 64);
    assert_int_equal(mr_window_first(&terms, 17, open), chunks); /* of 32 * 9 - 32 * 4 chunks */
    assert_int_equal(mr_window_first(&terms, 18, open), 1);
    assert_int_equal(mr_window_first(&terms, 1, open * chunks), 1); /* nothing is left */
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, open * chunks);
    for (uint32_t i = 0; i < open; i++) {
        bench_admit(bench, i);
    }
    bench->now_ms += MR_WINDOW_TURN_MS;
    const struct kit_device *newcomer = bench_admit(bench, open);
    for (uint32_t chunk = 0; chunk + 1 < chunks; chunk++) {
        bench_chunk(bench, newcomer, chunk);
        assert_false(mr_sessions_ack(bench->sessions, bench->now_ms, false, &datagram));
    }
    bench_chunk(bench, newcomer, chunks - 1);
    assert_true(bench_ack(bench, newcomer, &ack, NULL));
    assert_int_equal(ack.state, MR_UPLOAD_STAGED);
}

/* How devices of the crowd below are. */
struct crowd {
    struct bench *bench;
    uint32_t next[SLOTS];   /* chunk that was not sent yet */
    uint32_t window[SLOTS]; /* told, and not used yet */
    uint64_t probe_at[SLOTS];
};

static void crowd_hear(struct crowd *crowd)
{
    struct mr_ack_datagram datagram;
    struct mr_datagram header;
    struct mr_ack ack;

    while (mr_sessions_ack(crowd->bench->sessions, crowd->bench->now_ms, true, &datagram)) {
        mr_datagram_decode(&header, datagram.bytes, sizeof datagram.bytes);
        const uint32_t i = mr_upload_id_index(header.upload_id);
        assert_true(kit_open_ack(&crowd->bench->devices[i], datagram.bytes, sizeof datagram.bytes,
                                 &ack) >= 0);
        crowd->window[i] = ack.window;
    }
}

static void crowd_send(struct crowd *crowd, uint32_t i)
{
    struct bench *bench = crowd->bench;
    const uint32_t chunks = bench->terms.layout.chunks;

    if (crowd->window[i] == 0 && bench->now_ms >= crowd->probe_at[i]) {
        crowd->window[i] = 1;
    }
    for (; crowd->window[i] > 0 && crowd->next[i] < chunks; crowd->window[i]--) {
        bench_chunk(bench, &bench->devices[i], crowd->next[i]++);
        crowd->probe_at[i] = bench->now_ms + 250;
    }
}

/* Of 64 devices a quarter vanish after their first chunk; windows suffice for four at once. All
 * the others have their turn, before the first of the vanished is given up. */
static void test_everybody_has_a_turn(void **state)
{
    struct bench *bench = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    const uint64_t began_ms = bench->now_ms;
    const uint32_t living = SLOTS - SLOTS / 4;

    assert_non_null(crowd);
    crowd->bench = bench;
    mr_sessions_begin(bench->sessions, 0, KIT_ROUND, &bench->terms.layout, 4 * MR_WINDOW_MIN);
    for (uint32_t i = 0; i < SLOTS; i++) {
        bench_admit(bench, i);
        crowd->window[i] = 1;
        crowd_send(crowd, i);
    }
    while (bench->staged < living && bench->expired == 0) {
        bench->now_ms += 5;
        crowd_hear(crowd);
        for (uint32_t i = 0; i < SLOTS; i++) {
            if (i % 4 != 0) {
                crowd_send(crowd, i);
            }
        }
        mr_sessions_expire(bench->sessions, bench->now_ms);
        bench_take_events(bench);
    }
    print_message("%u staged, %u expired after %llu ms\n", bench->staged, bench->expired,
                  (unsigned long long)(bench->now_ms - began_ms));
    assert_int_equal(bench->staged, living);
    free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_is_shared_evenly),
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        TEST(test_window_follows_the_sessions),
        TEST(test_no_window_for_all),
        TEST(test_answers_while_others_wait),
        TEST(test_window_of_a_stalled_device),
        TEST(test_waiting_is_told_late),
        TEST(test_waiting_on_anothers_place),
        TEST(test_a_turn_is_not_over_at_once),
        TEST(test_windows_of_whole_uploads),
        TEST(test_windows_beside_longer_uploads),
        TEST(test_thin_lines_share_less),
        TEST(test_a_window_beside_silent_ones),
        TEST(test_everybody_has_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
