/* test_plane.c - the upload plane as a whole: worker threads, real sockets on loopback, the loop.
 * The argument names the packet source. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plane_fixture.h"

static void whole_round(uint8_t ring_bits)
{
    struct fixture *fixture = fixture_open(ring_bits, 5000, 3, 8, 60000);

    for (unsigned i = 0; i < 20; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, 20);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    for (unsigned i = 0; i < fixture->count; i++) {
        assert_true(fixture->uploads[i].ack_bytes <= fixture->uploads[i].sent_bytes);
    }
    fixture_close(fixture);
}

static void test_whole_round_16(void **state)
{
    (void)state;
    whole_round(16);
}

static void test_whole_round_24(void **state)
{
    (void)state;
    whole_round(24);
}

static void test_whole_round_32(void **state)
{
    (void)state;
    whole_round(32);
}

/* Nobody can tell one from another: each has a random part of its own. */
static void test_ids_differ(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 100, 1, DEVICES_MAX, 60000);

    for (unsigned i = 0; i < DEVICES_MAX; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal((uint32_t)fixture->uploads[k].device.upload_id,
                                 (uint32_t)fixture->uploads[i].device.upload_id);
        }
    }
    fixture_close(fixture);
}

/* While one collection is out, uploads go into the next. */
static void test_collections_overlap(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(24, 2000, 2, 16, 60000);

    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < 6; i++) {
            assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
        }
        fixture_run(fixture, until_staged);
        if (turn > 0) {
            fixture_return(fixture, true, MR_REASON_NONE);
            fixture_collect(fixture, false);
            assert_int_equal(fixture->collection->upload_count, 6);
        } else {
            fixture_collect(fixture, false);
        }
    }
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    fixture_close(fixture);
}

/* More uploads than slots and than sessions: each commit makes room. */
static void test_many_through_few_slots(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(32, 1000, 2, 1, 60000);
    unsigned included = 0;

    while (fixture->count < 32) {
        while (fixture->count < 32 && fixture_admit(fixture, MR_TRANSPORT_UDP)) {
            continue;
        }
        fixture_run(fixture, until_staged);
        fixture_collect(fixture, false);
        included += fixture->collection->upload_count;
        fixture_return(fixture, true, MR_REASON_NONE);
        fixture_run(fixture, until_committed);
    }
    fixture_collect(fixture, true);
    included += fixture->collection->upload_count;
    assert_int_equal(included, 32);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

static void test_http2(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(24, 3000, 1, 4, 60000);
    const size_t bytes = fixture->terms.layout.share_bytes;
    uint8_t *odd = malloc(bytes + 1);

    assert_non_null(odd);
    for (unsigned i = 0; i < 3; i++) {
        struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
        const uint64_t id = upload->device.upload_id;
        memcpy(odd + 1, upload->device.share, bytes);
        assert_int_equal(mr_upload_plane_put(fixture->plane, id, odd + 1, bytes - 64), -1);
        assert_int_equal(mr_upload_plane_put(fixture->plane, id ^ 1, odd + 1, bytes), -1);
        assert_int_equal(mr_upload_plane_put(fixture->plane, id, odd + 1, bytes), 0);
        assert_int_equal(mr_upload_plane_put(fixture->plane, id, odd + 1, bytes), -1);
        assert_false(upload->staged);
    }
    struct upload *udp = fixture_admit(fixture, MR_TRANSPORT_UDP);
    assert_int_equal(
        mr_upload_plane_put(fixture->plane, udp->device.upload_id, udp->device.share, bytes), -1);
    fixture_run(fixture, until_staged);
    for (unsigned i = 0; i < 3; i++) { /* a share that is folded holds no place any more */
        struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
        assert_non_null(upload);
        assert_int_equal(mr_upload_plane_put(fixture->plane, upload->device.upload_id,
                                             upload->device.share, bytes),
                         0);
    }
    mr_upload_plane_revoke(fixture->round, fixture->uploads[0].device.upload_id, MR_REASON_VOID);
    struct upload *gone = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    mr_upload_plane_revoke(fixture->round, gone->device.upload_id, MR_REASON_SUPERSEDED);
    fixture_run(fixture, until_answered);
    assert_true(gone->revoked && fixture->uploads[0].not_revoked);
    assert_int_equal(
        mr_upload_plane_put(fixture->plane, gone->device.upload_id, gone->device.share, bytes), -1);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, 7);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    /* What is committed cannot be revoked any more. */
    struct upload *last = &fixture->uploads[fixture->count - 2];
    last->stopped = true;
    assert_true(last->included);
    mr_upload_plane_revoke(fixture->round, last->device.upload_id, MR_REASON_SUPERSEDED);
    gone->revoked = false;
    mr_upload_plane_revoke(fixture->round, gone->device.upload_id, MR_REASON_SUPERSEDED);
    fixture_run(fixture, until_answered);
    assert_true(last->not_revoked && !last->revoked);
    free(odd);
    fixture_close(fixture);
}

static bool until_unsound(struct fixture *fixture)
{
    (void)until_staged(fixture); /* devices send */
    return fixture->uploads[0].unsound && fixture->uploads[1].unsound;
}

/* By either way in: what does not open to 1 is told, holds no slot, and is in no sum. */
static void test_unsound(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(24, 3000, 1, 4, 60000);
    const uint64_t main_bytes = fixture->terms.layout.main_bytes;
    const size_t bytes = fixture->terms.layout.share_bytes;
    struct upload *udp = fixture_admit(fixture, MR_TRANSPORT_UDP);
    struct upload *whole = fixture_admit(fixture, MR_TRANSPORT_HTTP2);

    udp->device.share[main_bytes] ^= 1;
    whole->device.share[main_bytes] ^= 1;
    assert_int_equal(
        mr_upload_plane_put(fixture->plane, whole->device.upload_id, whole->device.share, bytes),
        MR_PLANE_PUT_UNSOUND);
    assert_int_equal(
        mr_upload_plane_put(fixture->plane, whole->device.upload_id, whole->device.share, bytes),
        MR_PLANE_PUT_NONE);
    fixture_run(fixture, until_unsound);
    assert_false(udp->staged || whole->staged);
    udp->stopped = whole->stopped = true;
    for (unsigned i = 0; i < 4; i++) { /* every slot is there again */
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    const struct upload *last = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    assert_int_equal(
        mr_upload_plane_put(fixture->plane, last->device.upload_id, last->device.share, bytes),
        MR_PLANE_PUT_STAGED);
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 5);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

/* A round given up, then another: nothing of the first is in the second. */
static void test_next_round(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 2, 8, 60000);

    for (unsigned i = 0; i < 6; i++) {
        assert_non_null(fixture_admit(fixture, i < 4 ? MR_TRANSPORT_UDP : MR_TRANSPORT_HTTP2));
    }
    for (unsigned i = 4; i < 6; i++) {
        assert_int_equal(mr_upload_plane_put(fixture->plane, fixture->uploads[i].device.upload_id,
                                             fixture->uploads[i].device.share,
                                             fixture->terms.layout.share_bytes),
                         0);
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    fixture_return(fixture, false, MR_REASON_VOID);
    fixture_run(fixture, until_refused);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fixture->uploads[i].reason, MR_REASON_VOID);
    }
    for (unsigned i = 0; i < 6; i++) {
        fixture->uploads[i].stopped = true;
        fixture->uploads[i].included = false;
    }
    kit_sum_fini(&fixture->collected);
    kit_sum_init(&fixture->collected, &fixture->terms.layout);
    fixture->terms.announcement.round = KIT_ROUND + 1;
    fixture_begin(fixture);
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    for (unsigned i = 0; i < 4; i++) {
        fixture_send(&fixture->uploads[i], 0); /* of the old round: unknown now */
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 5);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

/* Noise from strangers, forgeries and unknown ids: not one byte back, and the round goes on. */
static void test_strangers_hear_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 1, 4, 60000);
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    uint8_t datagram[KIT_DATAGRAM_MAX] = {0};
    const int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(stranger >= 0);
    assert_int_equal(getpeername(upload->fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(connect(stranger, (const struct sockaddr *)&name, length), 0);
    for (unsigned i = 0; i < 300; i++) {
        const uint32_t bytes = kit_seal(&upload->device, i % 4, datagram);
        if (i % 3 == 0) {
            kit_fill(&fixture->seed, datagram, bytes);
        } else {
            datagram[i % 3 == 1 ? 12 : bytes - 1] ^= 1; /* another upload; another tag */
        }
        assert_int_equal(send(stranger, datagram, i % 50 == 0 ? 0 : bytes, 0),
                         i % 50 == 0 ? 0 : bytes);
    }
    fixture_run(fixture, until_staged);
    assert_true(upload->acks > 0);
    assert_int_equal(recv(stranger, datagram, sizeof datagram, MSG_DONTWAIT), -1);
    fixture_collect(fixture, true);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    close(stranger);
    fixture_close(fixture);
}

/* The device goes on from another port, and hears the end there. */
static void test_rebinding(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 1, 4, 60000);
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
    struct sockaddr_in name;
    socklen_t length = sizeof name;

    for (uint32_t chunk = 0; chunk < 5; chunk++) {
        fixture_send(upload, chunk);
    }
    assert_int_equal(getpeername(upload->fd, (struct sockaddr *)&name, &length), 0);
    close(upload->fd);
    upload->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(upload->fd, (const struct sockaddr *)&name, length), 0);
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    fixture_close(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_round_16),
        cmocka_unit_test(test_whole_round_24),
        cmocka_unit_test(test_whole_round_32),
        cmocka_unit_test(test_ids_differ),
        cmocka_unit_test(test_collections_overlap),
        cmocka_unit_test(test_many_through_few_slots),
        cmocka_unit_test(test_http2),
        cmocka_unit_test(test_unsound),
        cmocka_unit_test(test_next_round),
        cmocka_unit_test(test_strangers_hear_nothing),
        cmocka_unit_test(test_rebinding),
    };

    if (argc > 1) {
        fixture_source = argv[1];
    }
    if (kit_lacks_source(fixture_source)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
