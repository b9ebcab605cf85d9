/* The values of a document: those that are there and those that wait. */

#include "core.h"

/* A new reference to the document's data. */
PyObject *
data_of(State *state, PyObject *document)
{
    PyObject *data = dictionary_in(document, state->data);
    if (data == NULL)
        PyErr_SetString(PyExc_AttributeError, "_data");
    return data;
}

static int
is_lazy(State *state, PyObject *data)
{
    return PyObject_TypeCheck(data, state->lazy_type);
}

/* Whether the document was loaded in part: its data may lack values that the database has. */
int
is_partial(State *state, PyObject *data)
{
    return !PyDict_CheckExact(data) && !Py_IS_TYPE(data, state->lazy_type) && is_lazy(state, data);
}

/* ``value``, or None where a KeyError says that there is none; one of its conversion stays. */
static PyObject *
or_none(State *state, PyObject *data, PyObject *name, PyObject *value)
{
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_KeyError))
        return value;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    int there = waits(state, data, name);
    if (there > 0)
        PyErr_Restore(type, error, traceback);
    else {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
    }
    return there == 0 ? Py_NewRef(Py_None) : NULL;
}

/* A new reference to the value called so; to None where there is none, or it was not loaded. */
PyObject *
value_of(State *state, PyObject *data, PyObject *name, PyObject *document)
{
    PyObject *value = entry_of(data, name);
    if (value != NULL || PyErr_Occurred())
        return value;
    if (!is_lazy(state, data))
        Py_RETURN_NONE;
    value = value_decoded_now(state, data, name);
    if (value != NULL || PyErr_Occurred())
        return value;
    if (Py_IS_TYPE(data, state->lazy_type))
        return or_none(
            state, data, name,
            PyObject_CallMethodObjArgs(data, state->name_load, name, document, NULL));
    return or_none(state, data, name, PyObject_GetItem(data, name));
}

/* As ``value_of``, for somebody who asks for one value after the other. */
PyObject *
value_in_turn(State *state, PyObject *data, PyObject *name, PyObject *document, Py_ssize_t *turn)
{
    if (!PyDict_CheckExact(data))
        return value_of(state, data, name, document);
    PyObject *value = entry_in_turn(data, name, turn);
    return value != NULL || PyErr_Occurred() ? value : Py_NewRef(Py_None);
}

/* A new reference to the value for somebody who wants it: what was not loaded is fetched. */
PyObject *
wanted_value_of(State *state, PyObject *data, PyObject *name, PyObject *document)
{
    if (!is_partial(state, data))
        return value_of(state, data, name, document);
    PyObject *value = entry_of(data, name);
    if (value == NULL && !PyErr_Occurred())
        value = value_decoded_now(state, data, name);
    if (value != NULL || PyErr_Occurred())
        return value;
    return or_none(state, data, name,
                   PyObject_CallMethodObjArgs(data, state->name_load, name, document, NULL));
}

int
waits(State *state, PyObject *data, PyObject *name)
{
    if (!is_lazy(state, data))
        return 0;
    int there = PyDict_Contains(data, name);
    if (there)
        return there < 0 ? -1 : 0;
    PyObject *pending = Py_XNewRef(SLOT(data, state->lazy_pending));
    if (pending == NULL)
        return 0;
    if (Py_IS_TYPE(pending, state->elements_type))
        there = is_waiting(pending, name);
    else
        there = PyDict_Check(pending) ? PyDict_Contains(pending, name) : 0;
    Py_DECREF(pending);
    return there;
}

/* Whether the document was loaded without this value, and didn't get one; -1: an error. */
int
lacks(State *state, PyObject *data, PyObject *name)
{
    if (!is_partial(state, data))
        return 0;
    int there = PyDict_Contains(data, name);
    return there < 0 ? -1 : !there;
}
