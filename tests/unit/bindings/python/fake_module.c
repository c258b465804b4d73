/* fake_module.c - the module _fake for Python: the federation of edge-client/fake.h, which the
 * extension module of the same file joins whenever a client is opened. So Python's side is tested
 * with real masks and without hubs, and what it sends is compared with what C sends.
 *
 * The binding's own sources are compiled for this with mre_client_open called mr_fake_open. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <string.h>

#include "tests/unit/edge-client/fake.h"
#include "wire/metric.h"

enum mre_result mr_fake_open(struct mre_client **client, const struct mre_options *options,
                             struct mre_outcome *outcome);

static struct fake fake;
static bool begun;

enum mre_result mr_fake_open(struct mre_client **client, const struct mre_options *options,
                             struct mre_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    *client = fake_client(&fake, options->transport, options->dump_dir);
    return MRE_OK;
}

static void finish(void)
{
    if (begun) {
        fake_fini(&fake);
    }
    begun = false;
}

static PyObject *method_end(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    finish();
    Py_RETURN_NONE;
}

/* begin(hubs, ring_bits, seed) -> folder: a federation with a model of layers 8-4-3. */
static PyObject *method_begin(PyObject *self, PyObject *args)
{
    unsigned hubs, ring_bits;
    unsigned long long seed;
    (void)self;
    if (!PyArg_ParseTuple(args, "IIK", &hubs, &ring_bits, &seed)) {
        return NULL;
    }
    finish();
    fake_init(&fake, hubs, (uint8_t)ring_bits);
    fake.random.state = seed;
    begun = true;
    return PyUnicode_FromString(fake.dir);
}

/* divide(frozen, personal, trained): the model's parts; before its first round. */
static PyObject *method_divide(PyObject *self, PyObject *args)
{
    const char *frozen, *personal;
    unsigned trained;
    (void)self;
    if (!PyArg_ParseTuple(args, "zzI", &frozen, &personal, &trained)) {
        return NULL;
    }
    fake_divide(&fake, frozen, personal, trained);
    Py_RETURN_NONE;
}

/* sent(): all that left the clients. */
static PyObject *method_sent(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyBytes_FromStringAndSize((const char *)fake.sent, (Py_ssize_t)fake.sent_bytes);
}

/* set(name, number): a knob of the fake. */
static PyObject *method_set(PyObject *self, PyObject *args)
{
    const char *name;
    unsigned number;
    (void)self;
    if (!PyArg_ParseTuple(args, "sI", &name, &number)) {
        return NULL;
    }
    if (strcmp(name, "corrupt_model") == 0) {
        fake.corrupt_model = number;
    } else if (strcmp(name, "refuse_connects") == 0) {
        fake.refuse_connects = number;
    } else if (strcmp(name, "refuse_certificate") == 0) {
        fake.refuse_certificate = number;
    } else if (strcmp(name, "refuse_grant") == 0) {
        fake.refuse_grant = number ? "revoked" : NULL;
    } else if (strcmp(name, "busy_seeds") == 0) {
        fake.busy_seeds = number;
    } else if (strcmp(name, "kind") == 0) { /* with a metric */
        fake.announcement.kind = (uint8_t)number;
        fake.announcement.metric_count = 1;
        fake.announcement.metrics[0] =
            (struct mr_announced_metric){.name = "accuracy", .low = 0, .high = 1};
        fake_announce(&fake);
    } else if (strcmp(name, "newer_round") == 0) {
        fake.announcement.round++;
        fake_announce(&fake);
    } else if (strcmp(name, "newer_model") == 0) { /* of a newer round */
        fake.announcement.round++;
        fake_set_text(&fake, "round", "newer");
        fake_announce(&fake);
        fake.state = MR_UPLOAD_RECEIVING;
    } else {
        PyErr_SetString(PyExc_KeyError, name);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *seeds_of(uint32_t attempt)
{
    PyObject *list = PyList_New(0);
    for (unsigned i = 1; list && i < fake.hub_count; i++) {
        PyObject *row = Py_BuildValue("(Iy#)", fake.announcement.hubs[i].index,
                                      fake.seeds[attempt][i], (Py_ssize_t)MR_SEED_BYTES);
        if (!row || PyList_Append(list, row)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

/* What arrived: the committed share, and all that the oracle needs to make it itself. */
static PyObject *method_arrived(PyObject *self, PyObject *unused)
{
    const struct mr_layout *layout = &fake.terms.layout;
    (void)self, (void)unused;
    if (!fake.committed) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue(
        "{s:y#,s:N,s:I,s:s,s:y#,s:I,s:I,s:I,s:I}", "share", fake.committed,
        (Py_ssize_t)layout->share_bytes, "seeds", seeds_of(fake.committed_attempt), "attempt",
        (unsigned)fake.committed_attempt, "task", fake.announcement.task, "announcement_hash",
        fake.terms.hash, (Py_ssize_t)MR_HASH_BYTES, "ring_bits", (unsigned)layout->ring_bits,
        "chunk_bytes", (unsigned)layout->chunk_bytes, "rotation_log2",
        (unsigned)fake.announcement.rotation_log2, "dimension", (unsigned)layout->dimension);
}

static enum mre_trained train(void *context, const struct mre_task *task, float *vector,
                              struct mre_report *report)
{
    memcpy(vector, context, task->dimension * sizeof *vector);
    report->examples = 7;
    report->loss = 0.25f;
    return MRE_TRAINED_PARAMETERS;
}

/* c_round(parameters, transport): the same as a round of Python, in C alone. */
static PyObject *method_c_round(PyObject *self, PyObject *args)
{
    Py_buffer values;
    int transport;
    struct mre_outcome outcome;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*i", &values, &transport)) {
        return NULL;
    }
    struct mre_client *client = fake_client(&fake, (enum mre_transport)transport, NULL);
    mre_client_round(client, 1000, train, values.buf, &outcome);
    mre_client_close(client);
    PyBuffer_Release(&values);
    return PyUnicode_FromString(mre_result_name(outcome.result));
}

/* opened(): the one device's vector, with all masks taken off. */
static PyObject *method_opened(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    uint8_t *opened = fake_open_sum(&fake);
    PyObject *bytes =
        PyBytes_FromStringAndSize((const char *)opened, (Py_ssize_t)fake.terms.layout.share_bytes);
    free(opened);
    return bytes;
}

/* unit(): of the metrics of the round. */
static PyObject *method_unit(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyLong_FromUnsignedLong(mr_metric_unit(&fake.announcement));
}

static PyMethodDef methods[] = {
    {"begin", method_begin, METH_VARARGS, NULL},     {"end", method_end, METH_NOARGS, NULL},
    {"set", method_set, METH_VARARGS, NULL},         {"arrived", method_arrived, METH_NOARGS, NULL},
    {"opened", method_opened, METH_NOARGS, NULL},    {"unit", method_unit, METH_NOARGS, NULL},
    {"c_round", method_c_round, METH_VARARGS, NULL}, {"divide", method_divide, METH_VARARGS, NULL},
    {"sent", method_sent, METH_NOARGS, NULL},        {NULL, NULL, 0, NULL}};

PyMODINIT_FUNC PyInit__fake(void);

PyMODINIT_FUNC PyInit__fake(void)
{
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_fake", .m_size = -1,
                                     .m_methods = methods};
    return PyModule_Create(&definition);
}
