/* cancel.h - somebody else asks a client's call to come to its end.
 *
 * The flag says that it was asked; the descriptor wakes whoever waits in the kernel. One thread
 * (the client's) takes what was asked; any thread or signal handler asks. Nothing that was asked is
 * lost: what came between two calls ends the next one at once. */
#ifndef MR_SESSION_CANCEL_H
#define MR_SESSION_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

struct mr_cancel {
    atomic_bool asked;
    int fd; /* an eventfd, readable from the asking until it is taken; 0: none */
};

/* 0, or -1 with errno: no descriptor is left. */
int mr_cancel_init(struct mr_cancel *cancel);
void mr_cancel_fini(struct mr_cancel *cancel);

/* Any thread, any signal handler; keeps errno. */
void mr_cancel_ask(struct mr_cancel *cancel);

/* NULL: never. */
bool mr_cancel_asked(const struct mr_cancel *cancel);

/* The client's thread: whether it was asked; from now on it was not. NULL: never. */
bool mr_cancel_take(struct mr_cancel *cancel);

#endif
