/* module.c - millrace._core as Python imports it. */
#include "bindings/python/core/core_internal.h"

#include <jansson.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>

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

/* What runs here, which need not be what this was built with. */
static PyObject *libraries(void)
{
    return Py_BuildValue("{s:s,s:s,s:s}", "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING),
                         "nghttp2", nghttp2_version(0)->version_str, "jansson",
                         jansson_version_str());
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
    PyObject *linked = names ? libraries() : NULL;
    if (!linked || PyModule_AddObjectRef(module, "RESULTS", names) ||
        PyModule_AddObjectRef(module, "LIBRARIES", linked) ||
        PyModule_AddStringConstant(module, "VERSION", mre_version()) || mr_py_client_add(module) ||
        mr_py_releases_add(module) || mr_py_state_add(module)) {
        Py_CLEAR(module);
    }
    Py_XDECREF(names);
    Py_XDECREF(linked);
    return module;
}
