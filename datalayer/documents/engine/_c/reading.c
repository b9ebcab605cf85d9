/* Reading: a document of the dictionary that the driver gave. */

#include "core.h"

/* Whether a raw embedded document is of this class itself, as one that names none is; -1: an
   error. */
static int
is_of_class(Table *part, PyObject *raw)
{
    PyObject *name = entry_of(raw, part->state->name_cls);
    if (name == NULL)
        return PyErr_Occurred() ? -1 : 1;
    int same = PyObject_RichCompareBool(name, part->class_name, Py_EQ);
    Py_DECREF(name);
    return same;
}

/* The same, and all its keys are known. */
static int
has_known_keys(Table *part, PyObject *raw)
{
    if (part->keys == Py_None || !PyDict_CheckExact(raw))
        return 0;
    int known = is_of_class(part, raw);
    if (known <= 0)
        return known;
    PyObject *key;
    Walk walk = walk_over(raw);
    while ((known = next_of(raw, &walk, &key, NULL)) > 0) {
        known = PySet_Contains(part->keys, key);
        Py_DECREF(key);
        if (known <= 0)
            return known;
    }
    return known < 0 ? -1 : 1;
}

/* 1: taken; 0: out of the ordinary; -1: an error. */
int
read_preset(Field *field, PyObject *data)
{
    if (field->preset_kind == ASSIGNED)
        return 0;
    PyObject *made = field->preset_kind == CALLED ? PyObject_CallNoArgs(field->preset)
                                                  : Py_NewRef(field->preset);
    int failed = made == NULL ? -1 : PyDict_SetItem(data, field->name, made);
    Py_XDECREF(made);
    return failed < 0 ? -1 : 1;
}

static int
read_converted(Field *field, PyObject *value, PyObject *data)
{
    PyObject *converted = PyObject_CallOneArg(field->to_python, value);
    if (converted == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError) &&
            !PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear(); /* the way through Python says it as MongoEngine does */
        return 0;
    }
    int failed = PyDict_SetItem(data, field->name, converted);
    Py_DECREF(converted);
    return failed < 0 ? -1 : 1;
}

static int
read_waiting(Field *field, PyObject *value, PyObject *pending)
{
    if (field->raw_type != Py_None && (PyObject *)Py_TYPE(value) != field->raw_type)
        return 0;
    int may_wait = field->link_kind == ONE ? has_known_keys((Table *)field->link, value) : 0;
    if (may_wait == 0) {
        may_wait = 1;
        if (field->may_wait != Py_None) {
            PyObject *answer = PyObject_CallOneArg(field->may_wait, value);
            may_wait = answer == NULL ? -1 : PyObject_IsTrue(answer);
            Py_XDECREF(answer);
        }
    }
    if (may_wait <= 0)
        return may_wait;
    return PyDict_SetItem(pending, field->name, value) < 0 ? -1 : 1;
}

/* Reads a value that is there, and not None. 1: taken; 0: out of the ordinary; -1: an error. */
int
read_value(Table *self, Field *field, PyObject *value, PyObject *data, PyObject *pending)
{
    switch (field->load) {
    case SCALAR:
        if ((PyObject *)Py_TYPE(value) == field->type)
            break;
        return read_converted(field, value, data);
    case CLASS_NAME: {
        int same = PyObject_RichCompareBool(value, self->class_name, Py_EQ);
        if (same <= 0)
            return same;
        break;
    }
    case DEFERRED:
        return read_waiting(field, value, pending);
    case CONVERTED:
        return read_converted(field, value, data);
    case ASSIGN:
        return 0;
    }
    return PyDict_SetItem(data, field->name, value) < 0 ? -1 : 1;
}

static int
read_field(Table *self, Field *field, PyObject *son, PyObject *data, PyObject *pending,
           Py_ssize_t *found)
{
    int taken;
    PyObject *value = entry_of(son, field->key);
    if (value == NULL)
        return PyErr_Occurred() ? -1 : read_preset(field, data);
    (*found)++;
    if (value == Py_None)
        taken = field->load == CLASS_NAME ? 0 : read_preset(field, data);
    else
        taken = read_value(self, field, value, data, pending);
    Py_DECREF(value);
    return taken;
}

static PyObject *
read_regular(Table *self, PyObject *son, int created)
{
    PyObject *document = NULL, *pending = NULL;
    Py_ssize_t found = 0;
    PyObject *data = self->waiting ? new_lazy_data(self->state) : PyDict_New();
    int taken = data == NULL ? -1 : 1;
    if (taken > 0 && self->waiting && (pending = PyDict_New()) == NULL)
        taken = -1;
    for (Py_ssize_t i = 0; i < self->count && taken > 0; i++)
        taken = read_field(self, &self->fields[i], son, data, pending, &found);
    if (taken > 0 && found != PyDict_GET_SIZE(son)) /* a key that the class doesn't know */
        taken = 0;
    if (taken == 0)
        document = Py_NewRef(Py_None);
    else if (taken > 0)
        document = completed_document(self, data, pending, created, NULL);
    Py_XDECREF(data);
    Py_XDECREF(pending);
    return document;
}

const char read_doc[] = PyDoc_STR("read(son, created=False)\n\nA document of what the driver gave.");

PyObject *
table_read(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "read() takes a mapping and whether it is new");
        return NULL;
    }
    PyObject *created = count == 2 ? args[1] : Py_False;
    if (PyDict_CheckExact(args[0]) && PyDict_GET_SIZE(args[0]) && !self->assigns &&
        !is_listened_to(self)) {
        int is_created = PyObject_IsTrue(created);
        if (is_created < 0)
            return NULL;
        PyObject *document = read_regular(self, args[0], is_created);
        if (document != Py_None)
            return document;
        Py_DECREF(document);
    }
    return PyObject_CallFunctionObjArgs(self->read_otherwise, args[0], created, NULL);
}
