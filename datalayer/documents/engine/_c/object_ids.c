/* Ids for many new documents at once. */

#include "core.h"

#define PREFIX 9 /* of the 12 bytes: time and random part; the counter follows */

const char object_ids_doc[] = PyDoc_STR("object_ids(prefix, first, count)\n\n\
Ids that begin with the same 9 bytes, with the counters from ``first`` on.");

PyObject *
object_ids(PyObject *module, PyObject *args)
{
    const char *prefix;
    Py_ssize_t length, count;
    unsigned int counter;
    State *state = ready_state_of(module);
    if (state == NULL || !PyArg_ParseTuple(args, "y#In", &prefix, &length, &counter, &count))
        return NULL;
    if (length != PREFIX) {
        PyErr_SetString(PyExc_ValueError, "the prefix has 9 bytes");
        return NULL;
    }
    unsigned char bytes[PREFIX + 3];
    memcpy(bytes, prefix, PREFIX);
    PyObject *ids = PyList_New(0);
    for (Py_ssize_t i = 0; ids != NULL && i < count; i++, counter++) {
        bytes[PREFIX] = (unsigned char)(counter >> 16); /* after the last counter comes 0 */
        bytes[PREFIX + 1] = (unsigned char)(counter >> 8);
        bytes[PREFIX + 2] = (unsigned char)counter;
        PyObject *id = decode_object_id(state, bytes);
        if (id == NULL || PyList_Append(ids, id) < 0)
            Py_CLEAR(ids);
        Py_XDECREF(id);
    }
    return ids;
}
