/* call.c - the interpreter's lock, and what is raised, in functions that the library calls. */
#include "bindings/python/core/core_internal.h"

void mr_py_call_enter(struct mr_py_call *call)
{
    PyEval_RestoreThread(call->thread);
}

void mr_py_call_leave(struct mr_py_call *call)
{
    call->thread = PyEval_SaveThread();
}

void mr_py_call_keep(struct mr_py_call *call)
{
    if (call->type) {
        PyErr_Clear(); /* the first is the cause */
        return;
    }
    PyErr_Fetch(&call->type, &call->value, &call->trace);
    PyErr_NormalizeException(&call->type, &call->value, &call->trace);
}
