/* test_rounds.c - several rounds on one upload plane, side by side: exact sums each, and nothing of
 * one in another. The argument names the packet source. */
#include <string.h>

#include "appliance/upload/drops.h"
#include "appliance/upload/plane_internal.h"
#include "plane_fixture.h"

#define ROUNDS 3

/* w = 16, 24 and 32 with different chunks and dimensions; the first has the largest share. */
struct three {
    struct fixture *rounds[ROUNDS];
};

static void open_three(struct three *three, unsigned workers, unsigned slots)
{
    fixture_rounds = ROUNDS;
    three->rounds[0] = fixture_open(16, 5000, workers, slots, 60000);
    three->rounds[1] = fixture_open_beside(three->rounds[0], KIT_ROUND + 1, 24, 3000, 1408);
    three->rounds[2] = fixture_open_beside(three->rounds[0], KIT_ROUND + 2, 32, 1200, 512);
    fixture_rounds = 0;
}

static void close_three(struct three *three)
{
    fixture_close(three->rounds[0]);
}

static void admit_each(struct three *three, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned r = 0; r < ROUNDS; r++) {
            if (three->rounds[r]->round) {
                assert_non_null(fixture_admit(three->rounds[r], MR_TRANSPORT_UDP));
            }
        }
    }
}

static bool all_staged(struct fixture *first)
{
    bool all = true;

    for (struct fixture *each = first; each; each = each->beside) {
        all = until_staged(each) && all;
    }
    return all;
}

static bool all_committed(struct fixture *first)
{
    bool all = true;

    for (struct fixture *each = first; each; each = each->beside) {
        each->ticks = first->ticks;
        all = until_committed(each) && all;
    }
    return all;
}

/* A share over HTTP/2. */
static void put_one(struct fixture *fixture)
{
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_HTTP2);

    assert_int_equal(mr_upload_plane_put(fixture->plane, upload->device.upload_id,
                                         upload->device.share, fixture->terms.layout.share_bytes),
                     0);
}

/* The collections are out at the same time; one is of a round that is frozen, two are not. */
static void test_three_rounds(void **state)
{
    struct three three;
    (void)state;

    open_three(&three, 2, 12);
    admit_each(&three, 8);
    for (unsigned r = 0; r < ROUNDS; r++) {
        put_one(three.rounds[r]);
    }
    fixture_run(three.rounds[0], all_staged);
    for (unsigned r = 0; r < ROUNDS; r++) {
        fixture_collect(three.rounds[r], r == 1);
        assert_int_equal(three.rounds[r]->collection->upload_count, 9);
        fixture_check_sum(three.rounds[r]);
    }
    for (unsigned r = ROUNDS; r-- > 0;) {
        fixture_return(three.rounds[r], true, MR_REASON_NONE);
    }
    fixture_run(three.rounds[0], all_committed);
    assert_null(fixture_admit(three.rounds[1], MR_TRANSPORT_UDP)); /* frozen */
    assert_non_null(fixture_admit(three.rounds[0], MR_TRANSPORT_UDP));
    close_three(&three);
}

/* Two tasks of one shape: nothing but the round itself tells a share of one from the other's. */
static void test_rounds_of_one_layout(void **state)
{
    struct fixture *rounds[2];
    (void)state;

    fixture_rounds = 2;
    rounds[0] = fixture_open(16, 3000, 1, 12, 60000);
    rounds[1] = fixture_open_beside(rounds[0], KIT_ROUND + 1, 16, 3000,
                                    rounds[0]->terms.layout.chunk_bytes);
    fixture_rounds = 0;
    assert_int_equal(rounds[1]->terms.layout.share_bytes, rounds[0]->terms.layout.share_bytes);
    for (unsigned i = 0; i < 2 * 3; i++) {
        assert_non_null(fixture_admit(rounds[i % 2], MR_TRANSPORT_UDP));
    }
    put_one(rounds[1]);
    fixture_run(rounds[0], all_staged);
    for (unsigned r = 0; r < 2; r++) {
        fixture_collect(rounds[r], true);
        assert_int_equal(rounds[r]->collection->upload_count, 3 + r);
        fixture_check_sum(rounds[r]);
        fixture_return(rounds[r], true, MR_REASON_NONE);
    }
    fixture_close(rounds[0]);
}

static uint64_t drops(const struct mr_upload_plane *plane, enum mr_drop_reason reason)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < plane->config.workers; i++) {
        sum += mr_counter_get(&mr_worker_counters(plane->workers[i])->reasons[reason]);
    }
    return sum;
}

static bool every_slot_is_free(struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->plane->config.workers; i++) {
        if (fixture->plane->views[i].slots_free < fixture->plane->config.slots_per_worker) {
            return false;
        }
    }
    return true;
}

static bool unknown_was_dropped(struct fixture *fixture)
{
    return drops(fixture->plane, MR_UPLOAD_DROP_unknown_upload) > 0;
}

/* A round goes in the middle: staged, receiving and all. The others have their exact sums, and the
 * next round of its task has nothing of it. */
static void test_one_ends_in_the_middle(void **state)
{
    struct three three;
    (void)state;

    open_three(&three, 2, 12);
    struct fixture *gone = three.rounds[1];
    admit_each(&three, 4);
    fixture_run(gone, until_staged);
    admit_each(&three, 4);
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (unsigned i = 4; i < 8; i++) {
            fixture_send(&three.rounds[r]->uploads[i], 0);
        }
    }
    fixture_end(gone);
    fixture_send(&gone->uploads[7], 1);
    fixture_run(three.rounds[0], unknown_was_dropped);
    fixture_run(three.rounds[0], all_staged);
    for (unsigned r = 0; r < ROUNDS; r += 2) {
        fixture_collect(three.rounds[r], true);
        assert_int_equal(three.rounds[r]->collection->upload_count, 8);
        fixture_check_sum(three.rounds[r]);
        fixture_return(three.rounds[r], true, MR_REASON_NONE);
    }
    fixture_run(three.rounds[0], every_slot_is_free);
    gone->terms.announcement.round += 10;
    fixture_begin(gone);
    for (unsigned i = 0; i < 4; i++) {
        assert_non_null(fixture_admit(gone, MR_TRANSPORT_UDP));
    }
    fixture_run(gone, until_staged);
    fixture_collect(gone, true);
    assert_int_equal(gone->collection->upload_count, 4);
    fixture_check_sum(gone);
    fixture_return(gone, true, MR_REASON_NONE);
    close_three(&three);
}

static void never(void *context, struct mr_collection *collection)
{
    (void)context, (void)collection;
    fail_msg("a round that was ended was collected");
}

/* A round is ended while its collection is asked for, and while it is out. */
static void test_end_with_a_collection(void **state)
{
    struct three three;
    (void)state;

    open_three(&three, 2, 12);
    admit_each(&three, 4);
    fixture_run(three.rounds[0], all_staged);
    fixture_collect(three.rounds[2], false);
    fixture_end(three.rounds[2]);
    mr_upload_plane_collect(three.rounds[1]->round, true, never, NULL);
    fixture_end(three.rounds[1]);
    for (unsigned r = 1; r < ROUNDS; r++) {
        three.rounds[r]->count = 4;
        for (unsigned i = 0; i < 4; i++) {
            three.rounds[r]->uploads[i].included = false;
        }
        kit_sum_fini(&three.rounds[r]->collected);
        kit_sum_init(&three.rounds[r]->collected, &three.rounds[r]->terms.layout);
        fixture_begin(three.rounds[r]);
    }
    admit_each(&three, 4);
    fixture_run(three.rounds[0], all_staged);
    for (unsigned r = 0; r < ROUNDS; r++) {
        fixture_collect(three.rounds[r], true);
        assert_int_equal(three.rounds[r]->collection->upload_count, r == 0 ? 8 : 4);
        fixture_check_sum(three.rounds[r]);
        fixture_return(three.rounds[r], true, MR_REASON_NONE);
    }
    close_three(&three);
}

/* A device of one round sends under the id of another's upload: dropped, counted, no harm. */
static void test_id_of_another_round(void **state)
{
    struct three three;
    (void)state;

    open_three(&three, 1, 12);
    admit_each(&three, 2);
    const struct upload *owner = &three.rounds[2]->uploads[0];
    struct upload *liar = &three.rounds[0]->uploads[0];
    const uint64_t own = liar->device.upload_id;
    liar->device.upload_id = owner->device.upload_id;
    for (uint32_t chunk = 0; chunk < 3; chunk++) {
        fixture_send(liar, chunk);
    }
    liar->device.round = three.rounds[2]->terms.announcement.round; /* and its round's number */
    liar->device.layout = &three.rounds[2]->terms.layout;
    fixture_send(liar, 0);
    liar->device.round = KIT_ROUND;
    liar->device.layout = &three.rounds[0]->terms.layout;
    liar->device.upload_id = own;
    fixture_run(three.rounds[0], all_staged);
    assert_int_equal(drops(three.rounds[0]->plane, MR_UPLOAD_DROP_wrong_round), 3);
    assert_int_equal(drops(three.rounds[0]->plane, MR_UPLOAD_DROP_bad_tag), 1);
    for (unsigned r = 0; r < ROUNDS; r++) {
        fixture_collect(three.rounds[r], true);
        assert_int_equal(three.rounds[r]->collection->upload_count, 2);
        fixture_check_sum(three.rounds[r]);
        fixture_return(three.rounds[r], true, MR_REASON_NONE);
    }
    close_three(&three);
}

static bool one_slot_is_free(struct fixture *fixture)
{
    return fixture->plane->views[0].slots_free == 1;
}

/* One round has every slot. Another can be collected all the same, and gets what falls free until
 * it has its even part. */
static void test_a_busy_round_does_not_starve_another(void **state)
{
    (void)state;
    fixture_rounds = 2;
    struct fixture *busy = fixture_open(16, 2000, 1, 2, 60000);
    struct fixture *other = fixture_open_beside(busy, KIT_ROUND, 32, 500, 256);

    fixture_rounds = 0;
    for (unsigned i = 0; i < 2; i++) {
        fixture_admit(busy, MR_TRANSPORT_UDP)->stopped = true;
    }
    assert_null(fixture_admit(busy, MR_TRANSPORT_UDP));
    fixture_collect(other, false);
    assert_int_equal(other->collection->upload_count, 0);
    fixture_return(other, true, MR_REASON_NONE);
    assert_null(fixture_admit(other, MR_TRANSPORT_UDP)); /* it is kept the next slot now */
    busy->uploads[0].stopped = false;
    fixture_run(busy, until_staged);
    fixture_run(busy, one_slot_is_free);
    assert_null(fixture_admit(busy, MR_TRANSPORT_UDP));
    assert_non_null(fixture_admit(other, MR_TRANSPORT_UDP));
    busy->uploads[1].stopped = false;
    fixture_run(busy, until_staged);
    fixture_run(busy, one_slot_is_free);
    assert_non_null(fixture_admit(other, MR_TRANSPORT_HTTP2)); /* other slots */
    assert_non_null(fixture_admit(busy, MR_TRANSPORT_UDP));
    other->uploads[1].stopped = true;
    fixture_run(busy, all_staged);
    for (struct fixture *each = busy; each; each = each->beside) {
        fixture_collect(each, true);
        assert_int_equal(each->collection->upload_count, each == busy ? 3 : 1);
        fixture_check_sum(each);
        fixture_return(each, true, MR_REASON_NONE);
    }
    fixture_close(busy);
}

static int begin(struct fixture *fixture, uint32_t uploads_max, struct mr_plane_round **round,
                 struct mr_error *error)
{
    static const struct mr_plane_listener nobody = {0};

    return mr_upload_plane_begin(fixture->plane, &fixture->terms, uploads_max, &nobody, round,
                                 error);
}

/* Accumulators for one round: a second one is refused at once, with a text, until the first needs
 * them no more; which still answers its devices then. */
static void test_accumulators_are_planned(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 2000, 1, 4, 60000);
    struct mr_plane_round *round;
    struct mr_error error = {0};

    assert_int_equal(begin(fixture, UINT32_MAX, &round, &error), -1);
    assert_non_null(strstr(error.text, "bytes"));
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    assert_int_equal(begin(fixture, UINT32_MAX, &round, &error), -1);
    fixture_collect(fixture, true);
    fixture_return(fixture, true, MR_REASON_NONE);
    assert_int_equal(begin(fixture, UINT32_MAX, &round, &error), 0);
    fixture_run(fixture, until_committed);
    fixture_close(fixture);
}

static bool all_places_are_free(struct fixture *fixture)
{
    for (unsigned i = 1; i < MR_PLANE_ROUNDS_MAX; i++) {
        if (fixture->plane->ending[i] != 0) {
            return false;
        }
    }
    return true;
}

/* As many rounds as there are places, and no more; a place is free again when every worker has
 * forgotten what was there. */
static void test_places(void **state)
{
    (void)state;
    fixture_rounds = 8;
    struct fixture *fixture = fixture_open(16, 5000, 2, 4, 60000);
    struct mr_plane_round *rounds[MR_PLANE_ROUNDS_MAX];
    struct mr_error error = {0};

    fixture_rounds = 0;
    kit_terms(&fixture->terms, 16, 64, 256);
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 1; i < MR_PLANE_ROUNDS_MAX; i++) {
            if (begin(fixture, 1, &rounds[i], &error) != 0) {
                fail_msg("%s", error.text);
            }
        }
        assert_int_equal(begin(fixture, 1, &rounds[0], &error), -1);
        assert_non_null(strstr(error.text, "128 rounds"));
        for (unsigned i = 1; i < MR_PLANE_ROUNDS_MAX; i++) {
            mr_upload_plane_end(rounds[i]);
        }
        fixture_run(fixture, all_places_are_free);
    }
    fixture_close(fixture);
}

/* Memory for four of the largest rounds takes three beside a small one, wherever small ones lay:
 * they never lie across the end of a large one's place. The fifth would: the smallest gap that is
 * large enough for it, were there no such ends, is what the first left and what lies before it. */
static void test_small_rounds_leave_whole_places(void **state)
{
    (void)state;
    fixture_rounds = 4; /* one is the fixture's own */
    struct fixture *fixture = fixture_open(24, 1000000, 1, 4, 60000);
    const struct mr_round_terms large = fixture->terms;
    struct mr_plane_round *small[5], *round;
    struct mr_error error = {0};

    fixture_rounds = 0;
    kit_terms(&fixture->terms, 24, 400000, 256);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(begin(fixture, 1, &small[i], &error), 0);
    }
    mr_upload_plane_end(small[0]);
    fixture_run(fixture, all_places_are_free);
    kit_terms(&fixture->terms, 24, 500000, 256);
    if (begin(fixture, 1, &small[4], &error) != 0) {
        fail_msg("%s", error.text);
    }
    for (unsigned i = 1; i < 4; i++) {
        mr_upload_plane_end(small[i]);
    }
    fixture_run(fixture, all_places_are_free);
    fixture->terms = large;
    for (unsigned i = 0; i < 2; i++) {
        if (begin(fixture, UINT32_MAX, &round, &error) != 0) {
            fail_msg("%s", error.text);
        }
    }
    fixture_close(fixture);
}

/* No more uploads at once than the round was begun for; what is returned makes room. */
static void test_uploads_max(void **state)
{
    struct three three;
    (void)state;

    open_three(&three, 1, 4);
    struct fixture *fixture = three.rounds[2];
    fixture_end(fixture);
    fixture_end(three.rounds[1]);
    fixture->uploads_max = 2;
    fixture_begin(fixture);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    assert_null(fixture_admit(fixture, MR_TRANSPORT_HTTP2));
    fixture_run(fixture, until_staged);
    assert_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    fixture_collect(fixture, false);
    fixture_return(fixture, true, MR_REASON_NONE);
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, true);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    close_three(&three);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_rounds),
        cmocka_unit_test(test_rounds_of_one_layout),
        cmocka_unit_test(test_one_ends_in_the_middle),
        cmocka_unit_test(test_end_with_a_collection),
        cmocka_unit_test(test_id_of_another_round),
        cmocka_unit_test(test_a_busy_round_does_not_starve_another),
        cmocka_unit_test(test_accumulators_are_planned),
        cmocka_unit_test(test_small_rounds_leave_whole_places),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_uploads_max),
    };

    if (argc > 1) {
        fixture_source = argv[1];
    }
    if (kit_lacks_source(fixture_source)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
