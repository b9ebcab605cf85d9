/* New documents, and the embedded documents in them. */

#include "core.h"

/* Gives a new document what every one has, and its data. */
void
begin(Table *self, PyObject *document, PyObject *data, int created)
{
    State *state = self->state;
    put(document, state->data, data);
    put(document, state->initialised, Py_False);
    put(document, state->created, created ? Py_True : Py_False);
    put(document, state->dynamic, state->empty_dynamic);
    if (self->is_embedded)
        put(document, state->instance, Py_None);
}

int
finish(Table *self, PyObject *document)
{
    if (self->finish == Py_None)
        return 0;
    PyObject *done = PyObject_CallOneArg(self->finish, document);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *
new_document(Table *self)
{
    return PyBaseObject_Type.tp_new(self->model, self->state->no_arguments, NULL);
}

/* Empty data of a document, of which values may wait. */
PyObject *
new_lazy_data(State *state)
{
    return PyDict_Type.tp_new(state->lazy_type, state->no_arguments, NULL);
}

/* A new document with ``data``, whose other values wait in ``pending``, if that isn't NULL; None
   where ``fill``, which may assign further ones, says 0. */
PyObject *
completed_document(Table *self, PyObject *data, PyObject *pending, int created,
                   int (*fill)(Table *, PyObject *, Elements *))
{
    State *state = self->state;
    PyObject *reference = NULL, *changed = PyList_New(0);
    PyObject *document = changed == NULL ? NULL : new_document(self);
    if (document != NULL && pending != NULL) {
        reference = PyWeakref_NewRef(document, NULL);
        if (reference == NULL)
            Py_CLEAR(document);
        else {
            put(data, state->lazy_pending, pending);
            put(data, state->lazy_converters, self->converters);
            put(data, state->lazy_document, reference);
        }
    }
    if (document != NULL) {
        begin(self, document, data, fill == NULL ? created : 1);
        int filled = fill == NULL ? 1 : fill(self, document, (Elements *)pending);
        put(document, state->created, created ? Py_True : Py_False);
        put(document, state->changed, changed);
        put(document, state->initialised, Py_True);
        if (filled == 0)
            Py_SETREF(document, Py_NewRef(Py_None));
        else if (filled < 0 || finish(self, document) < 0)
            Py_CLEAR(document);
    }
    Py_XDECREF(reference);
    Py_XDECREF(changed);
    return document;
}

/* Whether ``document`` has the slots that are looked into. */
int
is_one(Table *self, PyObject *document)
{
    if (PyObject_TypeCheck(document, self->model))
        return 1;
    PyErr_Format(PyExc_TypeError, "a document of %R is wanted", self->model);
    return 0;
}

int
are_parts(Field *field, PyObject *value)
{
    if (field->link_kind != LIST || !PyList_Check(value))
        return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++)
        if (!Py_IS_TYPE(PyList_GET_ITEM(value, i), ((Table *)field->link)->model))
            return 0;
    return 1;
}

/* Tells a part, which is an embedded document, whose it is. */
int
own(State *state, PyObject *part, PyObject *document)
{
    PyObject *proxy = PyWeakref_NewProxy(document, NULL);
    if (proxy == NULL)
        return -1;
    put(part, state->instance, proxy);
    Py_DECREF(proxy);
    return 0;
}
