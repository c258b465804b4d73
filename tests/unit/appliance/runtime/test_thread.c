/* test_thread.c - a thread that takes no signals. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliance/runtime/thread.h"

static void *look(void *context)
{
    pthread_sigmask(SIG_SETMASK, NULL, context);
    return NULL;
}

/* Whoever starts it goes on as before. */
static void test_signals(void **state)
{
    static const int some[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1};
    struct mr_error error = {.text = ""};
    sigset_t before, after, seen;
    pthread_t thread;
    (void)state;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigemptyset(&seen);
    assert_int_equal(mr_thread_start(&thread, look, &seen, &error), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++) {
        assert_true(sigismember(&seen, some[i]));
        assert_int_equal(sigismember(&after, some[i]), sigismember(&before, some[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
