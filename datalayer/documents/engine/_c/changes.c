/* Whether anything in a document can have noted a change of its own. */

#include "core.h"

static int is_clean(Table *self, PyObject *document);

static int
is_clean_part(Field *field, PyObject *part)
{
    Table *table = (Table *)field->link;
    PyObject *changed = SLOT(part, table->state->changed);
    if (changed == NULL || !PyList_CheckExact(changed) || PyList_GET_SIZE(changed))
        return 0;
    return is_clean(table, part);
}

static int
is_clean_value(State *state, Field *field, PyObject *value)
{
    if (is_part(field, value))
        return is_clean_part(field, value);
    if (!are_parts(field, value))
        return is_among(state->small_types, Py_TYPE(value));
    PyObject *part;
    int clean = 1;
    for (Py_ssize_t i = 0; clean > 0 && (part = item_of(value, i)) != NULL; i++) {
        int is_known = Py_IS_TYPE(part, ((Table *)field->link)->model);
        clean = is_known ? is_clean_part(field, part) : 0;
        Py_DECREF(part);
    }
    return clean;
}

/* Whether no value can have noted a change of its own; 0 too where that isn't known here; -1: an
   error. */
static int
is_clean(Table *self, PyObject *document)
{
    PyObject *data = dictionary_in(document, self->state->data);
    int clean = 1;
    if (data == NULL)
        return 0;
    if (Py_EnterRecursiveCall(" while looking for changes in a document")) {
        Py_DECREF(data);
        return -1;
    }
    for (Py_ssize_t i = 0; clean > 0 && i < self->count; i++) {
        Field *field = &self->fields[i];
        if (field->load == SCALAR || field->load == AS_IS || field->load == CLASS_NAME)
            continue;
        PyObject *value = entry_of(data, field->name);
        if (value != NULL && value != Py_None) /* what waits was not changed */
            clean = is_clean_value(self->state, field, value);
        else if (value == NULL && PyErr_Occurred())
            clean = -1;
        Py_XDECREF(value);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(data);
    return clean;
}

const char clean_doc[] = PyDoc_STR("is_clean(document)\n\n\
Whether no value of it can have noted a change; False too where that isn't known here.");

PyObject *
table_is_clean(Table *self, PyObject *document)
{
    int clean = is_one(self, document) ? is_clean(self, document) : -1;
    return clean < 0 ? NULL : PyBool_FromLong(clean);
}

const char saved_doc[] = PyDoc_STR("mark_saved(document)\n\n\
Take the document for what the database has. False, with nothing done, where a value of it may have\n\
noted a change.");

PyObject *
table_mark_saved(Table *self, PyObject *document)
{
    int clean = is_one(self, document) ? is_clean(self, document) : -1;
    PyObject *changed = clean > 0 ? PyList_New(0) : NULL;
    if (changed == NULL)
        return clean == 0 ? Py_NewRef(Py_False) : NULL;
    put(document, self->state->changed, changed);
    put(document, self->state->created, Py_False);
    Py_DECREF(changed);
    Py_RETURN_TRUE;
}
