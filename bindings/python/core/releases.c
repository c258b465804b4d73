/* releases.c - the model that an application opens: installed, judged, put back. What needs a
 * client (pull, report) is in client.c. */
#include "bindings/python/core/core_internal.h"

/* A mre_healthy_fn; `context` is the call, whose `train` is asked. What it raises is the same as
 * "not well", and is raised again when the copy before is back. */
static int is_healthy(void *context, const char *file)
{
    struct mr_py_call *call = context;
    mr_py_call_enter(call);
    PyObject *answer = PyObject_CallFunction(call->train, "s", file);
    const int well = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (well < 0) {
        mr_py_call_keep(call);
    }
    mr_py_call_leave(call);
    return well == 1 ? 0 : -1;
}

static PyObject *install(PyObject *module, PyObject *args)
{
    struct mr_py_call call = {.train = NULL};
    struct mre_outcome outcome;
    const char *file;
    int type;
    (void)module;
    if (!PyArg_ParseTuple(args, "sOi:install", &file, &call.train, &type)) {
        return NULL;
    }
    const mre_healthy_fn healthy = call.train != Py_None ? is_healthy : NULL;
    call.thread = PyEval_SaveThread();
    if (type < 0) { /* as the model says */
        mre_release_install(file, healthy, &call, &outcome);
    } else {
        mre_release_install_as(file, (enum mre_number_type)type, healthy, &call, &outcome);
    }
    PyEval_RestoreThread(call.thread);
    if (call.type) {
        PyErr_Restore(call.type, call.value, call.trace);
        return NULL;
    }
    return mr_py_outcome(&outcome);
}

static PyObject *rollback(PyObject *module, PyObject *args)
{
    struct mre_outcome outcome;
    const char *file;
    (void)module;
    if (!PyArg_ParseTuple(args, "s:rollback", &file)) {
        return NULL;
    }
    PyThreadState *thread = PyEval_SaveThread();
    mre_release_rollback(file, &outcome);
    PyEval_RestoreThread(thread);
    return mr_py_outcome(&outcome);
}

/* (hash or "", round, step) */
static PyObject *version_of(const char *hash, const struct mre_release_version *version)
{
    return Py_BuildValue("(sKI)", hash, (unsigned long long)version->round, version->step);
}

/* (installed, previous, pulled, seen, trial, refused), outcome */
static PyObject *status(PyObject *module, PyObject *args)
{
    struct mre_release_state state = {.trial = 0};
    struct mre_outcome outcome;
    const char *file;
    (void)module;
    if (!PyArg_ParseTuple(args, "s:status", &file)) {
        return NULL;
    }
    mre_release_status(file, &state, &outcome);
    return Py_BuildValue("((NNNNOI)N)", version_of(state.installed, &state.installed_version),
                         version_of(state.previous, &state.previous_version),
                         version_of(state.pulled, &state.pulled_version),
                         version_of("", &state.seen), state.trial ? Py_True : Py_False,
                         state.refused, mr_py_outcome(&outcome));
}

/* (number type, hash or ""), outcome */
static PyObject *opened(PyObject *module, PyObject *args)
{
    struct mre_release_copy opened = {.number_type = MRE_F32};
    struct mre_outcome outcome;
    const char *file;
    (void)module;
    if (!PyArg_ParseTuple(args, "s:opened", &file)) {
        return NULL;
    }
    mre_release_opened(file, &opened, &outcome);
    return Py_BuildValue("((is)N)", (int)opened.number_type, opened.sha256,
                         mr_py_outcome(&outcome));
}

int mr_py_releases_add(PyObject *module)
{
    static PyMethodDef functions[] = {{"install", install, METH_VARARGS, NULL},
                                      {"rollback", rollback, METH_VARARGS, NULL},
                                      {"status", status, METH_VARARGS, NULL},
                                      {"opened", opened, METH_VARARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
    return PyModule_AddFunctions(module, functions);
}
