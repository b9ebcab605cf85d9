/* Whether a document can be stored, by its weight. */

#include "core.h"

/* Whether a document can be stored: see storable.py, which this has to agree with. Nothing here
   calls or allocates anything, so that nothing changes meanwhile. */

#define BYTES_PER_MEMBER 32
#define HEAVIEST ((Py_ssize_t)1 << 29) /* far more than can be stored, and a sum of two fits */

static Py_ssize_t weigh(State *state, PyObject *value, int level);

/* The weight of text that is ASCII; -1 for any other, which Python looks at. */
static Py_ssize_t
weigh_text(PyObject *text)
{
    return PyUnicode_IS_ASCII(text) ? PyUnicode_GET_LENGTH(text) : -1;
}

/* Whether nobody takes a part of the key for its end, a path or an operator. */
int
is_storable_key(const char *text, Py_ssize_t length)
{
    return !memchr(text, '.', (size_t)length) && !memchr(text, '\0', (size_t)length) &&
           !memchr(text, '$', (size_t)length);
}

static Py_ssize_t
weigh_key(PyObject *key)
{
    if (!PyUnicode_CheckExact(key) || !PyUnicode_IS_ASCII(key))
        return -1;
    Py_ssize_t length = PyUnicode_GET_LENGTH(key);
    return is_storable_key((const char *)PyUnicode_1BYTE_DATA(key), length) ? length : -1;
}

/* The weight of two; -1 where one has none, or both weigh too much. */
static Py_ssize_t
together(Py_ssize_t one, Py_ssize_t other)
{
    if (one < 0 || other < 0 || one > HEAVIEST || other > HEAVIEST)
        return -1;
    return one + other;
}

static Py_ssize_t
weigh_dictionary(State *state, PyObject *dictionary, int level)
{
    Py_ssize_t weight = 0, position = 0;
    PyObject *key, *item;
    while (weight >= 0 && PyDict_Next(dictionary, &position, &key, &item)) {
        weight = together(weight + BYTES_PER_MEMBER, weigh_key(key));
        if (weight >= 0)
            weight = together(weight, weigh(state, item, level + 1));
    }
    return weight;
}

static Py_ssize_t
weigh_list(State *state, PyObject *list, int level)
{
    Py_ssize_t weight = 0;
    for (Py_ssize_t i = 0; weight >= 0 && i < PyList_GET_SIZE(list); i++)
        weight = together(weight + BYTES_PER_MEMBER,
                          weigh(state, PyList_GET_ITEM(list, i), level + 1));
    return weight;
}

static Py_ssize_t
weigh(State *state, PyObject *value, int level)
{
    if (PyUnicode_CheckExact(value))
        return weigh_text(value);
    if (PyLong_Check(value)) {
        int overflow;
        PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? -1 : 0;
    }
    if (PyDict_CheckExact(value))
        return level > MOST_LEVELS ? -1 : weigh_dictionary(state, value, level);
    if (PyList_CheckExact(value))
        return level > MOST_LEVELS ? -1 : weigh_list(state, value, level);
    return is_among(state->small_types, Py_TYPE(value)) ? 0 : -1;
}

const char weight_doc[] = PyDoc_STR("weight_of(document)\n\n\
At least the size that a document has as BSON; -1 where it has to be looked at closely.");

PyObject *
weight_of(PyObject *module, PyObject *document)
{
    State *state = ready_state_of(module);
    if (state == NULL)
        return NULL;
    return PyLong_FromSsize_t(PyDict_CheckExact(document) ? weigh(state, document, 1) : -1);
}
