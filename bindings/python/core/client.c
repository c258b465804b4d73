/* client.c - the type Client. */
#include "bindings/python/core/core_internal.h"

#include <string.h>

/* --- one call of the library -------------------------------------------------------------------
 */

/* Gives the lock back; to be ended by finish(). 0, or -1 with an exception. */
static int begin(struct mr_py_client *self, struct mr_py_call *call, PyObject *train)
{
    if (!self->client) {
        PyErr_SetString(PyExc_ValueError, "the client is closed: open another");
        return -1;
    }
    if (self->call) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another call of this client is under way: a client belongs to one thread "
                        "at a time, only cancel() may come from others");
        return -1;
    }
    *call = (struct mr_py_call){.train = train};
    self->call = call;
    mr_py_signals_begin(&call->signals, self->client);
    call->thread = PyEval_SaveThread();
    return 0;
}

/* Takes the lock. The outcome as a dict, or NULL with what was raised meanwhile. */
static PyObject *finish(struct mr_py_client *self, struct mr_py_call *call,
                        const struct mre_outcome *outcome)
{
    PyEval_RestoreThread(call->thread);
    mr_py_signals_end(&call->signals);
    self->call = NULL;
    if (call->type) {
        PyErr_Restore(call->type, call->value, call->trace);
        return NULL;
    }
    return PyErr_CheckSignals() ? NULL : mr_py_outcome(outcome);
}

/* --- methods ------------------------------------------------------------------------------------
 */

static PyObject *method_round(struct mr_py_client *self, PyObject *args)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    PyObject *train;
    unsigned wait_ms;
    if (!PyArg_ParseTuple(args, "IO:round", &wait_ms, &train) || begin(self, &call, train)) {
        return NULL;
    }
    mre_client_round(self->client, wait_ms, mr_py_train, &call, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_end(struct mr_py_client *self, PyObject *args)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    unsigned wait_ms;
    if (!PyArg_ParseTuple(args, "I:end", &wait_ms) || begin(self, &call, NULL)) {
        return NULL;
    }
    mre_client_end(self->client, wait_ms, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_check(struct mr_py_client *self, PyObject *unused)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    (void)unused;
    if (begin(self, &call, NULL)) {
        return NULL;
    }
    mre_client_check(self->client, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_reach(struct mr_py_client *self, PyObject *args)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    unsigned position;
    if (!PyArg_ParseTuple(args, "I:reach", &position) || begin(self, &call, NULL)) {
        return NULL;
    }
    mre_client_reach(self->client, position, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_pull(struct mr_py_client *self, PyObject *args)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    const char *file;
    unsigned wait_ms;
    if (!PyArg_ParseTuple(args, "sI:pull", &file, &wait_ms) || begin(self, &call, NULL)) {
        return NULL;
    }
    mre_release_pull(self->client, file, wait_ms, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_report(struct mr_py_client *self, PyObject *args)
{
    struct mr_py_call call;
    struct mre_outcome outcome;
    const char *file;
    if (!PyArg_ParseTuple(args, "s:report", &file) || begin(self, &call, NULL)) {
        return NULL;
    }
    mre_release_report(self->client, file, &outcome);
    return finish(self, &call, &outcome);
}

static PyObject *method_cancel(struct mr_py_client *self, PyObject *unused)
{
    (void)unused;
    self->cancelled = true;
    if (self->client) {
        mre_client_cancel(self->client);
    }
    Py_RETURN_NONE;
}

/* Whether cancel() was called since this was asked last. */
static PyObject *method_take_cancelled(struct mr_py_client *self, PyObject *unused)
{
    const bool was = self->cancelled;
    (void)unused;
    self->cancelled = false;
    return PyBool_FromLong(was);
}

/* What a function of Python's was called for by the library; with the interpreter's lock, which it
 * gives back. `answer` may be NULL. */
static void end_callback(struct mr_py_client *self, PyObject *answer)
{
    if (PyErr_Occurred()) { /* the call ends, and raises it */
        mr_py_call_keep(self->call);
        mre_client_cancel(self->client);
    }
    Py_XDECREF(answer);
    mr_py_call_leave(self->call);
}

static void on_progress(void *context, const struct mre_progress *p)
{
    struct mr_py_client *self = context;
    mr_py_call_enter(self->call);
    end_callback(self, self->watcher && !self->call->type
                           ? PyObject_CallFunction(
                                 self->watcher, "sKIKKIs", mre_phase_name(p->phase),
                                 (unsigned long long)p->round, (unsigned)p->attempt,
                                 (unsigned long long)p->bytes_done,
                                 (unsigned long long)p->bytes_total, (unsigned)p->left_ms, p->text)
                           : NULL);
}

/* Texts of hubs may be in the line, in whatever encoding: what is no UTF-8 is shown as it is. */
static void on_log(void *context, enum mre_log_level level, const char *line)
{
    struct mr_py_client *self = context;
    mr_py_call_enter(self->call);
    PyObject *text = self->logger && !self->call->type
                         ? PyUnicode_DecodeUTF8(line, (Py_ssize_t)strlen(line), "backslashreplace")
                         : NULL;
    end_callback(self, text ? PyObject_CallFunction(self->logger, "iN", (int)level, text) : NULL);
}

/* Another function, or None, in *place. 0 or -1 with an exception. */
static int set_callback(const struct mr_py_client *self, PyObject **place, PyObject *function)
{
    if (!self->client || self->call) {
        PyErr_SetString(PyExc_RuntimeError, "the client is closed, or a call of it is under way");
        return -1;
    }
    PyObject *old = *place;
    *place = function == Py_None ? NULL : Py_NewRef(function);
    Py_XDECREF(old);
    return 0;
}

static PyObject *method_watch(struct mr_py_client *self, PyObject *watcher)
{
    if (set_callback(self, &self->watcher, watcher)) {
        return NULL;
    }
    mre_client_watch(self->client, self->watcher ? on_progress : NULL, self);
    Py_RETURN_NONE;
}

static PyObject *method_log(struct mr_py_client *self, PyObject *logger)
{
    if (set_callback(self, &self->logger, logger)) {
        return NULL;
    }
    mre_client_log(self->client, self->logger ? on_log : NULL, self);
    Py_RETURN_NONE;
}

static PyObject *method_close(struct mr_py_client *self, PyObject *unused)
{
    (void)unused;
    if (self->call) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a call of this client is under way: cancel() it first");
        return NULL;
    }
    mre_client_close(self->client);
    self->client = NULL;
    Py_CLEAR(self->connections);
    Py_RETURN_NONE;
}

static PyObject *get_id(struct mr_py_client *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(self->client ? mre_client_id(self->client) : "");
}

/* --- its life -----------------------------------------------------------------------------------
 */

static int traverse(struct mr_py_client *self, visitproc visit, void *arg)
{
    Py_VISIT(self->watcher);
    Py_VISIT(self->logger);
    Py_VISIT(Py_TYPE((PyObject *)self));
    return 0;
}

static int clear(struct mr_py_client *self)
{
    Py_CLEAR(self->watcher);
    Py_CLEAR(self->logger);
    return 0;
}

static void dealloc(struct mr_py_client *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    mre_client_close(self->client);
    Py_XDECREF(self->connections); /* not in clear(), which comes before: no part of any cycle */
    clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

#define METHOD(name, flags)                                                                        \
    {                                                                                              \
#name, (PyCFunction)(void (*)(void))method_##name, flags, NULL                             \
    }

static PyMethodDef methods[] = {
    {"open", (PyCFunction)(void (*)(void))mr_py_open, METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     NULL},
    METHOD(round, METH_VARARGS),
    METHOD(end, METH_VARARGS),
    METHOD(check, METH_NOARGS),
    METHOD(reach, METH_VARARGS),
    METHOD(pull, METH_VARARGS),
    METHOD(report, METH_VARARGS),
    METHOD(cancel, METH_NOARGS),
    METHOD(take_cancelled, METH_NOARGS),
    METHOD(watch, METH_O),
    METHOD(log, METH_O),
    METHOD(close, METH_NOARGS),
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {{"id", (getter)get_id, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

int mr_py_client_add(PyObject *module)
{
    PyType_Slot slots[] = {{Py_tp_methods, methods},           {Py_tp_getset, properties},
                           {Py_tp_traverse, (void *)traverse}, {Py_tp_clear, (void *)clear},
                           {Py_tp_dealloc, (void *)dealloc},   {0, NULL}};
    PyType_Spec spec = {.name = "millrace._core.Client",
                        .basicsize = sizeof(struct mr_py_client),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        .slots = slots};
    PyObject *type = PyType_FromSpec(&spec);
    const int bad = !type || PyModule_AddObjectRef(module, "Client", type);
    Py_XDECREF(type);
    return bad ? -1 : 0;
}
