/* Writing: the dictionary for the database. */

#include "core.h"

static PyObject *write_document(Table *self, PyObject *document, PyObject *wrap);

static PyObject *
write_part(Field *field, PyObject *part, PyObject *wrap)
{
    PyObject *out = write_document((Table *)field->link, part, wrap);
    if (out == NULL || wrap == Py_None)
        return out;
    PyObject *wrapped = PyObject_CallOneArg(wrap, out);
    Py_DECREF(out);
    return wrapped;
}

/* NULL without an error where something else is among the parts. */
static PyObject *
write_parts(Field *field, PyObject *parts, PyObject *wrap)
{
    PyObject *part, *out = PyList_New(0);
    for (Py_ssize_t i = 0; out != NULL && (part = item_of(parts, i)) != NULL; i++) {
        int is_known = Py_IS_TYPE(part, ((Table *)field->link)->model);
        PyObject *written = is_known ? write_part(field, part, wrap) : NULL;
        Py_DECREF(part);
        if (written == NULL || PyList_Append(out, written) < 0)
            Py_CLEAR(out);
        Py_XDECREF(written);
    }
    return out;
}

static PyObject *
written_value(Field *field, PyObject *value, PyObject *wrap)
{
    if (value == Py_None || (PyObject *)Py_TYPE(value) == field->written)
        return Py_NewRef(value);
    if (is_part(field, value))
        return write_part(field, value, wrap);
    if (are_parts(field, value)) {
        PyObject *out = write_parts(field, value, wrap);
        if (out != NULL || PyErr_Occurred())
            return out;
    }
    return PyObject_CallFunctionObjArgs(field->write, value, wrap, NULL);
}

static int
write_field(State *state, Field *field, PyObject *document, PyObject *data, PyObject *out,
            PyObject *wrap)
{
    PyObject *value = value_of(state, data, field->name, document);
    if (value == NULL)
        return -1;
    PyObject *written = written_value(field, value, wrap);
    Py_DECREF(value);
    if (written == NULL)
        return -1;
    int is_left_out = 0, failed = 0;
    if (written == Py_None)
        is_left_out = field->is_null ? lacks(state, data, field->name) : 1;
    if (is_left_out < 0)
        failed = -1;
    else if (!is_left_out)
        failed = PyDict_SetItem(out, field->key, written);
    Py_DECREF(written);
    return failed;
}

static PyObject *
write_document(Table *self, PyObject *document, PyObject *wrap)
{
    State *state = self->state;
    PyObject *data = data_of(state, document);
    if (data == NULL)
        return NULL;
    if (Py_EnterRecursiveCall(" while writing a document")) {
        Py_DECREF(data);
        return NULL;
    }
    PyObject *out = PyDict_New();
    for (Py_ssize_t i = 0; out != NULL && i < self->count; i++) {
        int failed = 0;
        if (i == self->id_first && self->prefix != Py_None)
            failed = PyDict_SetItem(out, state->name_cls, self->prefix);
        if (failed < 0 || write_field(state, &self->fields[i], document, data, out, wrap) < 0)
            Py_CLEAR(out);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(data);
    return out;
}

const char write_doc[] = PyDoc_STR("write(document, wrap)\n\n\
A dictionary for the database; ``wrap`` makes another kind of the nested ones, or is None.");

PyObject *
table_write(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "write() takes a document and what wraps a mapping");
        return NULL;
    }
    return is_one(self, args[0]) ? write_document(self, args[0], args[1]) : NULL;
}
