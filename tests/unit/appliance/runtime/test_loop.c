/* The control thread's loop: order of timers, calls from other threads, sockets that come and go.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/runtime/loop.h"

struct fixture {
    struct mr_loop *loop;
    char trace[64];
    struct mr_timer *timers[8];
    unsigned seen[8];
    unsigned total;
    int sockets[4];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    struct mr_error error;
    assert_int_equal(mr_loop_open(&fixture.loop, &error), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 8; i++) {
        mr_timer_close(f->timers[i]);
    }
    mr_loop_close(f->loop);
    return 0;
}

static void mark(struct fixture *f, char c)
{
    f->trace[strlen(f->trace)] = c;
}

static void mark_a(void *context)
{
    mark(context, 'a');
}

static void mark_b(void *context)
{
    mark(context, 'b');
}

static void mark_c(void *context)
{
    mark(context, 'c');
}

static void stop(void *context)
{
    struct fixture *f = context;
    mark(f, '.');
    mr_loop_stop(f->loop);
}

static void timers_run_by_time_then_by_arming(void **state)
{
    struct fixture *f = *state;
    const uint64_t now = mr_loop_now_ms(f->loop);
    f->timers[0] = mr_timer_open(f->loop, mark_a, f);
    f->timers[1] = mr_timer_open(f->loop, mark_b, f);
    f->timers[2] = mr_timer_open(f->loop, mark_c, f);
    f->timers[3] = mr_timer_open(f->loop, stop, f);
    f->timers[4] = mr_timer_open(f->loop, stop, f);
    mr_timer_arm(f->timers[3], now + 5);
    mr_timer_arm(f->timers[2], now + 2);
    mr_timer_arm(f->timers[1], now + 1);
    mr_timer_arm(f->timers[0], now + 9);
    mr_timer_arm(f->timers[0], now + 2); /* moved: now after c, which has the same time */
    mr_timer_arm(f->timers[4], now);
    mr_timer_disarm(f->timers[4]);
    mr_loop_run(f->loop);
    assert_string_equal(f->trace, "bca.");
}

static void many_timers_keep_their_order(void **state)
{
    struct fixture *f = *state;
    struct mr_timer *timers[200];
    uint64_t at[200];
    static struct fixture traces; /* counts in order */
    memset(&traces, 0, sizeof traces);
    traces.loop = f->loop;
    const uint64_t now = mr_loop_now_ms(f->loop);
    uint32_t random = 1;
    for (size_t i = 0; i < 200; i++) {
        random = random * 1664525 + 1013904223;
        at[i] = now - 1000 + (random >> 20) % 500;
        timers[i] = mr_timer_open(f->loop, i % 2 ? mark_a : mark_b, &traces);
        mr_timer_arm(timers[i], at[i]);
    }
    for (size_t i = 0; i < 200; i += 3) {
        mr_timer_close(timers[i]); /* holes anywhere in the heap */
    }
    /* What must come: the rest, sorted by time, ties by arming. */
    char expected[sizeof f->trace] = {0};
    size_t n = 0;
    for (uint64_t t = now - 1000; t < now && n < 20; t++) {
        for (size_t i = 0; i < 200 && n < 20; i++) {
            if (i % 3 && at[i] == t) {
                expected[n++] = i % 2 ? 'a' : 'b';
            }
        }
    }
    f->timers[0] = mr_timer_open(f->loop, stop, f);
    mr_timer_arm(f->timers[0], now - 1);
    /* Only the first twenty fit the trace: close it off there. */
    char *cut = &traces.trace[20];
    for (size_t i = 0; i < 200; i++) {
        if (i % 3 == 0) {
            continue;
        }
        size_t earlier = 0;
        for (size_t j = 0; j < 200; j++) {
            earlier += j % 3 && (at[j] < at[i] || (at[j] == at[i] && j < i));
        }
        if (earlier >= 20) {
            mr_timer_disarm(timers[i]);
        }
    }
    mr_loop_run(f->loop);
    assert_string_equal(traces.trace, expected);
    assert_int_equal(*cut, 0);
    for (size_t i = 0; i < 200; i++) {
        if (i % 3) {
            mr_timer_close(timers[i]);
        }
    }
}

static void rearm_thrice(void *context)
{
    struct fixture *f = context;
    mark(f, 'r');
    if (++f->total == 3) {
        mr_timer_close(f->timers[0]); /* inside its own call */
        f->timers[0] = NULL;
        mr_loop_stop(f->loop);
        return;
    }
    mr_timer_arm(f->timers[0], 0); /* long due: must still leave the others their turn */
}

static void a_timer_that_rearms_itself_does_not_starve_others(void **state)
{
    struct fixture *f = *state;
    f->timers[0] = mr_timer_open(f->loop, rearm_thrice, f);
    f->timers[1] = mr_timer_open(f->loop, mark_b, f);
    mr_timer_arm(f->timers[0], 0);
    mr_timer_arm(f->timers[1], 1);
    mr_loop_run(f->loop);
    assert_string_equal(f->trace, "rbrr");
}

/* --- calls from other threads */

#define POSTERS 4
#define POSTS   2000

struct poster {
    struct fixture *f;
    unsigned index;
    pthread_t thread;
};
struct post {
    struct fixture *f;
    unsigned poster;
    unsigned number;
};
static struct post posts[POSTERS][POSTS];

static void on_post(void *context)
{
    const struct post *post = context;
    struct fixture *f = post->f;
    assert_int_equal(f->seen[post->poster], post->number); /* in posting order per thread */
    f->seen[post->poster]++;
    if (++f->total == POSTERS * POSTS) {
        mr_loop_stop(f->loop);
    }
}

static void *post_all(void *argument)
{
    const struct poster *poster = argument;
    for (unsigned i = 0; i < POSTS; i++) {
        struct post *post = &posts[poster->index][i];
        *post = (struct post){poster->f, poster->index, i};
        mr_loop_post(poster->f->loop, on_post, post);
    }
    return NULL;
}

static void posts_of_each_thread_stay_in_order(void **state)
{
    struct fixture *f = *state;
    struct poster posters[POSTERS];
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.f = f, .index = i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    mr_loop_run(f->loop);
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(f->seen[i], POSTS);
    }
}

static void *stop_from_elsewhere(void *argument)
{
    mr_loop_stop(argument);
    return NULL;
}

static void another_thread_can_stop_it(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_from_elsewhere, f->loop), 0);
    mr_loop_run(f->loop);
    pthread_join(thread, NULL);
    mr_loop_post(f->loop, stop, f); /* and it runs again */
    mr_loop_run(f->loop);
    assert_string_equal(f->trace, ".");
}

/* --- sockets */

static void read_one(void *context, int fd, uint32_t events)
{
    struct fixture *f = context;
    char c;
    assert_true(events & EPOLLIN);
    assert_int_equal(read(fd, &c, 1), 1);
    mark(f, c);
    if (c == '!') {
        mr_loop_stop(f->loop);
    }
}

static void sockets_are_heard(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets), 0);
    assert_int_equal(mr_loop_fd_add(f->loop, f->sockets[0], EPOLLIN, read_one, f), 0);
    assert_int_equal(write(f->sockets[1], "hi!", 3), 3);
    mr_loop_run(f->loop);
    assert_string_equal(f->trace, "hi!");
    mr_loop_fd_remove(f->loop, f->sockets[0]);
    close(f->sockets[0]);
    close(f->sockets[1]);
}

static void never(void *context, int fd, uint32_t events)
{
    (void)context, (void)fd, (void)events;
    fail_msg("an event of the fd's earlier owner was delivered to the next one");
}

/* Whoever is called first closes the other's socket and puts a new, silent one in its place. */
static void replace_the_other(void *context, int fd, uint32_t events)
{
    (void)events;
    struct fixture *f = context;
    const int other = fd == f->sockets[0] ? f->sockets[2] : f->sockets[0];
    int fresh[2];
    mark(f, 'x');
    mr_loop_fd_remove(f->loop, other);
    close(other);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fresh), 0);
    assert_int_equal(fresh[0], other); /* the kernel gives out the lowest free number */
    assert_int_equal(mr_loop_fd_add(f->loop, fresh[0], EPOLLIN, never, f), 0);
    mr_loop_fd_remove(f->loop, fd);
    f->seen[0] = (unsigned)fresh[1];
    mr_loop_post(f->loop, stop, f);
}

static void a_stale_event_does_not_reach_the_next_owner_of_the_fd(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets + 2), 0);
    assert_int_equal(mr_loop_fd_add(f->loop, f->sockets[0], EPOLLIN, replace_the_other, f), 0);
    assert_int_equal(mr_loop_fd_add(f->loop, f->sockets[2], EPOLLIN, replace_the_other, f), 0);
    assert_int_equal(write(f->sockets[1], "a", 1), 1);
    assert_int_equal(write(f->sockets[3], "b", 1), 1);
    mr_loop_run(f->loop);
    assert_string_equal(f->trace, "x.");
    close((int)f->seen[0]);
    for (size_t i = 0; i < 4; i++) {
        mr_loop_fd_remove(f->loop, f->sockets[i]);
        close(f->sockets[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_run_by_time_then_by_arming, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_timers_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_that_rearms_itself_does_not_starve_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(posts_of_each_thread_stay_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_can_stop_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sockets_are_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stale_event_does_not_reach_the_next_owner_of_the_fd,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
