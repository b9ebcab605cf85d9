/* The values of a document that wait in its bytes, by the names of its fields; in the place of a
   dictionary of raw values as documents have it that were loaded from one. */

#include "core.h"

Elements *
new_elements(Table *table, PyObject *bytes, PyObject *codec)
{
    PyTypeObject *type = table->state->elements_type;
    Elements *self = (Elements *)type->tp_alloc(type, table->count);
    if (self != NULL) {
        self->table = (Table *)Py_NewRef(table);
        self->bytes = Py_NewRef(bytes);
        self->codec = Py_NewRef(codec);
    }
    return self;
}

static int
elements_traverse(Elements *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->table);
    Py_VISIT(self->codec);
    return 0;
}

/* There is no clear: every cycle leads through a class, which has its table in its dictionary. */
static void
elements_dealloc(Elements *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->table);
    Py_XDECREF(self->bytes);
    Py_XDECREF(self->codec);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* The index of the field called so in a table; -1 for none. */
static Py_ssize_t
index_of(Table *table, PyObject *name)
{
    for (Py_ssize_t i = 0; i < table->count; i++)
        if (table->fields[i].name == name)
            return i;
    for (Py_ssize_t i = 0; i < table->count && PyUnicode_CheckExact(name); i++)
        if (PyUnicode_Compare(table->fields[i].name, name) == 0)
            return i;
    return -1;
}

/* The element that waits for a field; NULL where none does. */
static Element *
waiting(Elements *self, Py_ssize_t index, Element *element)
{
    if (index < 0 || self->places[index] == 0)
        return NULL;
    Bytes at = (Bytes)PyBytes_AS_STRING(self->bytes) + self->places[index];
    size_t key_length = self->table->fields[index].key_length;
    *element = (Element){at[0], at + 1, key_length, at + 1 + key_length + 1};
    return element;
}

/* The embedded documents in an array; NULL without an error where it holds something else. */
static PyObject *
loaded_parts(Elements *self, Table *link, Bytes array)
{
    PyObject *parts = PyList_New(0);
    Element element = bson_element(bson_first(array));
    for (; parts != NULL && element.type; element = bson_element(bson_after(&element))) {
        PyObject *part = NULL;
        if (element.type == BSON_DOCUMENT)
            part = load_document(link, self->bytes, element.value, self->codec, 0);
        if (part == NULL || part == Py_None || PyList_Append(parts, part) < 0)
            Py_CLEAR(parts);
        Py_XDECREF(part);
    }
    return parts;
}

/* The value of a field's element, as what converts it takes it; the caller holds the elements. */
static PyObject *
raw_value(Elements *self, Field *field, const Element *element)
{
    if (element->type == BSON_INT64 && field->load == SCALAR)
        return PyLong_FromLongLong(bson_int64(element->value));
    if (element->type == BSON_ARRAY && field->link_kind == LIST) {
        PyObject *parts = loaded_parts(self, (Table *)field->link, element->value);
        if (parts != NULL || PyErr_Occurred())
            return parts;
    }
    return decode_value(self->codec, element->type, element->value);
}

/* A new reference to the elements that a document's data waits for; NULL for none. */
static Elements *
elements_of(State *state, PyObject *data)
{
    PyObject *pending = SLOT(data, state->lazy_pending);
    if (pending == NULL || !Py_IS_TYPE(pending, state->elements_type))
        return NULL;
    return (Elements *)Py_NewRef(pending);
}

/* A new reference to what ``data`` has for a field from now on: ``value``, unless another thread
   was first; takes the reference to ``value``, which may be NULL. */
static PyObject *
kept(Elements *self, PyObject *data, Py_ssize_t index, PyObject *value)
{
    if (value == NULL)
        return NULL;
    PyObject *found = PyDict_SetDefault(data, self->table->fields[index].name, value);
    Py_XINCREF(found);
    if (found != NULL)
        self->places[index] = 0;
    Py_DECREF(value);
    return found;
}

/* The value that waits for a field, if it needs no converter, kept in ``data`` from now on; NULL
   where there is none, or an error. */
static PyObject *
value_waiting(Elements *self, PyObject *data, Py_ssize_t index)
{
    Table *table = self->table;
    Element element;
    if (!waiting(self, index, &element) || table->fields[index].load == DEFERRED)
        return NULL;
    /* Whoever put other converters there wants to know of values that can be changed. */
    int is_single = element.type != BSON_DOCUMENT && element.type != BSON_ARRAY;
    if (!is_single && SLOT(data, table->state->lazy_converters) != table->converters)
        return NULL;
    return kept(self, data, index, raw_value(self, &table->fields[index], &element));
}

/* A new reference to what ``data``, which is lazy and holds nothing under ``name``, has there from
   now on, where a value that needs no converter waits; else NULL, with an error perhaps. */
PyObject *
value_decoded_now(State *state, PyObject *data, PyObject *name)
{
    Elements *elements = elements_of(state, data);
    if (elements == NULL)
        return NULL;
    PyObject *value = value_waiting(elements, data, index_of(elements->table, name));
    Py_DECREF(elements);
    return value;
}

/* The embedded document that waits for a field, kept in ``data`` from now on; NULL where there is
   none, or an error. */
static PyObject *
part_waiting(Elements *self, PyObject *data, Py_ssize_t index, PyObject *document)
{
    Table *table = self->table;
    Element element;
    if (!waiting(self, index, &element) || element.type != BSON_DOCUMENT ||
        SLOT(data, table->state->lazy_converters) != table->converters)
        return NULL;
    PyObject *part = load_document((Table *)table->fields[index].link, self->bytes, element.value,
                                   self->codec, 0);
    if (part == Py_None || (part != NULL && own(table->state, part, document) < 0))
        Py_CLEAR(part);
    return kept(self, data, index, part);
}

/* What an attribute finds first, of a document whose ``data`` is lazy: the value that waits for a
   field of ``table``, kept from now on. NULL where none waits that can be made here, or an error. */
PyObject *
first_value(Table *table, PyObject *data, Py_ssize_t index, PyObject *document)
{
    Elements *elements = elements_of(table->state, data);
    if (elements == NULL)
        return NULL;
    PyObject *value = NULL;
    if (elements->table == table && elements->places[index])
        value = table->fields[index].link_kind == ONE
                    ? part_waiting(elements, data, index, document)
                    : value_waiting(elements, data, index);
    Py_DECREF(elements);
    return value;
}

/* Whether a value waits under ``name``. */
int
is_waiting(PyObject *elements, PyObject *name)
{
    Element element;
    Elements *self = (Elements *)elements;
    return waiting(self, index_of(self->table, name), &element) != NULL;
}

/* As a mapping in Python */

PyDoc_STRVAR(get_doc, "get(name, default=None)\n\nThe raw value that waits under a name.");

static PyObject *
elements_get(Elements *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "get() takes a name and a default");
        return NULL;
    }
    Element element;
    Py_ssize_t index = index_of(self->table, args[0]);
    if (waiting(self, index, &element))
        return raw_value(self, &self->table->fields[index], &element);
    return Py_NewRef(count == 2 ? args[1] : Py_None);
}

PyDoc_STRVAR(discard_doc, "discard(name)\n\nLet a value wait no longer; whether it did.");

static PyObject *
elements_discard(Elements *self, PyObject *name)
{
    Element element;
    Py_ssize_t index = index_of(self->table, name);
    if (!waiting(self, index, &element))
        Py_RETURN_FALSE;
    self->places[index] = 0;
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(elements_copy_doc, "copy()\n\nThe same values, which wait on their own.");

static PyObject *
elements_copy(Elements *self, PyObject *nothing)
{
    Elements *copy = new_elements(self->table, self->bytes, self->codec);
    if (copy != NULL)
        memcpy(copy->places, self->places, (size_t)self->table->count * sizeof(self->places[0]));
    return (PyObject *)copy;
}

static PyObject *
elements_names(Elements *self)
{
    PyObject *names = PyList_New(0);
    for (Py_ssize_t i = 0; names != NULL && i < self->table->count; i++)
        if (self->places[i] && PyList_Append(names, self->table->fields[i].name) < 0)
            Py_CLEAR(names);
    return names;
}

static PyObject *
elements_iter(Elements *self)
{
    PyObject *names = elements_names(self);
    PyObject *iterator = names == NULL ? NULL : PyObject_GetIter(names);
    Py_XDECREF(names);
    return iterator;
}

static Py_ssize_t
elements_length(Elements *self)
{
    Py_ssize_t length = 0;
    for (Py_ssize_t i = 0; i < self->table->count; i++)
        length += self->places[i] != 0;
    return length;
}

static int
elements_contain(Elements *self, PyObject *name)
{
    return is_waiting((PyObject *)self, name);
}

static PyMethodDef elements_methods[] = {
    {"get", (PyCFunction)(void (*)(void))elements_get, METH_FASTCALL, get_doc},
    {"discard", (PyCFunction)elements_discard, METH_O, discard_doc},
    {"copy", (PyCFunction)elements_copy, METH_NOARGS, elements_copy_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot elements_slots[] = {
    {Py_tp_doc, "The values of a document that wait in its bytes."},
    {Py_tp_dealloc, elements_dealloc},
    {Py_tp_traverse, elements_traverse},
    {Py_tp_iter, elements_iter},
    {Py_sq_length, elements_length},
    {Py_sq_contains, elements_contain},
    {Py_tp_methods, elements_methods},
    {0, NULL},
};

PyType_Spec elements_spec = {
    .name = "datalayer.documents.engine._core.Elements",
    .basicsize = offsetof(Elements, places),
    .itemsize = sizeof(((Elements *)NULL)->places[0]),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = elements_slots,
};
