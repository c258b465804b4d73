/* training.c - from the library's training call to a Python function and back. */
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bindings/python/core/core_internal.h"

/* --- what the function is given -------------------------------------------------------------- */

static PyObject *shape_of(const struct mre_tensor *tensor)
{
    PyObject *shape = PyTuple_New((Py_ssize_t)tensor->rank);
    for (unsigned i = 0; shape && i < tensor->rank; i++) {
        PyObject *dim = PyLong_FromUnsignedLong(tensor->dims[i]);
        if (!dim || PyTuple_SetItem(shape, (Py_ssize_t)i, dim)) {
            Py_CLEAR(shape);
        }
    }
    return shape;
}

/* [(name, shape, offset, count), …] in file order. */
static PyObject *tensors_of(const struct mre_task *task)
{
    PyObject *list = PyList_New(0);
    for (unsigned i = 0; list && i < task->tensor_count; i++) {
        const struct mre_tensor *t = &task->tensors[i];
        PyObject *shape = shape_of(t);
        PyObject *row = shape ? Py_BuildValue("(sNnn)", t->name, shape, (Py_ssize_t)t->offset,
                                              (Py_ssize_t)t->count)
                              : NULL;
        if (!row || PyList_Append(list, row)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

/* Name to "trained", "frozen" or "personal". */
static PyObject *parts_of(const struct mre_task *task)
{
    static const char *const names[] = {[MRE_PART_TRAINED] = "trained",
                                        [MRE_PART_FROZEN] = "frozen",
                                        [MRE_PART_PERSONAL] = "personal"};
    PyObject *parts = PyDict_New();
    for (unsigned i = 0; parts && i < task->tensor_count; i++) {
        PyObject *part = PyUnicode_FromString(names[task->tensors[i].part]);
        if (!part || PyDict_SetItemString(parts, task->tensors[i].name, part)) {
            Py_CLEAR(parts);
        }
        Py_XDECREF(part);
    }
    return parts;
}

static const char *const kind_names[] = {[MRE_TRAINING] = "training",
                                         [MRE_EVALUATED_TRAINING] = "evaluated-training",
                                         [MRE_EVALUATION] = "evaluation"};

/* Name to (low, high), in the order of the round. */
static PyObject *metrics_of(const struct mre_task *task)
{
    PyObject *metrics = PyDict_New();
    for (unsigned i = 0; metrics && i < task->metric_count; i++) {
        PyObject *range = Py_BuildValue("(dd)", task->metrics[i].low, task->metrics[i].high);
        if (!range || PyDict_SetItemString(metrics, task->metrics[i].name, range)) {
            Py_CLEAR(metrics);
        }
        Py_XDECREF(range);
    }
    return metrics;
}

static const char *const type_names[] = {
    [MRE_F32] = "float32", [MRE_F16] = "float16", [MRE_BF16] = "bfloat16"};

static PyObject *task_of(const struct mre_task *task)
{
    PyObject *tensors = tensors_of(task);
    PyObject *parts = tensors ? parts_of(task) : NULL;
    PyObject *metrics = parts ? metrics_of(task) : NULL;
    if (!metrics) {
        Py_XDECREF(tensors);
        Py_XDECREF(parts);
        return NULL;
    }
    return Py_BuildValue("{s:s,s:K,s:K,s:K,s:n,s:s,s:s,s:s,s:i,s:N,s:N,s:s,s:s,s:N}", "name",
                         task->name, "round", (unsigned long long)task->round, "deadline_unix_ms",
                         (unsigned long long)task->deadline_unix_ms, "seed",
                         (unsigned long long)task->seed, "dimension", (Py_ssize_t)task->dimension,
                         "model_file", task->model_file, "training", task->training, "work_dir",
                         task->work_dir, "cancel_fd", task->cancel_fd, "tensors", tensors, "parts",
                         parts, "kind", kind_names[task->kind], "number_type",
                         type_names[task->number_type], "metrics", metrics);
}

/* --- what it returns -------------------------------------------------------------------------- */

static bool is_float32(const Py_buffer *view)
{
    const char *format = view->format ? view->format : "B";
    return view->itemsize == (Py_ssize_t)sizeof(float) &&
           (strcmp(format, "f") == 0 || strcmp(format, "<f") == 0);
}

static int take_buffer(float *vector, size_t dimension, size_t offset, PyObject *part)
{
    Py_buffer view;
    if (PyObject_GetBuffer(part, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) {
        return -1;
    }
    const size_t count = (size_t)view.len / sizeof(float);
    int bad = 0;
    if (!is_float32(&view)) {
        PyErr_SetString(PyExc_TypeError, "a part of the parameters is no array of float32");
        bad = -1;
    } else if (offset > dimension || count > dimension - offset) {
        PyErr_SetString(PyExc_ValueError, "a part of the parameters goes beyond the model");
        bad = -1;
    } else if (count) {
        memcpy(vector + offset, view.buf, count * sizeof(float));
    }
    PyBuffer_Release(&view);
    return bad;
}

/* (offset, buffer). */
static int take_part(float *vector, size_t dimension, PyObject *part)
{
    PyObject *buffer;
    Py_ssize_t offset;
    if (!PyTuple_Check(part)) {
        PyErr_SetString(PyExc_TypeError, "a part of the parameters is (offset, buffer)");
        return -1;
    }
    if (!PyArg_ParseTuple(part, "nO", &offset, &buffer)) {
        return -1;
    }
    return take_buffer(vector, dimension, (size_t)offset, buffer); /* below 0: beyond any model */
}

static int take_parts(float *vector, size_t dimension, PyObject *parts)
{
    const Py_ssize_t count = PySequence_Size(parts);
    if (count < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = PySequence_GetItem(parts, i);
        const int bad = !part || take_part(vector, dimension, part);
        Py_XDECREF(part);
        if (bad) {
            return -1;
        }
    }
    return 0;
}

static int take_metrics(const struct mre_task *task, double values[MRE_METRICS_MAX],
                        PyObject *metrics)
{
    for (unsigned i = 0; i < task->metric_count; i++) {
        PyObject *name = PyUnicode_FromString(task->metrics[i].name);
        PyObject *value =
            name ? PyObject_GetItem(metrics, name) : NULL; /* KeyError: it is missing */
        values[i] = value ? PyFloat_AsDouble(value) : 0;
        Py_XDECREF(name);
        Py_XDECREF(value);
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

static int take_answer(const struct mre_task *task, float *vector, struct mre_report *report,
                       PyObject *answer)
{
    PyObject *parts, *after, *before;
    long long examples;
    double loss;
    if (!PyTuple_Check(answer)) {
        PyErr_SetString(PyExc_TypeError, "train returns (parts, examples, loss, metrics, before)");
        return -1;
    }
    if (!PyArg_ParseTuple(answer, "OLdOO", &parts, &examples, &loss, &after, &before) ||
        (parts != Py_None && take_parts(vector, task->dimension, parts)) ||
        take_metrics(task, report->metrics, after) ||
        (task->kind == MRE_EVALUATED_TRAINING &&
         take_metrics(task, report->metrics_before, before))) {
        return -1;
    }
    if (examples < 1 || examples > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "examples: a whole number from 1 to 2^32 - 1 is needed");
        return -1;
    }
    report->examples = (uint32_t)examples;
    report->loss = (float)loss;
    return 0;
}

/* --- the call ----------------------------------------------------------------------------------
 */

static void say_why(struct mre_report *report, const struct mr_py_call *call)
{
    PyObject *said = call->value ? PyObject_Str(call->value) : NULL;
    PyObject *bytes = said ? PyUnicode_AsEncodedString(said, "utf-8", "backslashreplace") : NULL;
    const char *text = bytes ? PyBytes_AsString(bytes) : NULL;
    snprintf(report->why, sizeof report->why, "the training function raised: %s",
             text && *text ? text : "an exception without a text");
    Py_XDECREF(bytes);
    Py_XDECREF(said);
    PyErr_Clear();
}

static PyObject *call_train(const struct mr_py_call *call, const struct mre_task *task,
                            const float *vector)
{
    PyObject *described = task_of(task);
    PyObject *values =
        described ? PyByteArray_FromStringAndSize((const char *)vector,
                                                  (Py_ssize_t)(task->dimension * sizeof(float)))
                  : NULL;
    PyObject *answer =
        values ? PyObject_CallFunctionObjArgs(call->train, described, values, NULL) : NULL;
    Py_XDECREF(described);
    Py_XDECREF(values);
    return answer;
}

enum mre_trained mr_py_train(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report)
{
    struct mr_py_call *call = context;
    mr_py_call_enter(call);
    PyObject *answer = call->type ? NULL : call_train(call, task, vector);
    const bool skips = answer == Py_None;
    const bool good = skips || (answer && take_answer(task, vector, report, answer) == 0);
    Py_XDECREF(answer);
    if (skips) {
        snprintf(report->why, sizeof report->why, "no function was given that evaluates a model");
    }
    if (!good) {
        mr_py_call_keep(call);
        say_why(report, call);
    }
    mr_py_call_leave(call);
    if (!good) {
        return MRE_TRAINED_NOT;
    }
    return skips                          ? MRE_TRAINED_SKIPS
           : task->kind == MRE_EVALUATION ? MRE_TRAINED_EVALUATED
                                          : MRE_TRAINED_PARAMETERS;
}
