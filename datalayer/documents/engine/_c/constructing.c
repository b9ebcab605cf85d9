/* Constructing: what __init__ does. */

#include "core.h"

/* A list of the same embedded documents, which now belong to ``document``; NULL without an error
   where something else is among them. */
static PyObject *
owned_parts(Table *self, Field *field, PyObject *parts, PyObject *document)
{
    PyObject *part;
    int owned = 1;
    for (Py_ssize_t i = 0; owned && (part = item_of(parts, i)) != NULL; i++) {
        owned = Py_IS_TYPE(part, ((Table *)field->link)->model) &&
                own(self->state, part, document) == 0;
        Py_DECREF(part);
    }
    return owned ? shallow_copy(parts) : NULL;
}

/* What becomes of a value that was given. */
static PyObject *
taken(Table *self, Field *field, PyObject *document, PyObject *value)
{
    if ((PyObject *)Py_TYPE(value) == field->type)
        return Py_NewRef(value);
    if (is_part(field, value))
        return own(self->state, value, document) < 0 ? NULL : Py_NewRef(value);
    if (PyList_CheckExact(value) && are_parts(field, value)) {
        PyObject *owned = owned_parts(self, field, value, document);
        if (owned != NULL || PyErr_Occurred())
            return owned;
    }
    return PyObject_CallFunctionObjArgs(field->take, document, value, NULL);
}

static PyObject *
value_for(Table *self, Field *field, PyObject *document, PyObject *given)
{
    if (given != NULL)
        return taken(self, field, document, given);
    if (PyErr_Occurred())
        return NULL;
    if (field->preset_kind == CALLED)
        return PyObject_CallNoArgs(field->preset);
    if (field->preset_kind == ASSIGNED)
        return PyObject_CallOneArg(field->preset, document);
    return Py_NewRef(field->preset);
}

/* Whether a value is kept, or becomes one that is, without Python. */
static int
is_taken_here(Field *field, PyObject *value)
{
    return (PyObject *)Py_TYPE(value) == field->type || is_part(field, value) ||
           (PyList_CheckExact(value) && are_parts(field, value));
}

/* Whether a copy of the keywords can be the document's data: they are all kept, and no Python sees
   them before the data is complete. A copy is made at once, value by value it would take longer.
   -1: an error. */
static int
can_be_data(Table *self, PyObject *values)
{
    Py_ssize_t known = 0, turn = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Field *field = &self->fields[i];
        PyObject *value = entry_in_turn(values, field->name, &turn);
        if (value == NULL && PyErr_Occurred())
            return -1;
        int fits = value == NULL ? field->preset_kind != ASSIGNED : is_taken_here(field, value);
        known += value != NULL;
        Py_XDECREF(value);
        if (!fits)
            return 0;
    }
    return known == PyDict_GET_SIZE(values);
}

/* Whether all names are those of fields; -1: an error. */
static int
are_allowed(Table *self, PyObject *values)
{
    PyObject *name;
    Walk walk = walk_over(values);
    int known;
    while ((known = next_of(values, &walk, &name, NULL)) > 0) {
        known = PySet_Contains(self->allowed, name);
        Py_DECREF(name);
        if (known <= 0)
            return known;
    }
    return known < 0 ? -1 : 1;
}

static PyObject *
construct_by_python(Table *self, PyObject *document, PyObject *values)
{
    PyObject *copied = PyDict_Copy(values); /* it takes out what it knows */
    PyObject *done = copied == NULL ? NULL
                                    : PyObject_CallFunctionObjArgs(self->construct_otherwise,
                                                                   document, copied, NULL);
    Py_XDECREF(copied);
    return done;
}

/* Puts the values of all fields into ``data``, which may hold the keywords already. */
static int
fill(Table *self, PyObject *document, PyObject *data, PyObject *values, int is_copy)
{
    Py_ssize_t turn = 0;
    begin(self, document, data, 1);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Field *field = &self->fields[i];
        PyObject *given = entry_in_turn(values, field->name, &turn);
        PyObject *made = value_for(self, field, document, given);
        int failed = made == NULL ? -1 : 0;
        if (!failed && !(is_copy && made == given))
            failed = PyDict_SetItem(data, field->name, made);
        Py_XDECREF(made);
        Py_XDECREF(given);
        if (failed < 0)
            return -1;
    }
    return 0;
}

/* What else every new document has. */
static int
complete(Table *self, PyObject *document)
{
    State *state = self->state;
    if (self->is_embedded) {
        PyObject *changed = PyList_New(0);
        if (changed == NULL)
            return -1;
        put(document, state->changed, changed);
        Py_DECREF(changed);
    }
    put(document, state->initialised, Py_True);
    return finish(self, document);
}

const char construct_doc[] = PyDoc_STR("construct(document, values)\n\nDoes what __init__ does.");

PyObject *
table_construct(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "construct() takes a document and its keywords");
        return NULL;
    }
    PyObject *document = args[0], *values = args[1];
    if (!is_one(self, document))
        return NULL;
    int is_copy = can_be_data(self, values);
    int allowed = is_copy ? is_copy : are_allowed(self, values);
    if (allowed <= 0)
        return allowed < 0 ? NULL : construct_by_python(self, document, values);
    PyObject *data = is_copy ? PyDict_Copy(values) : PyDict_New();
    int failed = data == NULL || fill(self, document, data, values, is_copy) < 0 ||
                 complete(self, document) < 0;
    Py_XDECREF(data);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}
