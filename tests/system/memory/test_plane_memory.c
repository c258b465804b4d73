/* test_plane_memory.c - the upload plane when memory runs out while it is set up: a refusal with a
 * text, and nothing left behind. (Afterwards it allocates nothing.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/upload/http_upload.h"
#include "appliance/upload/mailbox.h"
#include "appliance/upload/plane.h"
#include "appliance/upload/session.h"
#include "tests/system/memory/failing.h"
#include "tests/unit/appliance/upload/small_plane.h"

static bool mailbox(void *context)
{
    static struct mr_mailbox box; /* GCC 12 aligns sanitized frames to 32 bytes only */
    (void)context;
    const bool good = mr_mailbox_open(&box, 3, 16) == 0;
    mr_mailbox_close(&box);
    return good;
}

static bool mirror(void *context)
{
    struct mr_worker_view made;
    (void)context;
    const bool good = mr_worker_view_open(&made, 1, 8, 4) == 0;
    mr_worker_view_close(&made);
    return good;
}

static bool lane(void *context)
{
    struct mr_lane made;
    struct mr_error error = {.text = ""};
    (void)context;
    const bool good = mr_lane_open(&made, 1, 8, 4, 4096, 16384, &error) == 0;
    assert_int_equal(good, error.text[0] == '\0');
    mr_lane_close(&made);
    return good;
}

static bool opener(void *context)
{
    const enum mr_opener_kind *kind = context;
    struct mr_error error = {.text = ""};
    static const struct mr_aead_key key = {.key = {1}};
    struct mr_opener *made = mr_opener_open(*kind, 4, 0, &error);
    if (!made) {
        assert_string_not_equal(error.text, "");
    }
    const bool good = made && mr_opener_key(made, 3, &key) == 0;
    mr_opener_close(made);
    return good;
}

static bool sessions(void *context)
{
    const struct mr_sessions_config config = {.lane = 1,
                                              .sessions = 6,
                                              .slots = 3,
                                              .share_bytes_max = 4096,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000,
                                              .opener = MR_OPENER_OPENSSL};
    static struct mr_upload_counters counters;
    static const struct mr_upload_keys keys = {.up = {.key = {1}}};
    struct mr_sessions *made;
    struct mr_layout layout;
    struct mr_error error = {.text = ""};
    (void)context;
    if (mr_sessions_open(&made, &config, &counters, &error) != 0) {
        assert_null(made);
        assert_string_not_equal(error.text, "");
        return false;
    }
    assert_int_equal(mr_layout_init(&layout, 16, 1000, 0, 256), 0);
    mr_sessions_begin(made, 0, 7, &layout, 128);
    const struct mr_session_admission admission = {.upload_id = mr_upload_id_make(1, 0, 5),
                                                   .keys = &keys};
    const bool good = mr_sessions_admit(made, 0, &admission, 0) == 0;
    if (!good) { /* no session then, and no slot taken */
        assert_int_equal(mr_sessions_slots_free(made), 3);
    }
    mr_sessions_close(made);
    return good;
}

static bool plane(void *context)
{
    const struct mr_upload_plane_config config = small_plane("recvmmsg", 2);
    struct mr_error error = {.text = ""};
    struct mr_upload_plane *made;
    struct mr_loop *loop = context;
    if (mr_upload_plane_open(&made, loop, &config, mr_kernels_select(~0u), NULL, &error) != 0) {
        assert_null(made);
        assert_string_not_equal(error.text, "");
        return false;
    }
    mr_upload_plane_close(made);
    return true;
}

static void test_parts(void **state)
{
    enum mr_opener_kind kind = MR_OPENER_OPENSSL;
    (void)state;
    failing_each(mailbox, NULL, "mailbox");
    failing_each(mirror, NULL, "mirror");
    failing_each(lane, NULL, "lane");
    failing_each(opener, &kind, "OpenSSL's opener");
    failing_each(sessions, NULL, "sessions");
}

/* By its name it is refused; left to itself the plane takes OpenSSL instead, with the reason. */
static void test_bulk_opener(void **state)
{
    enum mr_opener_kind kind = MR_OPENER_IPSEC_MB;
    struct mr_error error;
    (void)state;
    struct mr_opener *made = mr_opener_open(kind, 4, 0, &error);
    if (!made) {
        print_message("no intel-ipsec-mb here: %s\n", error.text);
        skip();
    }
    mr_opener_close(made);
    failing_each(opener, &kind, "the bulk opener");
}

static void test_plane(void **state)
{
    struct mr_loop *loop;
    struct mr_error error;
    (void)state;
    assert_int_equal(mr_loop_open(&loop, &error), 0);
    failing_each(plane, loop, "plane");
    mr_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bulk_opener),
        cmocka_unit_test(test_plane),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
