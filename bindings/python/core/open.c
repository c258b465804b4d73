/* open.c - a client from its device.json and what the caller says otherwise. */
#include "bindings/python/core/core_internal.h"

static const char *const option_names[] = {
    "path",     "data_dir",      "transport",          "cpu_mask",    "dump_dir", "silence_ms",
    "siblings", "training_seed", "request_timeout_ms", "connections", NULL};

static const char capsule_name[] = "millrace._core.connections";

static void close_connections(PyObject *capsule)
{
    mre_connections_close(PyCapsule_GetPointer(capsule, capsule_name));
}

PyObject *mr_py_connections(PyObject *module, PyObject *unused)
{
    struct mre_connections *connections;
    (void)module, (void)unused;
    if (mre_connections_open(&connections)) {
        return PyErr_NoMemory();
    }
    PyObject *capsule = PyCapsule_New(connections, capsule_name, close_connections);
    if (!capsule) {
        mre_connections_close(connections);
    }
    return capsule;
}

/* What stands beside device.json. 0, or -1 with an exception. */
struct overrides {
    const char *path, *data_dir, *cpu_mask, *dump_dir;
    int transport; /* -1: as the file says */
    unsigned silence_ms, request_timeout_ms;
    unsigned long long training_seed;
    PyObject *siblings; /* tuple of str, or NULL */
    const char *sibling_dirs[MRE_SIBLINGS_MAX];
    unsigned sibling_count;
    PyObject *connections; /* a capsule, or None */
};

static int take_siblings(struct overrides *o)
{
    const Py_ssize_t count = o->siblings ? PyTuple_Size(o->siblings) : 0;
    if (count < 0 || count > MRE_SIBLINGS_MAX) {
        PyErr_Format(PyExc_ValueError, "siblings: a tuple of at most %d", MRE_SIBLINGS_MAX);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *dir = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(o->siblings, i), NULL);
        if (!dir) {
            return -1;
        }
        o->sibling_dirs[o->sibling_count++] = dir;
    }
    return 0;
}

static void apply(const struct overrides *o, struct mre_options *options)
{
    options->data_dir = o->data_dir ? o->data_dir : options->data_dir;
    options->cpu_mask = o->cpu_mask ? o->cpu_mask : options->cpu_mask;
    options->dump_dir = o->dump_dir;
    options->transport = o->transport < 0 ? options->transport : (enum mre_transport)o->transport;
    options->silence_ms = o->silence_ms;
    options->request_timeout_ms = o->request_timeout_ms;
    options->training_seed = o->training_seed ? o->training_seed : options->training_seed;
    options->siblings = o->sibling_dirs;
    options->sibling_count = o->sibling_count;
}

static bool take(struct overrides *o, PyObject *args, PyObject *kwargs)
{
    return PyArg_ParseTupleAndKeywords(args, kwargs, "s|zizzIO!KIO",
                                       (char **)(uintptr_t)option_names, &o->path, &o->data_dir,
                                       &o->transport, &o->cpu_mask, &o->dump_dir, &o->silence_ms,
                                       &PyTuple_Type, &o->siblings, &o->training_seed,
                                       &o->request_timeout_ms, &o->connections) &&
           take_siblings(o) == 0 &&
           (o->connections == Py_None || PyCapsule_GetPointer(o->connections, capsule_name));
}

/* Takes the client over, also where there is no memory for its object. */
static struct mr_py_client *wrap(PyTypeObject *type, struct mre_client *client,
                                 const struct overrides *o)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct mr_py_client *self = (struct mr_py_client *)allocate(type, 0);
    if (!self) {
        mre_client_close(client);
        return NULL;
    }
    self->client = client;
    if (o->connections != Py_None) {
        self->connections = Py_NewRef(o->connections);
        mre_client_share(client, PyCapsule_GetPointer(o->connections, capsule_name));
    }
    return self;
}

PyObject *mr_py_open(PyObject *type, PyObject *args, PyObject *kwargs)
{
    struct overrides o = {.transport = -1, .connections = Py_None};
    struct mre_config *config;
    struct mre_outcome outcome;
    struct mre_client *client = NULL;
    if (!take(&o, args, kwargs)) {
        return NULL;
    }
    if (mre_config_load(&config, o.path, &outcome) == MRE_OK) {
        apply(&o, mre_config_options(config));
        mre_client_open(&client, mre_config_options(config), &outcome);
        mre_config_free(config);
    }
    struct mr_py_client *self = client ? wrap((PyTypeObject *)type, client, &o) : NULL;
    if (client && !self) {
        return NULL;
    }
    PyObject *said = mr_py_outcome(&outcome);
    PyObject *pair = said ? PyTuple_Pack(2, self ? (PyObject *)self : Py_None, said) : NULL;
    Py_XDECREF(said);
    Py_XDECREF((PyObject *)self);
    return pair;
}
