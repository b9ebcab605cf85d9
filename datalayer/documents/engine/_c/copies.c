/* Copies of plain values, and loops over dictionaries and lists that others may change. */

#include "core.h"

/* A plain list of the same items. PyList_GetSlice reads as many as there were before it made room,
   which may run anything on Python 3.11. */
PyObject *
shallow_copy(PyObject *list)
{
    Py_ssize_t room = PyList_GET_SIZE(list);
    PyObject *copy = PyList_New(room);
    if (copy == NULL)
        return NULL;
    Py_ssize_t count = Py_MIN(room, PyList_GET_SIZE(list));
    for (Py_ssize_t i = 0; i < count; i++)
        PyList_SET_ITEM(copy, i, Py_NewRef(PyList_GET_ITEM(list, i)));
    Py_SET_SIZE(copy, count);
    return copy;
}

/* The next key and, where it is wanted, value as new references. 1: there is one; 0: none is left;
   -1: an error, as Python has it where a dictionary changes under a loop. */
int
next_of(PyObject *dictionary, Walk *walk, PyObject **key, PyObject **value)
{
    if (PyDict_GET_SIZE(dictionary) != walk->size) {
        PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
        return -1;
    }
    if (!PyDict_Next(dictionary, &walk->position, key, value))
        return 0;
    if (walk->left-- == 0) {
        PyErr_SetString(PyExc_RuntimeError, "dictionary keys changed during iteration");
        return -1;
    }
    Py_INCREF(*key);
    if (value != NULL)
        Py_INCREF(*value);
    return 1;
}

static PyObject *copy_of(State *state, PyObject *value, int level);

static PyObject *
copy_of_dictionary(State *state, PyObject *value, int level)
{
    PyObject *key, *item, *copy = PyDict_New();
    Walk walk = walk_over(value);
    int there = copy != NULL;
    while (there > 0 && (there = next_of(value, &walk, &key, &item)) > 0) {
        PyObject *made = PyUnicode_CheckExact(key) ? copy_of(state, item, level + 1) : NULL;
        if (made == NULL || PyDict_SetItem(copy, key, made) < 0)
            there = -1;
        Py_XDECREF(made);
        Py_DECREF(key);
        Py_DECREF(item);
    }
    if (there < 0)
        Py_CLEAR(copy);
    return copy;
}

static PyObject *
copy_of_list(State *state, PyObject *value, int level)
{
    PyObject *item, *copy = PyList_New(0);
    for (Py_ssize_t i = 0; copy != NULL && (item = item_of(value, i)) != NULL; i++) {
        PyObject *made = copy_of(state, item, level + 1);
        if (made == NULL || PyList_Append(copy, made) < 0)
            Py_CLEAR(copy);
        Py_XDECREF(made);
        Py_DECREF(item);
    }
    return copy;
}

/* A copy of a tree of mappings, lists and single values; NULL without an error where it holds
   anything else. */
static PyObject *
copy_of(State *state, PyObject *value, int level)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type || type == &PyLong_Type)
        return Py_NewRef(value);
    if (type != &PyDict_Type && type != &PyList_Type) {
        if (is_among(state->small_types, type))
            return Py_NewRef(value);
        if (!is_among(state->tracked_types, type))
            return NULL;
    }
    if (level > MOST_LEVELS)
        return NULL;
    return PyDict_Check(value) ? copy_of_dictionary(state, value, level)
                               : copy_of_list(state, value, level);
}

const char copy_doc[] = PyDoc_STR("plain_copy(value)\n\n\
A copy of a tree of mappings, lists and single values; None where it holds anything else.");

PyObject *
plain_copy(PyObject *module, PyObject *value)
{
    State *state = ready_state_of(module);
    if (state == NULL)
        return NULL;
    PyObject *copy = PyDict_Check(value) || PyList_Check(value) ? copy_of(state, value, 1) : NULL;
    if (copy == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return copy;
}

const char list_doc[] = PyDoc_STR("list_copy(list)\n\n\
A plain list of the same items, past the list's own methods.");

PyObject *
list_copy(PyObject *module, PyObject *list)
{
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list is wanted");
        return NULL;
    }
    return shallow_copy(list);
}
