#include <string.h>

#include "bindings/python/core/core_internal.h"

/* Takes the value over. */
static int put(PyObject *dict, const char *name, PyObject *value)
{
    const int bad = !value || PyDict_SetItemString(dict, name, value) != 0;
    Py_XDECREF(value);
    return bad ? -1 : 0;
}

/* Texts of a hub may hold anything. */
static PyObject *text_of(const char *text)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static int put_round(PyObject *dict, const struct mre_outcome *o)
{
    static const char *const transports[] = {"auto", "udp", "http2"};
    static const char *const kinds[] = {"training", "evaluated-training", "evaluation"};
    return put(dict, "kind", text_of(o->kind < 3 ? kinds[o->kind] : "?")) ||
           put(dict, "round", PyLong_FromUnsignedLongLong(o->round)) ||
           put(dict, "attempt", PyLong_FromUnsignedLong(o->attempt)) ||
           put(dict, "transport", text_of(o->transport < 3 ? transports[o->transport] : "?")) ||
           put(dict, "examples", PyLong_FromUnsignedLong(o->examples)) ||
           put(dict, "loss", PyFloat_FromDouble((double)o->loss)) ||
           put(dict, "deadline_left_ms", PyLong_FromUnsignedLong(o->deadline_left_ms)) ||
           put(dict, "clock_ahead_ms", PyLong_FromLongLong(o->clock_ahead_ms)) ||
           put(dict, "retry_after_ms", PyLong_FromUnsignedLong(o->retry_after_ms));
}

static int put_share(PyObject *dict, const struct mre_outcome *o)
{
    return put(dict, "clipped", PyLong_FromUnsignedLong(o->clipped)) ||
           put(dict, "saturated", PyFloat_FromDouble(o->saturated)) ||
           put(dict, "resolution", PyFloat_FromDouble(o->resolution)) ||
           put(dict, "rounding_error", PyFloat_FromDouble(o->rounding_error)) ||
           put(dict, "share_bytes", PyLong_FromUnsignedLongLong(o->share_bytes)) ||
           put(dict, "datagrams", PyLong_FromUnsignedLongLong(o->datagrams)) ||
           put(dict, "retransmitted", PyLong_FromUnsignedLong(o->retransmitted)) ||
           put(dict, "train_ms", PyLong_FromUnsignedLong(o->train_ms)) ||
           put(dict, "upload_ms", PyLong_FromUnsignedLong(o->upload_ms));
}

/* Of a pull. */
static int put_times(PyObject *dict, const struct mre_outcome *o)
{
    return put(dict, "heard_ms", PyLong_FromUnsignedLong(o->heard_ms)) ||
           put(dict, "fetched_ms", PyLong_FromUnsignedLong(o->fetched_ms)) ||
           put(dict, "verified_ms", PyLong_FromUnsignedLong(o->verified_ms)) ||
           put(dict, "kept_ms", PyLong_FromUnsignedLong(o->kept_ms)) ||
           put(dict, "fetched_bytes", PyLong_FromUnsignedLongLong(o->fetched_bytes));
}

PyObject *mr_py_outcome(const struct mre_outcome *outcome)
{
    PyObject *dict = PyDict_New();
    if (!dict || put(dict, "result", text_of(mre_result_name(outcome->result))) ||
        put_round(dict, outcome) || put_share(dict, outcome) || put_times(dict, outcome) ||
        put(dict, "code", text_of(outcome->code)) || put(dict, "text", text_of(outcome->text)) ||
        put(dict, "warning", text_of(outcome->warning)) ||
        put(dict, "model", text_of(outcome->model)) ||
        put(dict, "remedy", text_of(mre_result_remedy(outcome->result)))) {
        Py_XDECREF(dict);
        return NULL;
    }
    return dict;
}
