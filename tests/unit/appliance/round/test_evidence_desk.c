/* test_evidence_desk.c - what a round makes a hub say waits for the transcript, and no longer. */
#include <string.h>

#include "appliance/round/drive/evidence_desk.h"
#include "context.h"

#define SAID_MAX 8

struct scene {
    struct room *room;
    struct mr_job_thread *jobs;
    struct mr_evidence_desk *desk;
    bool known; /* the round's terms */
    struct {
        uint64_t round;
        uint64_t recorded; /* records that were durable then */
        char body[8];
    } said[SAID_MAX];
    unsigned said_count, dropped;
};

static void facts(void *driver, struct mr_round_facts *facts)
{
    const struct scene *scene = driver;
    *facts = (struct mr_round_facts){.terms = scene->known ? &scene->room->world->terms : NULL};
}

static void let_go(void *driver, const struct mr_evidence_held *held)
{
    struct scene *scene = driver;
    assert_true(scene->said_count < SAID_MAX);
    scene->said[scene->said_count].round = held->round;
    scene->said[scene->said_count].recorded = mr_evidence_head(scene->desk)->sequence;
    memcpy(scene->said[scene->said_count].body, held->body, held->length);
    scene->said_count++;
}

static void drop(void *driver, const struct mr_evidence_held *held)
{
    struct scene *scene = driver;
    (void)held;
    scene->dropped++;
}

static struct scene scene;

static int open_scene(void **state)
{
    struct mr_error error = {.text = ""};
    scene = (struct scene){.room = room_open(0)};
    const struct mr_evidence_desk_config config = {.context = &scene.room->shared,
                                                   .facts = facts,
                                                   .let_go = let_go,
                                                   .drop = drop,
                                                   .driver = &scene};
    struct mr_evidence_desk_config with = config;
    if (mr_job_thread_open(&scene.jobs, scene.room->shared.loop, "test", &error) != 0) {
        fail_msg("%s", error.text);
    }
    with.jobs = scene.jobs;
    if (mr_evidence_desk_open(&scene.desk, &with, &error) != 0) {
        fail_msg("%s", error.text);
    }
    *state = &scene;
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    mr_evidence_desk_halt(scene.desk);
    mr_job_thread_close(scene.jobs);
    room_drain(scene.room);
    mr_evidence_desk_close(scene.desk);
    room_close(scene.room);
    return 0;
}

static void pass(uint64_t round, char *body)
{
    const struct mr_evidence_held held = {
        .round = round, .body = (const uint8_t *)body, .length = strlen(body) + 1};
    mr_evidence_pass(scene.desk, &held);
    memset(body, 'x', strlen(body)); /* it is copied where it is held */
}

static bool all_said(void *context)
{
    return scene.said_count >= *(unsigned *)context;
}

static void test_nothing_to_record(void **state)
{
    (void)state;
    char body[] = "now";
    pass(1, body);
    assert_int_equal(scene.said_count, 1);
    assert_int_equal(mr_evidence_head(scene.desk)->sequence, 0);
}

/* The terms first, in the transcript; then the answers, in their order; then nothing waits. */
static void test_recorded_before_it_is_said(void **state)
{
    (void)state;
    unsigned two = 2;
    char first[] = "first", second[] = "second", third[] = "third";
    scene.known = true;
    pass(7, first);
    pass(8, second);
    assert_int_equal(scene.said_count, 0);
    room_run_until(scene.room, all_said, &two);
    assert_int_equal(scene.said[0].round, 7);
    assert_string_equal(scene.said[0].body, "first");
    assert_true(scene.said[0].recorded > 0);
    assert_int_equal(scene.said[1].round, 8);
    assert_string_equal(scene.said[1].body, "second");
    pass(9, third);
    assert_int_equal(scene.said_count, 3);
}

/* A hub that stops says nothing more. */
static void test_halted(void **state)
{
    (void)state;
    char held[] = "held", late[] = "late";
    scene.known = true;
    pass(7, held);
    mr_evidence_desk_halt(scene.desk);
    pass(8, late);
    assert_int_equal(scene.dropped, 2);
    assert_int_equal(scene.said_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_to_record, open_scene, close_scene),
        cmocka_unit_test_setup_teardown(test_recorded_before_it_is_said, open_scene, close_scene),
        cmocka_unit_test_setup_teardown(test_halted, open_scene, close_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
