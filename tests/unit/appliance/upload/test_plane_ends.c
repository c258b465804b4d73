/* test_plane_ends.c - uploads that end otherwise than with a commit, by threads and sockets as in
 * test_plane.c: closed, revoked, idle, or their round gone. The argument names the packet source.
 */
#include <unistd.h>

#include "appliance/upload/plane_internal.h"
#include "plane_fixture.h"

/* Every chunk but one, then the freeze: not in the sum, and told so. */
static void test_freeze(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 2, 8, 60000);

    for (unsigned i = 0; i < 8; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    for (unsigned i = 0; i < 8; i += 2) {
        fixture->uploads[i].stopped = true;
        for (uint32_t chunk = 1; chunk < fixture->terms.layout.chunks; chunk++) {
            fixture_send(&fixture->uploads[i], chunk);
        }
    }
    struct upload *idle = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    idle->stopped = true;
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 4);
    fixture_check_sum(fixture);
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
    assert_int_equal(mr_upload_plane_put(fixture->plane, idle->device.upload_id, idle->device.share,
                                         fixture->terms.layout.share_bytes),
                     -1);
    for (unsigned i = 0; i < 8; i++) {
        fixture->uploads[i].stopped = i % 2 == 1;
    }
    fixture_run(fixture, until_refused); /* they send the missing chunk, too late */
    for (unsigned i = 0; i < 8; i += 2) {
        assert_int_equal(fixture->uploads[i].reason, MR_REASON_CLOSED);
    }
    fixture_return(fixture, true, MR_REASON_NONE);
    for (unsigned i = 0; i < 8; i++) {
        fixture->uploads[i].stopped = i % 2 == 0;
    }
    fixture_run(fixture, until_committed);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 0);
    for (unsigned i = 0; i < fixture->collection->part_count; i++) {
        assert_null(fixture->collection->parts[i].lanes);
    }
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

/* The revocation races with the last chunks: either it is staged and counted, or revoked and not.
 */
static void test_revoke_races(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 1, 64, 60000);
    unsigned revoked = 0;

    for (unsigned i = 0; i < 40; i++) {
        struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
        const uint32_t chunks = fixture->terms.layout.chunks;
        assert_non_null(upload);
        const uint32_t at = i < 4 ? 0 : chunks - (uint32_t)(kit_random(&fixture->seed) % 3);
        for (uint32_t chunk = 0; chunk < chunks; chunk++) {
            if (chunk == at) {
                mr_upload_plane_revoke(fixture->round, upload->device.upload_id,
                                       MR_REASON_SUPERSEDED);
            }
            fixture_send(upload, chunk);
        }
        if (at == chunks) {
            mr_upload_plane_revoke(fixture->round, upload->device.upload_id, MR_REASON_SUPERSEDED);
        }
        fixture_run(fixture, until_answered);
        assert_int_equal(upload->revoked + upload->not_revoked, 1);
        assert_int_equal(upload->staged, upload->not_revoked);
        revoked += upload->revoked;
    }
    assert_true(revoked > 0);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 40 - revoked);
    for (unsigned i = 0; i < fixture->count; i++) {
        assert_int_equal(fixture->uploads[i].included, fixture->uploads[i].staged);
    }
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    for (unsigned i = 0; i < fixture->count; i++) {
        fixture->uploads[i].stopped = fixture->uploads[i].staged;
    }
    fixture_run(fixture, until_refused);
    for (unsigned i = 0; i < fixture->count; i++) {
        assert_int_equal(fixture->uploads[i].reason,
                         fixture->uploads[i].staged ? MR_REASON_NONE : MR_REASON_SUPERSEDED);
    }
    fixture_close(fixture);
}

static void test_revoke_unknown(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 200, 1, 4, 60000);
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
    const uint64_t id = upload->device.upload_id;
    const uint64_t others[] = {id ^ 1, id + (UINT64_C(1) << 56), UINT64_C(255) << 56 | 1, 0,
                               UINT64_MAX};

    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        upload->device.upload_id = others[i];
        upload->not_revoked = false;
        mr_upload_plane_revoke(fixture->round, others[i], MR_REASON_SUPERSEDED);
        assert_false(upload->not_revoked); /* never from inside the call */
        fixture_run(fixture, until_answered);
        assert_true(upload->not_revoked && !upload->revoked);
    }
    fixture_close(fixture);
}

static bool until_expired(struct fixture *fixture)
{
    bool all = true;

    for (unsigned i = 0; i < fixture->count; i++) {
        all = all && (fixture->uploads[i].expired || fixture->uploads[i].stopped);
    }
    return all;
}

/* Two slots; silence frees them for others, on both lanes. */
static void test_slots_and_idleness(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 1, 2, 50);

    for (unsigned turn = 0; turn < 6; turn++) { /* also goes round the eight sessions */
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
        struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
        assert_non_null(upload);
        assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
        assert_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
        fixture_send(upload, 1);
        fixture_run(fixture, until_expired);
    }
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 0);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

/* A share whose body is still coming is not idle, however long ago it was admitted. */
static void test_http2_is_not_idle_while_it_comes(void **state)
{
    const uint32_t idle_ms = 3600 * 1000;
    struct fixture *fixture = fixture_open(32, 3000, 1, 4, idle_ms);
    struct upload *comes = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    struct upload *rests = fixture_admit(fixture, MR_TRANSPORT_HTTP2);

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        fixture->plane->lane.view.entries[i].since_ms -= idle_ms;
    }
    mr_upload_plane_touch(fixture->plane, comes->device.upload_id);
    mr_upload_plane_touch(fixture->plane, comes->device.upload_id ^ 1); /* nobody's */
    mr_plane_on_lane_timer(fixture->plane);
    fixture->uploads[0].stopped = true; /* what until_expired does not wait for */
    fixture_run(fixture, until_expired);
    assert_true(rests->expired);
    assert_false(comes->expired);
    fixture_close(fixture);
}

static bool until_some_time_passed(struct fixture *fixture)
{
    return fixture->ticks > 20;
}

/* A round is begun anew in the middle of everything: what the workers still had to say of the old
 * one neither frees slots twice nor reaches the round. */
static void test_begin_drops(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 2, 8, 60000);

    for (unsigned i = 0; i < 4; i++) {
        fixture_admit(fixture, MR_TRANSPORT_UDP);
    }
    fixture_run(fixture, until_staged); /* folded, not collected */
    for (unsigned i = 0; i < 8; i++) {
        struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
        for (uint32_t chunk = 0; chunk < fixture->terms.layout.chunks; chunk++) {
            fixture_send(upload, chunk);
        }
    }
    usleep(50000); /* the workers report, nobody reads: the loop does not run */
    fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    for (unsigned i = 0; i < fixture->count; i++) {
        fixture->uploads[i].stopped = true;
    }
    fixture_begin(fixture);
    fixture_run(fixture, until_some_time_passed);
    for (unsigned i = 0; i < 16; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP)); /* every slot is free again */
    }
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    for (unsigned i = 4; i < 13; i++) {
        assert_false(fixture->uploads[i].staged);
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    assert_int_equal(fixture->collection->upload_count, 16);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_revoke_races),
        cmocka_unit_test(test_revoke_unknown),
        cmocka_unit_test(test_slots_and_idleness),
        cmocka_unit_test(test_http2_is_not_idle_while_it_comes),
        cmocka_unit_test(test_begin_drops),
    };

    if (argc > 1) {
        fixture_source = argv[1];
    }
    if (kit_lacks_source(fixture_source)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
