/* signals.c - Ctrl-C ends a wait.
 *
 * Python's own handler only notes the signal for its interpreter, which a thread that waits in the
 * library does not run. So for the time of a call ours stands before it. */
#include <sys/syscall.h>
#include <unistd.h>

#include "bindings/python/core/core_internal.h"

static const int watched[] = {SIGINT, SIGTERM};
#define WATCHED (sizeof watched / sizeof *watched)

/* A handler is given no context: these two are the only state of the process. Changed on the main
 * thread, with the signals' handlers not installed or with both values valid. */
static struct mr_py_signals *volatile innermost;
static struct sigaction before[WATCHED];

static void on_signal(int number, siginfo_t *info, void *context)
{
    for (const struct mr_py_signals *s = innermost; s; s = s->outer) {
        mre_client_cancel(s->client);
    }
    for (unsigned i = 0; i < WATCHED; i++) {
        if (watched[i] != number) {
            continue;
        }
        if (before[i].sa_flags & SA_SIGINFO) {
            before[i].sa_sigaction(number, info, context);
        } else {
            before[i].sa_handler(number);
        }
    }
}

/* Where nobody handles the signal, its default is what the user wants. */
static bool is_handled(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_signal;
}

void mr_py_signals_begin(struct mr_py_signals *signals, struct mre_client *client)
{
    signals->client = client;
    signals->here = syscall(SYS_gettid) == getpid();
    if (!signals->here) {
        return;
    }
    signals->outer = innermost;
    innermost = signals;
    for (unsigned i = 0; i < WATCHED && !signals->outer; i++) {
        if (sigaction(watched[i], NULL, &before[i]) || !is_handled(&before[i])) {
            continue;
        }
        struct sigaction ours = before[i];
        ours.sa_sigaction = on_signal;
        ours.sa_flags |= SA_SIGINFO;
        sigaction(watched[i], &ours, NULL);
    }
}

void mr_py_signals_end(struct mr_py_signals *signals)
{
    if (!signals->here) {
        return;
    }
    for (unsigned i = 0; i < WATCHED && !signals->outer; i++) {
        struct sigaction now;
        if (sigaction(watched[i], NULL, &now) == 0 && is_ours(&now)) {
            sigaction(watched[i], &before[i], NULL);
        } /* else a training function has set another, which stays */
    }
    innermost = signals->outer;
}
