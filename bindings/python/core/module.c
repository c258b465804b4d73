/* module.c - millrace._core as Python imports it. */
#include "bindings/python/core/core_internal.h"

/* The names of all results, in their order: the number of one is its place. */
static PyObject *names_of_results(void)
{
    PyObject *names = PyTuple_New(MRE_RESULTS);
    for (int i = 0; names && i < MRE_RESULTS; i++) {
        PyObject *name = PyUnicode_FromString(mre_result_name((enum mre_result)i));
        if (!name || PyTuple_SetItem(names, i, name)) {
            Py_CLEAR(names);
        }
    }
    return names;
}

PyMODINIT_FUNC PyInit__core(void); /* the name that Python looks up */

PyMODINIT_FUNC PyInit__core(void)
{
    static PyMethodDef functions[] = {{"connections", mr_py_connections, METH_NOARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_core", .m_size = -1,
                                     .m_methods = functions};
    PyObject *module = PyModule_Create(&definition);
    PyObject *names = module ? names_of_results() : NULL;
    if (!names || PyModule_AddObjectRef(module, "RESULTS", names) ||
        PyModule_AddStringConstant(module, "VERSION", mre_version()) || mr_py_client_add(module) ||
        mr_py_releases_add(module) || mr_py_state_add(module)) {
        Py_CLEAR(module);
    }
    Py_XDECREF(names);
    return module;
}
