/* core_internal.h - the extension module millrace._core: millrace_edge.h for Python, and no more.
 *
 * What is comfortable (dicts of arrays, exceptions, loops) is written in Python above it. The
 * limited API of Python 3.11 only, so that one build serves every later Python; no numpy, only
 * buffers.
 *
 * The interpreter's lock is given back while a call of the library lasts, and taken again in the
 * functions that the library calls: training, progress and log. */
#ifndef MR_PYTHON_CORE_INTERNAL_H
#define MR_PYTHON_CORE_INTERNAL_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <signal.h>
#include <stdbool.h>

#include "edge-client/include/millrace_edge.h"

/* SIGINT and SIGTERM, while the main thread waits in a call: where Python has handlers for them,
 * ours cancels the call and then lets Python's do what it does. */
struct mr_py_signals {
    struct mre_client *client;
    struct mr_py_signals *outer; /* a call within another's training */
    bool here;                   /* on the main thread */
};

/* With the interpreter's lock, on the thread of the call. */
void mr_py_signals_begin(struct mr_py_signals *signals, struct mre_client *client);
void mr_py_signals_end(struct mr_py_signals *signals);

/* One call of the library. */
struct mr_py_call {
    struct mr_py_signals signals;
    PyThreadState *thread; /* that gave the lock back */
    PyObject *train;       /* borrowed; NULL: this call trains nothing */
    /* What was raised in a function that the library called, first of all; owned. */
    PyObject *type, *value, *trace;
};

struct mr_py_client {
    PyObject_HEAD                  /* no semicolon: the macro is a member */
        struct mre_client *client; /* NULL: closed */
    struct mr_py_call *call;       /* under way; NULL: none */
    PyObject *watcher;             /* called with progress; NULL: nobody */
    PyObject *logger;              /* called with (level, line); likewise */
    PyObject *connections;         /* that it shares; goes after `client`. NULL: its own */
    bool cancelled;                /* by cancel(), and nobody has heard of it yet */
};

/* In a function that the library calls: takes the lock, and gives it back. */
void mr_py_call_enter(struct mr_py_call *call);
void mr_py_call_leave(struct mr_py_call *call);
/* Keeps what is raised for the end of the call. With the lock. */
void mr_py_call_keep(struct mr_py_call *call);

/* A mre_train_fn; `context` is the call. Its train gets (task: dict, values: bytearray) and returns
 * (parts, examples, loss, metrics, before), or None: the round is left out. Parts are (offset,
 * buffer of float32) pairs in any order, and what they leave out stays as it was; None in an
 * evaluation. metrics and before are by name. */
enum mre_trained mr_py_train(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report);

/* A dict with the outcome's fields; NULL with an exception. */
PyObject *mr_py_outcome(const struct mre_outcome *outcome);

/* Client.open(path, …) -> (Client or None, outcome). */
PyObject *mr_py_open(PyObject *type, PyObject *args, PyObject *kwargs);

/* connections() -> a capsule, which goes with the last client that shares them. */
PyObject *mr_py_connections(PyObject *module, PyObject *unused);

/* Adds the type Client. 0 or -1. */
int mr_py_client_add(PyObject *module);

/* Adds the functions install, rollback and status of installed models. 0 or -1. */
int mr_py_releases_add(PyObject *module);

/* Adds the functions state and reset_state of a device's folder. 0 or -1. */
int mr_py_state_add(PyObject *module);

#endif
