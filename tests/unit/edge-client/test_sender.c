/* test_sender.c - the sender under a simulated network: loss, reorder, duplication, forgeries.
 *
 * Time is virtual; every run's seed is printed when it fails. Retransmissions are compared byte for
 * byte by the receiver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge-client/trainer/sgd.h"
#include "edge-client/upload/sender.h"
#include "tests/unit/edge-client/receiver.h"

#define PACKETS_MAX 8192
#define BYTES_MAX   2048

struct packet {
    uint64_t due_us;
    size_t length;
    bool up;
    uint8_t bytes[BYTES_MAX];
};

struct network {
    struct mr_sgd_random random;
    unsigned loss, duplicate, reorder; /* percent */
    uint64_t delay_us;
    unsigned count;
    struct packet *packets;
};

struct env {
    uint64_t now_us;
    struct mr_layout layout;
    struct mr_upload_keys keys;
    uint8_t *share;
    struct mr_sender *sender;
    struct receiver receiver;
    struct network net;
};

static void put(struct network *net, uint64_t now_us, bool up, const uint8_t *bytes, size_t length)
{
    unsigned copies = mr_sgd_random_below(&net->random, 100) < net->duplicate ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        if (mr_sgd_random_below(&net->random, 100) < net->loss) {
            continue;
        }
        assert_true(net->count < PACKETS_MAX && length <= BYTES_MAX);
        struct packet *p = &net->packets[net->count++];
        uint64_t extra = mr_sgd_random_below(&net->random, 100) < net->reorder
                             ? mr_sgd_random_below(&net->random, 20000)
                             : 0;
        *p = (struct packet){.due_us = now_us + net->delay_us + extra, .length = length, .up = up};
        memcpy(p->bytes, bytes, length);
    }
}

static void env_init(struct env *w, uint64_t seed, uint32_t dimension, uint32_t window)
{
    uint8_t ekm[MR_EKM_BYTES] = {7};
    memset(w, 0, sizeof *w);
    w->now_us = 1000000;
    w->net.random.state = seed;
    w->net.delay_us = 5000;
    w->net.packets = calloc(PACKETS_MAX, sizeof *w->net.packets);
    assert_int_equal(mr_layout_init(&w->layout, 16, dimension, 0, 1408), 0);
    assert_int_equal(mr_upload_keys_derive(&w->keys, ekm), 0);
    w->share = aligned_alloc(64, (w->layout.share_bytes + 63) / 64 * 64);
    for (uint64_t i = 0; i < w->layout.share_bytes; i++) {
        w->share[i] = (uint8_t)mr_sgd_random_next(&w->net.random);
    }
    struct mr_sender_config config = {.layout = &w->layout,
                                      .share = w->share,
                                      .upload_id = 77,
                                      .round = 3,
                                      .attempt = 1,
                                      .keys = &w->keys,
                                      .window = window,
                                      .silence_us = 3000000};
    w->sender = mr_sender_open(&config, w->now_us);
    assert_non_null(w->sender);
    receiver_init(&w->receiver, &w->layout, 77, 3, 1, &w->keys, window);
}

static void env_fini(struct env *w)
{
    mr_sender_close(w->sender);
    receiver_fini(&w->receiver);
    free(w->net.packets);
    free(w->share);
}

static void deliver(struct env *w)
{
    uint8_t ack[256];
    for (unsigned i = 0; i < w->net.count;) {
        struct packet *p = &w->net.packets[i];
        if (p->due_us > w->now_us) {
            i++;
            continue;
        }
        if (p->up) {
            receiver_take(&w->receiver, p->bytes, p->length);
            size_t length = receiver_ack(&w->receiver, ack);
            *p = w->net.packets[--w->net.count];
            put(&w->net, w->now_us, false, ack, length);
        } else {
            mr_sender_receive(w->sender, w->now_us, p->bytes, p->length);
            *p = w->net.packets[--w->net.count];
        }
    }
}

/* Runs until the sender ends or a minute has passed. */
static void run(struct env *w)
{
    uint8_t out[BYTES_MAX];
    uint64_t limit_us = w->now_us + 60000000;
    while (mr_sender_phase(w->sender) == MR_SENDER_SENDING && w->now_us < limit_us) {
        for (size_t n; (n = mr_sender_next(w->sender, w->now_us, out));) {
            put(&w->net, w->now_us, true, out, n);
        }
        uint64_t next = mr_sender_wake_us(w->sender, w->now_us);
        for (unsigned i = 0; i < w->net.count; i++) {
            next = w->net.packets[i].due_us < next ? w->net.packets[i].due_us : next;
        }
        if (next == UINT64_MAX) {
            break;
        }
        w->now_us = next > w->now_us ? next : w->now_us + 1;
        deliver(w);
    }
}

static void check_done(struct env *w)
{
    assert_int_equal(mr_sender_phase(w->sender), MR_SENDER_STAGED);
    assert_int_equal(w->receiver.received, w->layout.chunks);
    assert_memory_equal(w->receiver.share, w->share, w->layout.share_bytes);
}

static void test_clean_path_sends_each_chunk_once(void **state)
{
    (void)state;
    struct env w;
    env_init(&w, 1, 20000, 16);
    run(&w);
    check_done(&w);
    assert_int_equal(mr_sender_counts(w.sender)->datagrams, w.layout.chunks);
    assert_int_equal(mr_sender_counts(w.sender)->retransmitted, 0);
    env_fini(&w);
}

static void test_bad_networks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct env w;
        env_init(&w, seed, 1 + (uint32_t)seed * 997, 1 + (uint32_t)(seed * 7) % 96);
        w.net.loss = (unsigned)(seed * 5) % 31;
        w.net.duplicate = (unsigned)(seed * 3) % 30;
        w.net.reorder = (unsigned)(seed * 11) % 80;
        run(&w);
        if (mr_sender_phase(w.sender) != MR_SENDER_STAGED) {
            print_message("seed %llu\n", (unsigned long long)seed);
        }
        check_done(&w);
        env_fini(&w);
    }
}

static void test_never_more_in_flight_than_the_window(void **state)
{
    (void)state;
    struct env w;
    uint8_t out[BYTES_MAX];
    unsigned sent = 0;
    env_init(&w, 5, 60000, 10);
    while (mr_sender_next(w.sender, w.now_us, out)) {
        sent++;
    }
    assert_int_equal(sent, 10);
    env_fini(&w);
}

/* Whatever the grant says: the address may not be the hub's. */
static void test_the_first_window_is_capped(void **state)
{
    struct env w;
    uint8_t out[2048];
    unsigned sent = 0;
    (void)state;
    env_init(&w, 5, 200000, 100000);
    while (mr_sender_next(w.sender, w.now_us, out)) {
        sent++;
    }
    assert_int_equal(sent, MR_SENDER_WINDOW_FIRST);
    env_fini(&w);
}

static void test_closed_window_is_probed(void **state)
{
    (void)state;
    struct env w;
    uint8_t out[BYTES_MAX];
    env_init(&w, 6, 20000, 4);
    w.receiver.window = 0;
    size_t n = mr_sender_next(w.sender, w.now_us, out);
    receiver_take(&w.receiver, out, n);
    n = receiver_ack(&w.receiver, out);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, out, n), 0);
    assert_int_equal(mr_sender_next(w.sender, w.now_us, out), 0);
    uint64_t wake = mr_sender_wake_us(w.sender, w.now_us);
    assert_true(wake >= w.now_us + MR_SENDER_RTO_FIRST_US && wake < w.now_us + 3000000);
    assert_int_equal(mr_sender_next(w.sender, wake - 1, out), 0);
    assert_true(mr_sender_next(w.sender, wake, out) > 0);
    assert_int_equal(mr_sender_next(w.sender, wake, out), 0); /* one probe only */
    env_fini(&w);
}

/* The hub may answer a chunk that was sent while there was no window only when there is one: that
 * is no round trip, and must not delay the repair of what is lost later. */
static void test_waiting_is_no_round_trip(void **state)
{
    (void)state;
    struct env w;
    uint8_t out[BYTES_MAX];
    env_init(&w, 7, 20000, 1);
    w.receiver.window = 16;
    size_t n = mr_sender_next(w.sender, w.now_us, out);
    receiver_take(&w.receiver, out, n);
    w.now_us += 100000;
    n = receiver_ack(&w.receiver, out);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, out, n), 0);
    for (unsigned sent = 0; (n = mr_sender_next(w.sender, w.now_us, out)); sent++) {
        if (sent != 15) { /* the last one is lost: nothing later tells of it */
            receiver_take(&w.receiver, out, n);
        }
    }
    const uint64_t sent_us = w.now_us;
    w.now_us += 5000;
    n = receiver_ack(&w.receiver, out);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, out, n), 0);
    unsigned again = 0;
    while (mr_sender_next(w.sender, sent_us + MR_SENDER_RTO_MIN_US, out)) {
        again = (unsigned)mr_sender_counts(w.sender)->retransmitted;
    }
    assert_int_equal(again, 1);
    env_fini(&w);
}

static void test_silence_ends_it(void **state)
{
    (void)state;
    struct env w;
    env_init(&w, 8, 20000, 16);
    w.net.loss = 100;
    uint64_t began = w.now_us;
    run(&w);
    assert_int_equal(mr_sender_phase(w.sender), MR_SENDER_SILENT);
    assert_true(w.now_us - began >= 3000000 && w.now_us - began < 3100000);
    assert_true(mr_sender_counts(w.sender)->datagrams < 100); /* it backed off */
    env_fini(&w);
}

static void test_refusal_is_heard(void **state)
{
    (void)state;
    struct env w;
    uint8_t out[BYTES_MAX];
    env_init(&w, 9, 20000, 16);
    w.receiver.state = MR_UPLOAD_REFUSED;
    w.receiver.reason = MR_REASON_CLOSED;
    mr_sender_next(w.sender, w.now_us, out);
    size_t n = receiver_ack(&w.receiver, out);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, out, n), 0);
    assert_int_equal(mr_sender_phase(w.sender), MR_SENDER_REFUSED);
    assert_int_equal(mr_sender_reason(w.sender), MR_REASON_CLOSED);
    assert_int_equal(mr_sender_next(w.sender, w.now_us, out), 0);
    env_fini(&w);
}

static void test_forged_and_old_acks_change_nothing(void **state)
{
    (void)state;
    struct env w;
    uint8_t out[BYTES_MAX], good[256], bad[256];
    env_init(&w, 10, 60000, 8);
    while (mr_sender_next(w.sender, w.now_us, out)) {
        ;
    }
    struct mr_ack committed = {.state = MR_UPLOAD_COMMITTED, .base = w.layout.chunks};
    size_t n = receiver_seal(&w.receiver, 5, &committed, good);
    for (size_t bit = 0; bit < 8 * n; bit++) { /* every flipped bit, header and tag included */
        memcpy(bad, good, n);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(mr_sender_receive(w.sender, w.now_us, bad, n), -1);
    }
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(mr_sender_receive(w.sender, w.now_us, good, cut), -1);
    }
    /* A device's own chunk reflected at it is no ACK. */
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, out, w.layout.chunk_bytes + 48), -1);
    struct mr_ack beyond = {.state = MR_UPLOAD_RECEIVING, .base = w.layout.chunks + 1};
    n = receiver_seal(&w.receiver, 6, &beyond, bad);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, bad, n), -1);
    assert_int_equal(mr_sender_phase(w.sender), MR_SENDER_SENDING);
    assert_int_equal(mr_sender_counts(w.sender)->acks, 0);

    struct mr_ack fresh = {.state = MR_UPLOAD_RECEIVING, .base = 4, .window = 8};
    n = receiver_seal(&w.receiver, 7, &fresh, good);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, good, n), 0);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, good, n), -1); /* replayed */
    n = receiver_seal(&w.receiver, 3, &committed, good);
    assert_int_equal(mr_sender_receive(w.sender, w.now_us, good, n), -1); /* older than one heard */
    assert_int_equal(mr_sender_phase(w.sender), MR_SENDER_SENDING);
    env_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_path_sends_each_chunk_once),
        cmocka_unit_test(test_bad_networks),
        cmocka_unit_test(test_never_more_in_flight_than_the_window),
        cmocka_unit_test(test_the_first_window_is_capped),
        cmocka_unit_test(test_closed_window_is_probed),
        cmocka_unit_test(test_waiting_is_no_round_trip),
        cmocka_unit_test(test_silence_ends_it),
        cmocka_unit_test(test_refusal_is_heard),
        cmocka_unit_test(test_forged_and_old_acks_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
