/* test_room.c - whom the plane would rather have wait for a window, and when it says otherwise. */
#include "appliance/upload/session.h"
#include "plane_fixture.h"

#define TOTAL    256u           /* chunks in flight: windows of eight */
#define OPENINGS (TOTAL / 8)    /* so many fast ones have one */
#define BESIDE   (OPENINGS / 2) /* so many beside OPENINGS slow ones, which have four each */

static unsigned rooms; /* how often the plane said that there may be room */

static void on_room(void *context)
{
    (void)context;
    rooms++;
}

/* Uploads of eight chunks. */
static struct fixture *open_small(unsigned workers)
{
    fixture_window_total = TOTAL;
    struct fixture *fixture = fixture_open(16, 900, workers, DEVICES_MAX, 60000);

    assert_int_equal(fixture->terms.layout.chunks, 8);
    rooms = 0;
    mr_upload_plane_on_room(fixture->plane, on_room, NULL);
    return fixture;
}

/* Whether a window is free: nobody is asked to wait for it, and it is granted. */
static struct upload *grant(struct fixture *fixture)
{
    uint32_t window;

    assert_int_equal(mr_upload_plane_hold_ms(fixture->round), 0);
    struct upload *upload = fixture_admit_udp(fixture, &window);
    assert_non_null(upload);
    assert_in_range(window, 8, 64);
    return upload;
}

static void send_all(struct fixture *fixture, struct upload *upload)
{
    for (uint32_t i = 0; i < fixture->terms.layout.chunks; i++) {
        fixture_send(upload, i);
    }
}

static bool has_room(struct fixture *fixture)
{
    return mr_upload_plane_hold_ms(fixture->round) == 0;
}

static bool is_first_staged(struct fixture *fixture)
{
    return fixture->uploads[0].staged;
}

/* Devices that never send keep others waiting while they are new, and no longer. Where a machine
 * takes as long as that to admit them, there is room at once. */
static void test_silent_devices_hold_nobody(void **state)
{
    (void)state;
    struct fixture *fixture = open_small(1);

    for (unsigned i = 0; i < OPENINGS; i++) {
        (void)grant(fixture);
    }
    assert_true(mr_upload_plane_hold_ms(fixture->round) <= MR_WINDOW_TURN_MS);
    for (unsigned i = 0; i < BESIDE; i++) { /* in the windows that the slow ones leave */
        fixture_run(fixture, has_room);
        (void)grant(fixture);
    }
    fixture_close(fixture);
}

/* One that is whole makes room, and that is told. */
static void test_whole_uploads_make_room(void **state)
{
    (void)state;
    struct fixture *fixture = open_small(1);

    for (unsigned i = 0; i < OPENINGS; i++) {
        (void)grant(fixture);
    }
    send_all(fixture, &fixture->uploads[0]);
    fixture_run(fixture, is_first_staged);
    assert_true(rooms > 0);
    (void)grant(fixture);
    fixture_close(fixture);
}

/* HTTP/2 has no windows: it takes none, and waits for none. */
static void test_http2_takes_no_window(void **state)
{
    (void)state;
    struct fixture *fixture = open_small(1);

    for (unsigned i = 0; i < OPENINGS; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
    }
    (void)grant(fixture);
    fixture_close(fixture);
}

/* Two workers have twice the windows. */
static void test_workers_have_their_own(void **state)
{
    (void)state;
    struct fixture *fixture = open_small(2);

    for (unsigned i = 0; i < 2 * OPENINGS; i++) {
        (void)grant(fixture);
    }
    fixture_close(fixture);
}

/* Who cannot be admitted is not held either: it is refused at once. */
static void test_refused_at_once(void **state)
{
    (void)state;
    struct fixture *fixture = open_small(1);

    for (unsigned i = 0; i < OPENINGS; i++) {
        (void)grant(fixture);
    }
    fixture_collect(fixture, true);
    assert_int_equal(mr_upload_plane_hold_ms(fixture->round), 0);
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    fixture_return(fixture, false, MR_REASON_VOID);
    fixture->uploads_max = OPENINGS;
    fixture_begin(fixture);
    for (unsigned i = 0; i < OPENINGS; i++) { /* the windows of the round before are free */
        (void)grant(fixture);
    }
    assert_int_equal(mr_upload_plane_hold_ms(fixture->round), 0);
    fixture_close(fixture);
}

/* Uploads that no window carries whole: a device waits at the worker, as well as it would here. */
static void test_long_uploads_are_not_held(void **state)
{
    (void)state;
    fixture_window_total = TOTAL;
    fixture_rounds = 2;
    struct fixture *fixture = fixture_open(16, 2500, 1, DEVICES_MAX, 60000);
    uint32_t window;

    assert_true(fixture->terms.layout.chunks > 8);
    for (unsigned i = 0; i < OPENINGS; i++) {
        (void)grant(fixture);
    }
    assert_int_equal(mr_upload_plane_hold_ms(fixture->round), 0);
    assert_non_null(fixture_admit_udp(fixture, &window));
    assert_int_equal(window, 1);
    /* Nor are short ones beside them: nobody knows whose window falls free. */
    struct fixture *beside = fixture_open_beside(fixture, 8, 16, 900, 256);
    assert_int_equal(mr_upload_plane_hold_ms(beside->round), 0);
    fixture_close(fixture);
    fixture_rounds = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_devices_hold_nobody),
        cmocka_unit_test(test_whole_uploads_make_room),
        cmocka_unit_test(test_http2_takes_no_window),
        cmocka_unit_test(test_workers_have_their_own),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_long_uploads_are_not_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
