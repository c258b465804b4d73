/* test_kept.c - rounds with audit_hours: a collection brings the shares themselves, each whole, and
 * they stay until it is returned. The argument names the packet source. */
#include <stdlib.h>
#include <string.h>

#include "plane_fixture.h"

#define SLOTS 3

static struct fixture *open_kept(unsigned workers)
{
    struct fixture *fixture = fixture_open(24, 2000, workers, SLOTS, 60000);
    fixture->terms.announcement.audit_hours = 1;
    fixture_begin(fixture);
    return fixture;
}

static const struct upload *upload_of(const struct fixture *fixture, uint64_t upload_id)
{
    for (unsigned i = 0; i < fixture->count; i++) {
        if (fixture->uploads[i].device.upload_id == upload_id) {
            return &fixture->uploads[i];
        }
    }
    fail_msg("an upload that nobody began");
    return NULL;
}

static void check_shares(const struct fixture *fixture)
{
    const struct mr_collection *collection = fixture->collection;
    assert_non_null(collection->shares);
    for (uint32_t i = 0; i < collection->upload_count; i++) {
        const struct upload *upload = upload_of(fixture, collection->upload_ids[i]);
        assert_int_equal((uintptr_t)collection->shares[i] % 64, 0);
        assert_memory_equal(collection->shares[i], upload->device.share,
                            fixture->terms.layout.share_bytes);
    }
}

static struct upload *put_whole(struct fixture *fixture)
{
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_HTTP2);
    const size_t bytes = fixture->terms.layout.share_bytes;
    if (upload) {
        uint8_t *body = malloc(bytes); /* the connection's, which goes afterwards */
        assert_non_null(body);
        memcpy(body, upload->device.share, bytes);
        assert_int_equal(mr_upload_plane_put(fixture->plane, upload->device.upload_id, body, bytes),
                         MR_PLANE_PUT_STAGED);
        memset(body, 0, bytes);
        free(body);
    }
    return upload;
}

/* Both transports, several collections, the sums as ever. */
static void test_shares_come_along(void **state)
{
    (void)state;
    struct fixture *fixture = open_kept(2);
    unsigned included = 0;
    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < 3; i++) {
            assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
        }
        assert_non_null(put_whole(fixture));
        fixture_run(fixture, until_staged);
        fixture_collect(fixture, turn == 3);
        assert_int_equal(fixture->collection->upload_count, 4);
        included += 4;
        check_shares(fixture);
        fixture_check_sum(fixture);
        fixture_return(fixture, true, MR_REASON_NONE);
        fixture_run(fixture, until_committed);
    }
    assert_int_equal(included, 16);
    fixture_close(fixture);
}

/* What is staged while a collection is out goes into the next, and does not touch it. */
static void test_uploads_meanwhile(void **state)
{
    (void)state;
    struct fixture *fixture = open_kept(1);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(put_whole(fixture));
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(put_whole(fixture));
    fixture_run(fixture, until_staged);
    assert_int_equal(fixture->collection->upload_count, 2);
    check_shares(fixture);
    /* A slot is held until its share is let go of. */
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(put_whole(fixture));
    assert_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
    check_shares(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, 4);
    check_shares(fixture);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_run(fixture, until_committed);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
    fixture_close(fixture);
}

/* Slots of a round that was ended are free once its worker says so. */
static bool until_admitted(struct fixture *fixture)
{
    return fixture_admit(fixture, MR_TRANSPORT_UDP);
}

/* A round that goes while its collection is out takes its shares with it, and gives its slots
 * back. */
static void test_end_while_lent(void **state)
{
    (void)state;
    struct fixture *fixture = open_kept(1);
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            fixture_run(fixture, until_admitted);
            assert_non_null(put_whole(fixture));
        }
        fixture_run(fixture, until_staged);
        fixture_collect(fixture, turn == 1);
        check_shares(fixture);
        fixture_end(fixture);
        fixture->terms.announcement.round++;
        fixture_begin(fixture);
        fixture->collection = NULL;
    }
    fixture_close(fixture);
}

/* A void round's shares are refused, and gone. */
static void test_returned_unused(void **state)
{
    (void)state;
    struct fixture *fixture = open_kept(1);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    check_shares(fixture);
    fixture_return(fixture, false, MR_REASON_VOID);
    fixture_run(fixture, until_refused);
    fixture_close(fixture);
}

/* A round without audit_hours keeps none, beside one that does. */
static void test_only_where_asked_for(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(24, 2000, 1, SLOTS, 60000);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_null(fixture->collection->shares);
    fixture_return(fixture, true, MR_REASON_NONE);
    fixture_close(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_come_along),    cmocka_unit_test(test_uploads_meanwhile),
        cmocka_unit_test(test_end_while_lent),       cmocka_unit_test(test_returned_unused),
        cmocka_unit_test(test_only_where_asked_for),
    };
    if (argc > 1) {
        fixture_source = argv[1];
    }
    if (kit_lacks_source(fixture_source)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
