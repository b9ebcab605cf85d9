/* The attribute that stands for a field in a class. */

#include "core.h"

typedef struct {
    PyObject_HEAD
    PyObject *engine_field, *name, *table; /* the last: of the class, or None */
    PyObject *adopt, *receive; /* where lists and mappings tell of their changes; or None */
    Py_ssize_t index;                      /* of the field in it */
    int is_complex;
} Attribute;

static PyObject *
attribute_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *field, *name, *table, *adopt, *receive;
    Py_ssize_t index;
    int is_complex;
    State *state = PyType_GetModuleState(type);
    if (state == NULL ||
        !PyArg_ParseTuple(args, "OUpO!nOO", &field, &name, &is_complex, state->table_type, &table,
                          &index, &adopt, &receive))
        return NULL;
    if (index < 0 || index >= ((Table *)table)->count) {
        PyErr_SetString(PyExc_ValueError, "no such field");
        return NULL;
    }
    Attribute *self = (Attribute *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->engine_field = Py_NewRef(field);
        self->name = Py_NewRef(name);
        self->table = Py_NewRef(table);
        self->adopt = Py_NewRef(adopt);
        self->receive = Py_NewRef(receive);
        self->index = index;
        self->is_complex = is_complex;
    }
    return (PyObject *)self;
}

static int
attribute_traverse(Attribute *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine_field);
    Py_VISIT(self->name);
    Py_VISIT(self->table);
    Py_VISIT(self->adopt);
    Py_VISIT(self->receive);
    return 0;
}

/* There is no attribute_clear: every cycle leads through the class, which has the attribute in its
   dictionary, or through the field. */
static void
attribute_dealloc(Attribute *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->engine_field);
    Py_XDECREF(self->name);
    Py_XDECREF(self->table);
    Py_XDECREF(self->adopt);
    Py_XDECREF(self->receive);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* A new reference to the raw embedded document that waits under this name; NULL without an error
   where it is not one, or does not wait any more. */
static PyObject *
raw_that_waits(State *state, PyObject *data, PyObject *pending, PyObject *name)
{
    int there = PyDict_Contains(data, name);
    PyObject *raw = there ? NULL : entry_of(pending, name);
    int is_named = raw != NULL && PyDict_CheckExact(raw) ? PyDict_Contains(raw, state->name_cls) : 1;
    if (is_named)
        Py_CLEAR(raw);
    return raw;
}

/* What was read of it, as it stands in the document from now on. */
static PyObject *
kept_part(Attribute *self, PyObject *data, PyObject *pending, PyObject *part, PyObject *document)
{
    if (own(((Table *)self->table)->state, part, document) < 0)
        return NULL;
    PyObject *kept = PyDict_SetDefault(data, self->name, part); /* another thread may be first */
    if (Py_XNewRef(kept) != NULL && PyDict_DelItem(pending, self->name) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError))
            Py_CLEAR(kept);
        else
            PyErr_Clear();
    }
    return kept;
}

/* The embedded document that waits in a dictionary, read now; NULL without an error: none. */
static PyObject *
part_read_now(Attribute *self, PyObject *data, PyObject *document)
{
    Table *table = (Table *)self->table;
    Table *link = (Table *)table->fields[self->index].link;
    PyObject *pending = dictionary_in(data, table->state->lazy_pending);
    if (pending == NULL)
        return NULL;
    PyObject *part = NULL, *raw = raw_that_waits(table->state, data, pending, self->name);
    if (raw != NULL) {
        PyObject *const arguments[] = {raw, Py_False};
        part = table_read(link, arguments, 2);
        if (part != NULL && !PyObject_TypeCheck(part, link->model))
            Py_CLEAR(part);
        if (part != NULL)
            Py_SETREF(part, kept_part(self, data, pending, part, document));
        Py_DECREF(raw);
    }
    Py_DECREF(pending);
    return part;
}

/* The value that waits under this name, made now; NULL without an error: none that is made here. */
static PyObject *
value_that_waits(Attribute *self, PyObject *data, PyObject *document)
{
    Table *table = (Table *)self->table;
    State *state = table->state;
    if (!Py_IS_TYPE(data, state->lazy_type))
        return NULL;
    PyObject *value = first_value(table, data, self->index, document);
    if (value == NULL && !PyErr_Occurred() && table->fields[self->index].link_kind == ONE &&
        SLOT(data, state->lazy_converters) == table->converters)
        value = part_read_now(self, data, document);
    if (value == NULL && PyErr_Occurred() && (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                                              PyErr_ExceptionMatches(PyExc_ValueError)))
        PyErr_Clear(); /* the way through Python says it as MongoEngine does */
    return value;
}

static PyObject *
by_the_field(Attribute *self, PyObject *document, PyObject *owner)
{
    descrgetfunc get = Py_TYPE(self->engine_field)->tp_descr_get;
    if (get == NULL) {
        PyErr_SetObject(PyExc_AttributeError, self->name);
        return NULL;
    }
    return get(self->engine_field, document, owner);
}

/* ``value`` as a list or mapping that tells of its changes, if it is one; takes the reference. */
static PyObject *
adopted(Attribute *self, PyObject *document, PyObject *value)
{
    if (value == NULL || self->adopt == Py_None || !(PyList_Check(value) || PyDict_Check(value)))
        return value;
    if (is_among(((Table *)self->table)->state->own_types, Py_TYPE(value)))
        return value;
    PyObject *made = PyObject_CallFunctionObjArgs(self->adopt, document, self->name, value, NULL);
    Py_DECREF(value);
    return made;
}

static PyObject *
attribute_get(Attribute *self, PyObject *document, PyObject *owner)
{
    if (document == NULL || document == Py_None)
        return Py_NewRef(self->engine_field);
    State *state = ((Table *)self->table)->state;
    PyObject *data = NULL;
    if (Py_TYPE(document) == ((Table *)self->table)->model ||
        PyObject_TypeCheck(document, state->base_type))
        data = dictionary_in(document, state->data);
    if (data == NULL)
        return by_the_field(self, document, owner);
    PyObject *value = value_that_waits(self, data, document);
    if (value == NULL && !PyErr_Occurred())
        value = wanted_value_of(state, data, self->name, document);
    Py_DECREF(data);
    if (value == NULL || value == Py_None || !self->is_complex)
        return adopted(self, document, value);
    int is_tracked = is_among(state->tracked_types, Py_TYPE(value));
    if (is_tracked) {
        PyObject *done = PyObject_GetAttr(value, state->name_dereferenced);
        is_tracked = done == NULL ? -1 : PyObject_IsTrue(done);
        Py_XDECREF(done);
        if (is_tracked > 0)
            return adopted(self, document, value);
    }
    Py_DECREF(value);
    if (is_tracked < 0)
        return NULL;
    PyObject *arguments[] = {self->engine_field, document, owner == NULL ? Py_None : owner};
    return adopted(self, document, PyObject_Vectorcall(state->read_first, arguments, 3, NULL));
}

static int
attribute_set(Attribute *self, PyObject *document, PyObject *value)
{
    descrsetfunc set = Py_TYPE(self->engine_field)->tp_descr_set;
    if (value == NULL || set == NULL) {
        PyErr_SetObject(PyExc_AttributeError, self->name);
        return -1;
    }
    if (self->receive == Py_None || value == Py_None)
        return set(self->engine_field, document, value);
    value = PyObject_CallFunctionObjArgs(self->receive, document, self->name, value, NULL);
    int failed = value == NULL ? -1 : set(self->engine_field, document, value);
    Py_XDECREF(value);
    return failed;
}

static PyMemberDef attribute_members[] = {
    {"engine_field", T_OBJECT_EX, offsetof(Attribute, engine_field), READONLY, "The field."},
    {"name", T_OBJECT_EX, offsetof(Attribute, name), READONLY, "Its name."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot attribute_slots[] = {
    {Py_tp_doc, "Stands for a field in a class and finds its values."},
    {Py_tp_new, attribute_new},
    {Py_tp_dealloc, attribute_dealloc},
    {Py_tp_traverse, attribute_traverse},
    {Py_tp_descr_get, attribute_get},
    {Py_tp_descr_set, attribute_set},
    {Py_tp_members, attribute_members},
    {0, NULL},
};

PyType_Spec attribute_spec = {
    .name = "datalayer.documents.engine._core.Attribute",
    .basicsize = sizeof(Attribute),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = attribute_slots,
};
