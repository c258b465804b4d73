/* test_first_deltas.c - in which order the deltas to a new release are begun, and what is left out
 * when a newer one comes. The clock, the timer and who makes deltas are this file's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/model/first_deltas.h"
#include "base/assert.h"

/* --- what the real ones would do -------------------------------------------------------------- */

#define NOW_MS    70000u
#define ASKED_MAX 16

struct mr_timer {
    uint64_t at_ms; /* 0: not armed */
};

/* The pairs that were asked for, in that order; each answered when the test says so. */
struct mr_deltas {
    struct {
        uint8_t base, target; /* the first byte of each hash */
        mr_delta_answer_fn fn;
        void *context;
    } asked[ASKED_MAX];
    unsigned count, answered;
};

uint64_t mr_loop_now_ms(const struct mr_loop *loop)
{
    (void)loop;
    return NOW_MS;
}

void mr_timer_arm(struct mr_timer *timer, uint64_t at_ms)
{
    timer->at_ms = at_ms;
}

void mr_timer_disarm(struct mr_timer *timer)
{
    timer->at_ms = 0;
}

void mr_deltas_ask(struct mr_deltas *deltas, const uint8_t base[MR_HASH_BYTES],
                   const uint8_t target[MR_HASH_BYTES], mr_delta_answer_fn fn, void *context,
                   void *token)
{
    (void)token;
    MR_ASSERT(deltas->count < ASKED_MAX);
    deltas->asked[deltas->count].base = base[0];
    deltas->asked[deltas->count].target = target[0];
    deltas->asked[deltas->count].fn = fn;
    deltas->asked[deltas->count++].context = context;
}

void mr_delta_kept_return(struct mr_delta_kept *kept)
{
    assert_non_null(kept);
}

/* --- the scene -------------------------------------------------------------------------------- */

struct scene {
    struct mr_timer timer;
    struct mr_deltas deltas;
    struct mr_first_deltas first;
    unsigned nearest_made;
};

static void on_first_made(void *context)
{
    ((struct scene *)context)->nearest_made++;
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.nearest_made = 0};
    scene->first = (struct mr_first_deltas){.deltas = &scene->deltas,
                                            .timer = &scene->timer,
                                            .first_made = on_first_made,
                                            .context = scene};
}

/* A release whose models before it are target - 1, - 2, - 3. */
static void release(struct scene *scene, uint8_t target)
{
    struct mr_delta_bases bases = {.count = MR_FIRST_DELTAS};
    bases.target[0] = target;
    for (unsigned i = 0; i < MR_FIRST_DELTAS; i++) {
        bases.hashes[i][0] = (uint8_t)(target - 1 - i);
    }
    mr_first_deltas_make(&scene->first, &bases);
}

/* The one that was begun last is there, or there is none. */
static void answer(struct scene *scene, bool made)
{
    struct mr_deltas *deltas = &scene->deltas;
    assert_int_equal(deltas->count, deltas->answered + 1);
    const unsigned at = deltas->answered++;
    struct mr_delta_kept *kept = made ? (struct mr_delta_kept *)deltas : NULL;
    deltas->asked[at].fn(deltas->asked[at].context, NULL, kept, made ? NULL : "none");
}

static void let_time_pass(struct scene *scene)
{
    assert_true(scene->timer.at_ms > NOW_MS);
    scene->timer.at_ms = 0;
    mr_first_deltas_go_on(&scene->first);
}

/* So many were begun, and the last one leads from there to there. */
static void assert_begun(const struct scene *scene, unsigned count, uint8_t base, uint8_t target)
{
    assert_int_equal(scene->deltas.count, count);
    assert_int_equal(scene->deltas.asked[count - 1].base, base);
    assert_int_equal(scene->deltas.asked[count - 1].target, target);
}

/* --- cases ------------------------------------------------------------------------------------ */

/* While devices pull the nearest, nothing else is made; then all the others are, unasked. */
static void test_the_others_wait(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    release(&scene, 10);
    assert_begun(&scene, 1, 9, 10);
    assert_int_equal(scene.timer.at_ms, 0);
    answer(&scene, true);
    assert_int_equal(scene.nearest_made, 1);
    assert_int_equal(scene.timer.at_ms, NOW_MS + MR_FIRST_DELTAS_PAUSE_MS);
    assert_begun(&scene, 1, 9, 10);
    let_time_pass(&scene);
    assert_begun(&scene, 2, 8, 10);
    answer(&scene, true);
    assert_begun(&scene, 3, 7, 10);
    answer(&scene, true);
    assert_begun(&scene, 3, 7, 10);
    assert_int_equal(scene.timer.at_ms, 0);
    assert_int_equal(scene.nearest_made, 1);
}

static void test_without_the_nearest(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    release(&scene, 10);
    answer(&scene, false);
    assert_int_equal(scene.nearest_made, 0);
    let_time_pass(&scene);
    assert_begun(&scene, 2, 8, 10);
}

static void test_newer_in_the_pause(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    release(&scene, 10);
    answer(&scene, true);
    release(&scene, 11);
    assert_begun(&scene, 2, 10, 11);
    assert_int_equal(scene.timer.at_ms, 0);
    answer(&scene, true);
    let_time_pass(&scene);
    assert_begun(&scene, 3, 9, 11);
    assert_int_equal(scene.nearest_made, 2);
}

/* One at a time: the newer release's nearest comes after the one that is being made, without a
 * pause. */
static void test_newer_while_one_is_made(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    release(&scene, 10);
    release(&scene, 11);
    assert_begun(&scene, 1, 9, 10);
    answer(&scene, true);
    assert_int_equal(scene.nearest_made, 0);
    assert_begun(&scene, 2, 10, 11);
    answer(&scene, true);
    assert_int_equal(scene.nearest_made, 1);
    let_time_pass(&scene);
    release(&scene, 12);
    assert_begun(&scene, 3, 9, 11);
    answer(&scene, true);
    assert_begun(&scene, 4, 11, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_others_wait),
        cmocka_unit_test(test_without_the_nearest),
        cmocka_unit_test(test_newer_in_the_pause),
        cmocka_unit_test(test_newer_while_one_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
