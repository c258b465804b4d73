/* state.c - what a device remembers in its folder, without a client. */
#include "bindings/python/core/core_internal.h"

/* [(model, round), …], the oldest first. */
static PyObject *counted_of(const struct mre_state *state)
{
    PyObject *list = PyList_New(0);
    for (unsigned i = 0; list && i < state->counted_count; i++) {
        PyObject *row = Py_BuildValue("(sK)", state->counted[i].model,
                                      (unsigned long long)state->counted[i].round);
        if (!row || PyList_Append(list, row)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

/* (finished, round, attempts, models_lost, counted), outcome */
static PyObject *answer_of(const struct mre_state *state, const struct mre_outcome *outcome)
{
    return Py_BuildValue("((KKION)N)", (unsigned long long)state->finished,
                         (unsigned long long)state->round, (unsigned)state->attempts,
                         state->models_lost ? Py_True : Py_False, counted_of(state),
                         mr_py_outcome(outcome));
}

/* The options of the file, with another data_dir where one is named. NULL: see the outcome. */
static struct mre_config *load(const char *path, const char *data_dir, struct mre_outcome *outcome)
{
    struct mre_config *config = NULL;
    if (mre_config_load(&config, path, outcome)) {
        return NULL;
    }
    if (data_dir) {
        mre_config_options(config)->data_dir = data_dir;
    }
    return config;
}

static PyObject *method_state(PyObject *module, PyObject *args)
{
    struct mre_state state = {.finished = 0};
    struct mre_outcome outcome;
    const char *path, *data_dir;
    (void)module;
    if (!PyArg_ParseTuple(args, "sz:state", &path, &data_dir)) {
        return NULL;
    }
    struct mre_config *config = load(path, data_dir, &outcome);
    if (config) {
        mre_state_read(mre_config_options(config), &state, &outcome);
        mre_config_free(config);
    }
    return answer_of(&state, &outcome);
}

static PyObject *method_reset_state(PyObject *module, PyObject *args)
{
    struct mre_state state = {.finished = 0};
    struct mre_outcome outcome;
    const char *path, *data_dir;
    PyObject *given;
    (void)module;
    if (!PyArg_ParseTuple(args, "szO:reset_state", &path, &data_dir, &given)) {
        return NULL;
    }
    const uint64_t finished = given == Py_None ? 0 : PyLong_AsUnsignedLongLong(given);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct mre_config *config = load(path, data_dir, &outcome);
    if (config) {
        mre_state_reset(mre_config_options(config), given == Py_None ? NULL : &finished, &state,
                        &outcome);
        mre_config_free(config);
    }
    return answer_of(&state, &outcome);
}

int mr_py_state_add(PyObject *module)
{
    static PyMethodDef functions[] = {{"state", method_state, METH_VARARGS, NULL},
                                      {"reset_state", method_reset_state, METH_VARARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
    return PyModule_AddFunctions(module, functions);
}
