/* The fields of one class as the loops go through them: made, linked, let go. */

#include "core.h"

#define OBJECTS 14

static PyObject **
objects_of(Field *field, int index)
{
    PyObject **all[] = {&field->name,      &field->key,    &field->type,   &field->raw_type,
                        &field->may_wait,  &field->to_python, &field->preset, &field->take,
                        &field->written,   &field->write,  &field->passing, &field->judge,
                        &field->field,     &field->assign};
    return index < OBJECTS ? all[index] : NULL;
}

static int
table_traverse(Table *self, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject **place;
        for (int j = 0; (place = objects_of(&self->fields[i], j)); j++)
            Py_VISIT(*place);
        Py_VISIT(self->fields[i].link);
    }
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    Py_VISIT(self->model);
    Py_VISIT(self->class_name);
    Py_VISIT(self->converters);
    Py_VISIT(self->finish);
    Py_VISIT(self->missing);
    Py_VISIT(self->allowed);
    Py_VISIT(self->read_otherwise);
    Py_VISIT(self->construct_otherwise);
    Py_VISIT(self->receivers);
    Py_VISIT(self->prefix);
    Py_VISIT(self->keys);
    return 0;
}

/* Only links lead from table to table and nowhere else, so that they alone have to be cut. All else
   goes with the table: whoever still reaches one, in a finalizer say, finds it whole. */
static int
table_clear(Table *self)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        self->fields[i].link_kind = NO_LINK;
        Py_CLEAR(self->fields[i].link);
    }
    return 0;
}

static void
table_dealloc(Table *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    table_clear(self);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject **place;
        for (int j = 0; (place = objects_of(&self->fields[i], j)); j++)
            Py_CLEAR(*place);
    }
    PyMem_Free(self->fields);
    Py_XDECREF(self->model);
    Py_XDECREF(self->class_name);
    Py_XDECREF(self->converters);
    Py_XDECREF(self->finish);
    Py_XDECREF(self->missing);
    Py_XDECREF(self->allowed);
    Py_XDECREF(self->read_otherwise);
    Py_XDECREF(self->construct_otherwise);
    Py_XDECREF(self->receivers);
    Py_XDECREF(self->prefix);
    Py_XDECREF(self->keys);
    Py_XDECREF(self->module);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int
fill_field(Field *field, PyObject *row, PyObject *nothing)
{
    static char *names[] = {"name",    "key",     "type",     "raw_type",    "may_wait",
                            "to_python", "preset", "take",    "written",     "write",
                            "passing", "judge",   "field",    "assign",      "load",
                            "preset_kind", "check",   "is_null", "is_required", "shortest", "longest",
                            "direct", NULL};
    PyObject *o[OBJECTS];
    if (!PyDict_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a field is a dictionary");
        return -1;
    }
    int load, preset_kind, check, is_null, is_required, direct;
    Py_ssize_t shortest, longest;
    if (!PyArg_ParseTupleAndKeywords(nothing, row, "$UUOOOOOOOOOOOOiiippnni", names, &o[0], &o[1],
                                     &o[2], &o[3], &o[4], &o[5], &o[6], &o[7], &o[8], &o[9],
                                     &o[10], &o[11], &o[12], &o[13], &load, &preset_kind, &check,
                                     &is_null, &is_required, &shortest, &longest, &direct))
        return -1;
    for (int j = 0; j < OBJECTS; j++)
        *objects_of(field, j) = Py_NewRef(o[j]);
    Py_ssize_t length;
    field->key_text = PyUnicode_AsUTF8AndSize(field->key, &length);
    if (field->key_text == NULL)
        return -1;
    field->key_length = (size_t)length;
    field->has_storable_key = (unsigned char)is_storable_key(field->key_text, length);
    field->load = (unsigned char)load;
    field->preset_kind = (unsigned char)preset_kind;
    field->check = (unsigned char)check;
    field->is_null = (unsigned char)is_null;
    field->is_required = (unsigned char)is_required;
    field->direct = (unsigned char)direct;
    field->shortest = shortest;
    field->longest = longest;
    return 0;
}

/* Whether what a table is made of is what the loops take it for; if not, with an error. */
static int
is_fit(State *state, PyTypeObject *model, PyObject *receivers, PyObject *keys, int is_embedded)
{
    PyTypeObject *base = is_embedded ? state->embedded_type : state->base_type;
    int fits = PyType_IsSubtype(model, base) && (keys == Py_None || PyFrozenSet_Check(keys));
    for (Py_ssize_t i = 0; fits && i < PyTuple_GET_SIZE(receivers); i++)
        fits = PyDict_Check(PyTuple_GET_ITEM(receivers, i));
    if (!fits)
        PyErr_SetString(PyExc_TypeError, "not a class of documents, dictionaries and a frozenset");
    return fits;
}

static PyObject *
table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fields", "model", "class_name", "converters", "finish", "missing",
                            "allowed", "read_otherwise", "construct_otherwise",
                            "receivers", "prefix", "keys", "is_embedded", "id_first", NULL};
    PyObject *fields, *o[11], *module = PyType_GetModule(type);
    int is_embedded, id_first;
    if (module == NULL)
        return NULL;
    State *state = state_of(module);
    if (state->base_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "set_up() comes first");
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!OOOOO!OOO!OOpp", names, &PyTuple_Type,
                                     &fields, &PyType_Type, &o[0], &o[1], &o[2], &o[3], &o[4],
                                     &PyFrozenSet_Type, &o[5], &o[6], &o[7], &PyTuple_Type, &o[8],
                                     &o[9], &o[10], &is_embedded, &id_first) ||
        !is_fit(state, (PyTypeObject *)o[0], o[8], o[10], is_embedded))
        return NULL;
    Table *self = (Table *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->module = Py_NewRef(module);
    self->model = (PyTypeObject *)Py_NewRef(o[0]);
    self->class_name = Py_NewRef(o[1]);
    self->converters = Py_NewRef(o[2]);
    self->finish = Py_NewRef(o[3]);
    self->missing = Py_NewRef(o[4]);
    self->allowed = Py_NewRef(o[5]);
    self->read_otherwise = Py_NewRef(o[6]);
    self->construct_otherwise = Py_NewRef(o[7]);
    self->receivers = Py_NewRef(o[8]);
    self->prefix = Py_NewRef(o[9]);
    self->keys = Py_NewRef(o[10]);
    self->is_embedded = is_embedded;
    self->id_first = id_first;
    Py_ssize_t count = PyTuple_GET_SIZE(fields);
    self->fields = PyMem_Calloc((size_t)count, sizeof(Field));
    if (self->fields == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (fill_field(&self->fields[i], PyTuple_GET_ITEM(fields, i), state->no_arguments) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->waiting += self->fields[i].load == DEFERRED;
        self->assigns += self->fields[i].load == ASSIGN;
        self->count = i + 1; /* the collector may show the table to others: of whole fields */
    }
    return (PyObject *)self;
}

int
is_listened_to(Table *self)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self->receivers); i++)
        if (PyDict_GET_SIZE(PyTuple_GET_ITEM(self->receivers, i)))
            return 1;
    return 0;
}

PyDoc_STRVAR(link_doc, "link(index, table, is_list, validates)\n\n\
Tell a field of the table of the embedded documents in it; the first one told of stays.");

static PyObject *
table_link(Table *self, PyObject *args)
{
    Py_ssize_t index;
    PyObject *table;
    int is_list, validates;
    if (!PyArg_ParseTuple(args, "nO!pp", &index, Py_TYPE(self), &table, &is_list, &validates))
        return NULL;
    if (index < 0 || index >= self->count || !((Table *)table)->is_embedded) {
        PyErr_SetString(PyExc_ValueError, "no such field, or no embedded document");
        return NULL;
    }
    Field *field = &self->fields[index];
    if (field->link == NULL) { /* another thread may be at work with one that is there */
        field->link = Py_NewRef(table);
        field->links_validate = (unsigned char)validates;
        field->link_kind = is_list ? LIST : ONE;
    }
    Py_RETURN_NONE;
}

static PyMethodDef table_methods[] = {
    {"is_clean", (PyCFunction)table_is_clean, METH_O, clean_doc},
    {"mark_saved", (PyCFunction)table_mark_saved, METH_O, saved_doc},
    {"read", (PyCFunction)(void (*)(void))table_read, METH_FASTCALL, read_doc},
    {"load", (PyCFunction)(void (*)(void))table_load, METH_FASTCALL, load_doc},
    {"construct", (PyCFunction)(void (*)(void))table_construct, METH_FASTCALL, construct_doc},
    {"write", (PyCFunction)(void (*)(void))table_write, METH_FASTCALL, write_doc},
    {"encode", (PyCFunction)(void (*)(void))table_encode, METH_FASTCALL, encode_doc},
    {"link", (PyCFunction)table_link, METH_VARARGS, link_doc},
    {"errors_of", (PyCFunction)(void (*)(void))table_errors_of, METH_FASTCALL, errors_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "The fields of one class, for the loops over them."},
    {Py_tp_new, table_new},
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_traverse, table_traverse},
    {Py_tp_clear, table_clear},
    {Py_tp_methods, table_methods},
    {0, NULL},
};

PyType_Spec table_spec = {
    .name = "datalayer.documents.engine._core.Table",
    .basicsize = sizeof(Table),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = table_slots,
};
