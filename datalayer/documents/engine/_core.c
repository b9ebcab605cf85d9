/* The engine's loops over the fields of a class, in C.

   What is done here is what the generated Python of reading.py, constructing.py, writing.py and
   validating.py does, for the regular case: whatever is out of the ordinary is handed to the
   Python function beside it (``otherwise``). Without this module the Python alone does the same
   work. Public API of CPython only; both ways pass the same tests. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* Where the slots of documents lie, found once from their descriptors. */
static Py_ssize_t slot_data, slot_changed, slot_initialised, slot_created, slot_dynamic,
    slot_instance, lazy_pending, lazy_converters, lazy_document;
static PyObject *base_type, *no_arguments, *lazy_type, *empty_dynamic, *tracked_types, *own_types, *small_types;
static PyObject *init_otherwise, *read_first, *name_table, *name_cls, *name_load, *name_dereferenced;
static int is_set_up = 0;

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

static void
put(PyObject *object, Py_ssize_t offset, PyObject *value) /* takes no reference */
{
    PyObject *before = SLOT(object, offset);
    SLOT(object, offset) = Py_NewRef(value);
    Py_XDECREF(before);
}

static PyObject *
as_bool(int value)
{
    return value ? Py_True : Py_False;
}

/* The fields of one class */

enum load { SCALAR, AS_IS, DEFERRED, CONVERTED, CLASS_NAME };
enum preset { CONSTANT, CALLED, ASSIGNED };
enum check { PASSES, TYPED, JUDGED };
enum link { NO_LINK, ONE, LIST };

typedef struct {
    PyObject *name, *key;
    PyObject *type;      /* exact type of a value that is taken as it is */
    PyObject *raw_type;  /* exact type of a raw value that may wait, or None for any */
    PyObject *may_wait;  /* a further test of it, or None */
    PyObject *to_python; /* for CONVERTED */
    PyObject *preset;    /* the default: itself, or what makes it */
    PyObject *take;      /* makes a value of a given one of another type */
    PyObject *written;   /* exact type of a value that is written as it is, or None */
    PyObject *write;     /* makes the written value of any other */
    PyObject *passing;   /* exact type that validation passes, or None */
    PyObject *judge;     /* says of any other value what is wrong with it */
    PyObject *field;     /* MongoEngine's */
    PyObject *link;      /* the table of the embedded documents that it holds, or NULL */
    Py_ssize_t shortest, longest; /* of a text; -1 for no limit */
    unsigned char link_kind, links_validate, load, preset_kind, check, is_null, is_required;
} Field;

typedef struct {
    PyObject_HEAD
    Py_ssize_t count, waiting;
    Field *fields;
    PyObject *model, *class_name, *converters, *finish, *missing, *allowed;
    PyObject *read_otherwise, *construct_otherwise;
    PyObject *receivers; /* tuple of dictionaries: while one has an entry, nothing is done here */
    PyObject *prefix;    /* the class's name, written before the fields; or None */
    PyObject *keys;      /* the keys that may stand in a raw document, or None for any */
    int is_embedded, id_first;
} Table;

#define OBJECTS 13

static PyObject **
objects_of(Field *field, int index)
{
    PyObject **all[] = {&field->name,      &field->key,    &field->type,   &field->raw_type,
                        &field->may_wait,  &field->to_python, &field->preset, &field->take,
                        &field->written,   &field->write,  &field->passing, &field->judge,
                        &field->field};
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

static int
table_clear(Table *self)
{
    Py_ssize_t count = self->count;
    self->count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject **place;
        for (int j = 0; (place = objects_of(&self->fields[i], j)); j++)
            Py_CLEAR(*place);
        Py_CLEAR(self->fields[i].link);
    }
    Py_CLEAR(self->model);
    Py_CLEAR(self->class_name);
    Py_CLEAR(self->converters);
    Py_CLEAR(self->finish);
    Py_CLEAR(self->missing);
    Py_CLEAR(self->allowed);
    Py_CLEAR(self->read_otherwise);
    Py_CLEAR(self->construct_otherwise);
    Py_CLEAR(self->receivers);
    Py_CLEAR(self->prefix);
    Py_CLEAR(self->keys);
    return 0;
}

static void
table_dealloc(Table *self)
{
    PyObject_GC_UnTrack(self);
    table_clear(self);
    PyMem_Free(self->fields);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int
fill_field(Field *field, PyObject *row)
{
    PyObject *o[OBJECTS];
    int load, preset_kind, check, is_null, is_required;
    Py_ssize_t shortest, longest;
    if (!PyArg_ParseTuple(row, "OOOOOOOOOOOOOiiippnn", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5],
                          &o[6], &o[7], &o[8], &o[9], &o[10], &o[11], &o[12], &load, &preset_kind,
                          &check, &is_null, &is_required, &shortest, &longest))
        return -1;
    for (int j = 0; j < OBJECTS; j++)
        *objects_of(field, j) = Py_NewRef(o[j]);
    field->load = (unsigned char)load;
    field->preset_kind = (unsigned char)preset_kind;
    field->check = (unsigned char)check;
    field->is_null = (unsigned char)is_null;
    field->is_required = (unsigned char)is_required;
    field->shortest = shortest;
    field->longest = longest;
    return 0;
}

static PyObject *
table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fields", "model", "class_name", "converters", "finish", "missing",
                            "allowed", "read_otherwise", "construct_otherwise",
                            "receivers", "prefix", "keys", "is_embedded", "id_first", NULL};
    PyObject *fields, *o[11];
    int is_embedded, id_first;
    if (!is_set_up) {
        PyErr_SetString(PyExc_RuntimeError, "set_up() comes first");
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OOOOOOOOOOOpp", names, &PyTuple_Type,
                                     &fields, &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6],
                                     &o[7], &o[8], &o[9], &o[10], &is_embedded, &id_first))
        return NULL;
    Table *self = (Table *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->model = Py_NewRef(o[0]);
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
    if (self->fields == NULL && count) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        self->count = i + 1;
        if (fill_field(&self->fields[i], PyTuple_GET_ITEM(fields, i)) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->waiting += self->fields[i].load == DEFERRED;
    }
    return (PyObject *)self;
}

static int
is_listened_to(Table *self)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self->receivers); i++)
        if (PyDict_GET_SIZE(PyTuple_GET_ITEM(self->receivers, i)))
            return 1;
    return 0;
}

/* Gives a new document what every one has, and its data. */
static void
begin(Table *self, PyObject *document, PyObject *data, int created)
{
    put(document, slot_data, data);
    put(document, slot_initialised, Py_False);
    put(document, slot_created, as_bool(created));
    put(document, slot_dynamic, empty_dynamic);
    if (self->is_embedded)
        put(document, slot_instance, Py_None);
}

static int
finish(Table *self, PyObject *document)
{
    if (self->finish == Py_None)
        return 0;
    PyObject *done = PyObject_CallOneArg(self->finish, document);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
new_document(PyTypeObject *type)
{
    return PyBaseObject_Type.tp_new(type, no_arguments, NULL);
}

/* Whether ``document`` has the slots that are looked into. */
static int
is_one(Table *self, PyObject *document)
{
    if (PyObject_TypeCheck(document, (PyTypeObject *)self->model))
        return 1;
    PyErr_Format(PyExc_TypeError, "a document of %R is wanted", self->model);
    return 0;
}

/* Embedded documents: a field that holds some is linked to the table of their class */

static int
is_part(Field *field, PyObject *value)
{
    return field->link_kind == ONE &&
           (PyObject *)Py_TYPE(value) == ((Table *)field->link)->model;
}

static int
are_parts(Field *field, PyObject *value)
{
    if (field->link_kind != LIST || !PyList_Check(value))
        return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++)
        if ((PyObject *)Py_TYPE(PyList_GET_ITEM(value, i)) != ((Table *)field->link)->model)
            return 0;
    return 1;
}

static int
own(PyObject *part, PyObject *document)
{
    PyObject *proxy = PyWeakref_NewProxy(document, NULL);
    if (proxy == NULL)
        return -1;
    put(part, slot_instance, proxy);
    Py_DECREF(proxy);
    return 0;
}

PyDoc_STRVAR(link_doc, "link(index, table, is_list, validates)\n\n\
Tell a field of the table of the embedded documents in it.");

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
    Py_XSETREF(self->fields[index].link, Py_NewRef(table));
    self->fields[index].link_kind = is_list ? LIST : ONE;
    self->fields[index].links_validate = (unsigned char)validates;
    Py_RETURN_NONE;
}

/* Reading */

/* Whether all keys of a raw embedded document are known; -1: an error. */
static int
has_known_keys(Table *part, PyObject *raw)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    if (part->keys == Py_None)
        return 0;
    while (PyDict_Next(raw, &position, &key, &value)) {
        int known = PySet_Contains(part->keys, key);
        if (known <= 0)
            return known;
    }
    return 1;
}

/* 1: taken; 0: out of the ordinary; -1: an error. */
static int
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

static int
read_field(Table *self, Field *field, PyObject *son, PyObject *data, PyObject *pending,
           Py_ssize_t *found)
{
    PyObject *value = PyDict_GetItemWithError(son, field->key);
    if (value == NULL)
        return PyErr_Occurred() ? -1 : read_preset(field, data);
    (*found)++;
    if (value == Py_None)
        return field->load == CLASS_NAME ? 0 : read_preset(field, data);
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
    }
    return PyDict_SetItem(data, field->name, value) < 0 ? -1 : 1;
}

static PyObject *
read_regular(Table *self, PyObject *son, int created)
{
    PyObject *document = NULL, *pending = NULL, *reference = NULL, *changed = NULL;
    Py_ssize_t found = 0;
    PyObject *data = self->waiting ? PyObject_CallNoArgs(lazy_type) : PyDict_New();
    if (data == NULL)
        return NULL;
    if (self->waiting && (pending = PyDict_New()) == NULL)
        goto done;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        int taken = read_field(self, &self->fields[i], son, data, pending, &found);
        if (taken <= 0) {
            if (taken == 0)
                document = Py_NewRef(Py_None);
            goto done;
        }
    }
    if (found != PyDict_GET_SIZE(son)) { /* a key that the class doesn't know */
        document = Py_NewRef(Py_None);
        goto done;
    }
    PyTypeObject *type = (PyTypeObject *)self->model;
    if ((changed = PyList_New(0)) == NULL || (document = new_document(type)) == NULL)
        goto done;
    begin(self, document, data, created);
    put(document, slot_changed, changed);
    if (self->waiting) {
        if ((reference = PyWeakref_NewRef(document, NULL)) == NULL) {
            Py_CLEAR(document);
            goto done;
        }
        put(data, lazy_pending, pending);
        put(data, lazy_converters, self->converters);
        put(data, lazy_document, reference);
    }
    put(document, slot_initialised, Py_True);
    if (finish(self, document) < 0)
        Py_CLEAR(document);
done:
    Py_DECREF(data);
    Py_XDECREF(pending);
    Py_XDECREF(reference);
    Py_XDECREF(changed);
    return document;
}

PyDoc_STRVAR(read_doc, "read(son, created=False)\n\nA document of what the driver gave.");

static PyObject *
table_read(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "read() takes a mapping and whether it is new");
        return NULL;
    }
    PyObject *created = count == 2 ? args[1] : Py_False;
    if (PyDict_CheckExact(args[0]) && PyDict_GET_SIZE(args[0]) && !is_listened_to(self)) {
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

/* Constructing */

static PyObject *
value_for(Field *field, PyObject *document, PyObject *values)
{
    PyObject *value = PyDict_GetItemWithError(values, field->name);
    if (value == NULL) {
        if (PyErr_Occurred())
            return NULL;
        if (field->preset_kind == CALLED)
            return PyObject_CallNoArgs(field->preset);
        if (field->preset_kind == ASSIGNED)
            return PyObject_CallOneArg(field->preset, document);
        return Py_NewRef(field->preset);
    }
    if ((PyObject *)Py_TYPE(value) == field->type)
        return Py_NewRef(value);
    if (is_part(field, value))
        return own(value, document) < 0 ? NULL : Py_NewRef(value);
    if (PyList_CheckExact(value) && are_parts(field, value)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++)
            if (own(PyList_GET_ITEM(value, i), document) < 0)
                return NULL;
        return PyList_GetSlice(value, 0, PyList_GET_SIZE(value));
    }
    return PyObject_CallFunctionObjArgs(field->take, document, value, NULL);
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

PyDoc_STRVAR(construct_doc, "construct(document, values)\n\nDoes what __init__ does.");

static PyObject *
table_construct(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "construct() takes a document and its keywords");
        return NULL;
    }
    PyObject *document = args[0], *values = args[1], *name, *value;
    Py_ssize_t position = 0;
    if (!is_one(self, document))
        return NULL;
    while (PyDict_Next(values, &position, &name, &value)) {
        int known = PySet_Contains(self->allowed, name);
        if (known < 0)
            return NULL;
        if (!known)
            return construct_by_python(self, document, values);
    }
    PyObject *data = PyDict_New();
    if (data == NULL)
        return NULL;
    begin(self, document, data, 1);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Field *field = &self->fields[i];
        PyObject *made = value_for(field, document, values);
        int failed = made == NULL ? -1 : PyDict_SetItem(data, field->name, made);
        Py_XDECREF(made);
        if (failed < 0) {
            Py_DECREF(data);
            return NULL;
        }
    }
    Py_DECREF(data);
    if (self->is_embedded) {
        PyObject *changed = PyList_New(0);
        if (changed == NULL)
            return NULL;
        put(document, slot_changed, changed);
        Py_DECREF(changed);
    }
    put(document, slot_initialised, Py_True);
    if (finish(self, document) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Values of a document */

static PyObject *
data_of(PyObject *document)
{
    PyObject *data = SLOT(document, slot_data);
    if (data == NULL || !PyDict_Check(data)) {
        PyErr_SetString(PyExc_AttributeError, "_data");
        return NULL;
    }
    return data;
}

static int
is_lazy(PyObject *data)
{
    return PyObject_TypeCheck(data, (PyTypeObject *)lazy_type);
}

/* Whether the document was loaded in part: its data may lack values that the database has. */
static int
is_partial(PyObject *data)
{
    return !PyDict_CheckExact(data) && (PyObject *)Py_TYPE(data) != lazy_type && is_lazy(data);
}

/* ``value``, or None for a KeyError. */
static PyObject *
or_none(PyObject *value)
{
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return value;
}

/* A new reference to the value called so; to None where there is none, or it was not loaded. */
static PyObject *
value_of(PyObject *data, PyObject *name, PyObject *document)
{
    PyObject *value = PyDict_GetItemWithError(data, name);
    if (value != NULL)
        return Py_NewRef(value);
    if (PyErr_Occurred())
        return NULL;
    if ((PyObject *)Py_TYPE(data) == lazy_type)
        return or_none(PyObject_CallMethodObjArgs(data, name_load, name, document, NULL));
    if (is_partial(data))
        return or_none(PyObject_GetItem(data, name));
    Py_RETURN_NONE;
}

/* The same for somebody who wants it: what was not loaded is fetched. */
static PyObject *
wanted_value_of(PyObject *data, PyObject *name, PyObject *document)
{
    if (is_partial(data))
        return or_none(PyObject_CallMethodObjArgs(data, name_load, name, document, NULL));
    return value_of(data, name, document);
}

static int
waits(PyObject *data, PyObject *name)
{
    if (!is_lazy(data))
        return 0;
    int there = PyDict_Contains(data, name);
    if (there)
        return there < 0 ? -1 : 0;
    PyObject *pending = SLOT(data, lazy_pending);
    return pending == NULL ? 0 : PyDict_Contains(pending, name);
}

/* Writing */

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

static PyObject *
write_parts(Field *field, PyObject *parts, PyObject *wrap)
{
    Py_ssize_t count = PyList_GET_SIZE(parts);
    PyObject *items = PyList_GetSlice(parts, 0, count); /* what is written may change meanwhile */
    PyObject *out = items == NULL ? NULL : PyList_New(0);
    for (Py_ssize_t i = 0; out != NULL && i < count; i++) {
        PyObject *written = write_part(field, PyList_GET_ITEM(items, i), wrap);
        if (written == NULL || PyList_Append(out, written) < 0)
            Py_CLEAR(out);
        Py_XDECREF(written);
    }
    Py_XDECREF(items);
    return out;
}

static PyObject *
written_value(Field *field, PyObject *value, PyObject *wrap)
{
    if (value == Py_None || (PyObject *)Py_TYPE(value) == field->written)
        return Py_NewRef(value);
    if (is_part(field, value))
        return write_part(field, value, wrap);
    if (are_parts(field, value))
        return write_parts(field, value, wrap);
    return PyObject_CallFunctionObjArgs(field->write, value, wrap, NULL);
}

static int
write_field(Field *field, PyObject *document, PyObject *data, PyObject *out, PyObject *wrap)
{
    PyObject *value = value_of(data, field->name, document);
    if (value == NULL)
        return -1;
    PyObject *written = written_value(field, value, wrap);
    Py_DECREF(value);
    if (written == NULL)
        return -1;
    int failed = 0;
    int is_lacking = written == Py_None && is_partial(data) && !PyDict_Contains(data, field->name);
    if (written != Py_None || (field->is_null && !is_lacking))
        failed = PyDict_SetItem(out, field->key, written);
    Py_DECREF(written);
    return failed;
}

static PyObject *
write_document(Table *self, PyObject *document, PyObject *wrap)
{
    PyObject *data = data_of(document);
    if (data == NULL || Py_EnterRecursiveCall(" while writing a document"))
        return NULL;
    PyObject *out = PyDict_New();
    Py_INCREF(data);
    for (Py_ssize_t i = 0; out != NULL && i < self->count; i++) {
        int failed = 0;
        if (i == self->id_first && self->prefix != Py_None)
            failed = PyDict_SetItemString(out, "_cls", self->prefix);
        if (failed < 0 || write_field(&self->fields[i], document, data, out, wrap) < 0)
            Py_CLEAR(out);
    }
    Py_DECREF(data);
    Py_LeaveRecursiveCall();
    return out;
}

PyDoc_STRVAR(write_doc, "write(document, wrap)\n\n\
A dictionary for the database; ``wrap`` makes another kind of the nested ones, or is None.");

static PyObject *
table_write(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "write() takes a document and what wraps a mapping");
        return NULL;
    }
    return is_one(self, args[0]) ? write_document(self, args[0], args[1]) : NULL;
}

/* Validating */

static int
passes(Field *field, PyObject *value)
{
    if (field->check == PASSES)
        return 1;
    if (field->check == JUDGED || (PyObject *)Py_TYPE(value) != field->passing)
        return 0;
    if (!PyUnicode_CheckExact(value))
        return 1;
    Py_ssize_t length = PyUnicode_GET_LENGTH(value);
    return (field->shortest < 0 || length >= field->shortest) &&
           (field->longest < 0 || length <= field->longest);
}

static PyObject *errors_in(Table *self, PyObject *document, PyObject *clean, int skips);

/* 1: valid; 0: to be judged; -1: an error. */
static int
part_passes(Field *field, PyObject *part, PyObject *clean)
{
    PyObject *errors = errors_in((Table *)field->link, part, clean, 0);
    if (errors == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError) &&
            !PyErr_ExceptionMatches(PyExc_AttributeError) &&
            !PyErr_ExceptionMatches(PyExc_AssertionError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    int is_valid = PyDict_GET_SIZE(errors) == 0;
    Py_DECREF(errors);
    return is_valid;
}

static int
parts_pass(Field *field, PyObject *value, PyObject *clean)
{
    if (!field->links_validate)
        return 0;
    if (is_part(field, value))
        return part_passes(field, value, clean);
    if (!are_parts(field, value) || (field->is_required && PyList_GET_SIZE(value) == 0))
        return 0;
    Py_ssize_t count = PyList_GET_SIZE(value);
    PyObject *items = PyList_GetSlice(value, 0, count);
    int passed = items == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; passed > 0 && i < count; i++)
        passed = part_passes(field, PyList_GET_ITEM(items, i), Py_True);
    Py_XDECREF(items);
    return passed;
}

static int
validate_field(Table *self, Field *field, PyObject *document, PyObject *data, PyObject *clean,
               PyObject *errors)
{
    PyObject *value = value_of(data, field->name, document);
    PyObject *done = NULL;
    if (value == NULL)
        return -1;
    int passed = value == Py_None ? !field->is_required
                                  : passes(field, value) || parts_pass(field, value, clean);
    if (value != Py_None && !PyErr_Occurred() && !passed)
        done = PyObject_CallFunctionObjArgs(field->judge, value, clean, errors, NULL);
    else if (value == Py_None && !passed)
        done = PyObject_CallFunctionObjArgs(self->missing, field->field, errors, NULL);
    else if (!PyErr_Occurred())
        done = Py_NewRef(Py_None);
    Py_DECREF(value);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
errors_in(Table *self, PyObject *document, PyObject *clean, int skips)
{
    PyObject *data = data_of(document);
    if (data == NULL || Py_EnterRecursiveCall(" while validating a document"))
        return NULL;
    PyObject *errors = PyDict_New();
    Py_INCREF(data);
    for (Py_ssize_t i = 0; errors != NULL && i < self->count; i++) {
        Field *field = &self->fields[i];
        int skipped = skips && field->load == DEFERRED ? waits(data, field->name) : 0;
        if (skipped < 0 ||
            (!skipped && validate_field(self, field, document, data, clean, errors) < 0))
            Py_CLEAR(errors);
    }
    Py_DECREF(data);
    Py_LeaveRecursiveCall();
    return errors;
}

PyDoc_STRVAR(errors_doc, "errors_of(document, clean, skips)\n\nThe errors of the fields.");

static PyObject *
table_errors_of(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "errors_of() takes a document and two decisions");
        return NULL;
    }
    int skips = PyObject_IsTrue(args[2]);
    return skips < 0 || !is_one(self, args[0]) ? NULL
                                               : errors_in(self, args[0], args[1], skips);
}

/* Changes */

static int is_clean(Table *self, PyObject *document);

static int
is_clean_part(Field *field, PyObject *part)
{
    PyObject *changed = SLOT(part, slot_changed);
    if (changed == NULL || !PyList_CheckExact(changed) || PyList_GET_SIZE(changed))
        return 0;
    return is_clean((Table *)field->link, part);
}

/* Whether no value can have noted a change of its own; 0 too where that isn't known here. */
static int
is_clean(Table *self, PyObject *document)
{
    PyObject *data = SLOT(document, slot_data);
    if (data == NULL || !PyDict_Check(data) || Py_EnterRecursiveCall(" in a document"))
        return 0;
    int clean = 1;
    for (Py_ssize_t i = 0; clean && i < self->count; i++) {
        Field *field = &self->fields[i];
        if (field->load == SCALAR || field->load == AS_IS || field->load == CLASS_NAME)
            continue;
        PyObject *value = PyDict_GetItemWithError(data, field->name);
        if (value == NULL || value == Py_None)
            continue; /* what waits was not changed */
        if (is_part(field, value))
            clean = is_clean_part(field, value);
        else if (are_parts(field, value))
            for (Py_ssize_t j = 0; clean && j < PyList_GET_SIZE(value); j++)
                clean = is_clean_part(field, PyList_GET_ITEM(value, j));
        else
            clean = PySet_Contains(small_types, (PyObject *)Py_TYPE(value)) == 1;
    }
    Py_LeaveRecursiveCall();
    return clean;
}

PyDoc_STRVAR(clean_doc, "is_clean(document)\n\n\
Whether no value of it can have noted a change; False too where that isn't known here.");

static PyObject *
table_is_clean(Table *self, PyObject *document)
{
    return is_one(self, document) ? PyBool_FromLong(is_clean(self, document)) : NULL;
}

static PyMethodDef table_methods[] = {
    {"is_clean", (PyCFunction)table_is_clean, METH_O, clean_doc},
    {"read", (PyCFunction)(void (*)(void))table_read, METH_FASTCALL, read_doc},
    {"construct", (PyCFunction)(void (*)(void))table_construct, METH_FASTCALL, construct_doc},
    {"write", (PyCFunction)(void (*)(void))table_write, METH_FASTCALL, write_doc},
    {"link", (PyCFunction)table_link, METH_VARARGS, link_doc},
    {"errors_of", (PyCFunction)(void (*)(void))table_errors_of, METH_FASTCALL, errors_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject TableType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "datalayer.documents.engine._core.Table",
    .tp_doc = PyDoc_STR("The fields of one class, for the loops over them."),
    .tp_basicsize = sizeof(Table),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = table_new,
    .tp_dealloc = (destructor)table_dealloc,
    .tp_traverse = (traverseproc)table_traverse,
    .tp_clear = (inquiry)table_clear,
    .tp_methods = table_methods,
};

/* What __init__ does */

PyDoc_STRVAR(init_doc, "init(document, **values)\n\n\
Constructs a document by its class's table, or as ``set_up`` was told.");

static PyObject *
init(PyObject *module, PyObject *args, PyObject *values)
{
    if (PyTuple_GET_SIZE(args) == 1 && values != NULL) {
        PyObject *document = PyTuple_GET_ITEM(args, 0);
        PyObject *table = PyObject_GetAttr((PyObject *)Py_TYPE(document), name_table);
        if (table == NULL)
            return NULL;
        if (Py_TYPE(table) == &TableType && !is_listened_to((Table *)table) &&
            ((Table *)table)->model == (PyObject *)Py_TYPE(document)) {
            PyObject *const arguments[] = {document, values};
            PyObject *done = table_construct((Table *)table, arguments, 2);
            Py_DECREF(table);
            return done;
        }
        Py_DECREF(table);
    }
    return PyObject_Call(init_otherwise, args, values);
}

static PyMethodDef init_method = {"__init__", (PyCFunction)(void (*)(void))init,
                                  METH_VARARGS | METH_KEYWORDS, init_doc};

/* The attribute that stands for a field in a class */

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
    if (!PyArg_ParseTuple(args, "OOpO!nOO", &field, &name, &is_complex, &TableType, &table,
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
    Py_VISIT(self->engine_field);
    Py_VISIT(self->name);
    Py_VISIT(self->table);
    Py_VISIT(self->adopt);
    Py_VISIT(self->receive);
    return 0;
}

static int
attribute_clear(Attribute *self)
{
    Py_CLEAR(self->engine_field);
    Py_CLEAR(self->name);
    Py_CLEAR(self->table);
    Py_CLEAR(self->adopt);
    Py_CLEAR(self->receive);
    return 0;
}

static void
attribute_dealloc(Attribute *self)
{
    PyObject_GC_UnTrack(self);
    attribute_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The embedded document that waits under this name, read now; NULL without an error: not one. */
static PyObject *
part_that_waits(Attribute *self, PyObject *data, PyObject *document)
{
    Table *table = (Table *)self->table;
    if ((PyObject *)Py_TYPE(data) != lazy_type || table->count <= self->index)
        return NULL;
    Field *field = &table->fields[self->index];
    if (field->link_kind != ONE || SLOT(data, lazy_converters) != table->converters)
        return NULL;
    PyObject *pending = SLOT(data, lazy_pending);
    PyObject *raw = pending == NULL || PyDict_GetItemWithError(data, self->name) != NULL
                        ? NULL
                        : PyDict_GetItemWithError(pending, self->name);
    if (raw == NULL)
        return NULL;
    Py_INCREF(raw);
    Py_INCREF(pending);
    PyObject *const arguments[] = {raw, Py_False};
    PyObject *part = NULL;
    if (PyDict_Contains(raw, name_cls) == 0)
        part = table_read((Table *)field->link, arguments, 2);
    if (part != NULL) {
        PyObject *kept = NULL;
        if (own(part, document) == 0) {
            kept = PyDict_SetDefault(data, self->name, part); /* another thread may be first */
            Py_XINCREF(kept);
        }
        Py_SETREF(part, kept);
        if (part != NULL && PyDict_DelItem(pending, self->name) < 0)
            PyErr_Clear();
    }
    Py_DECREF(pending);
    Py_DECREF(raw);
    if (part == NULL && PyErr_Occurred() && (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                                             PyErr_ExceptionMatches(PyExc_ValueError)))
        PyErr_Clear(); /* the way through Python says it as MongoEngine does */
    return part;
}

static PyObject *
by_the_field(Attribute *self, PyObject *document, PyObject *owner)
{
    descrgetfunc get = Py_TYPE(self->engine_field)->tp_descr_get;
    return get(self->engine_field, document, owner);
}

/* ``value`` as a list or mapping that tells of its changes, if it is one; takes the reference. */
static PyObject *
adopted(Attribute *self, PyObject *document, PyObject *value)
{
    if (value == NULL || self->adopt == Py_None || !(PyList_Check(value) || PyDict_Check(value)))
        return value;
    if (PySet_Contains(own_types, (PyObject *)Py_TYPE(value)) == 1)
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
    if (!PyObject_TypeCheck(document, (PyTypeObject *)base_type))
        return by_the_field(self, document, owner);
    PyObject *data = SLOT(document, slot_data);
    if (data == NULL || !PyDict_Check(data))
        return by_the_field(self, document, owner);
    Py_INCREF(data); /* another thread may give the document new data meanwhile */
    PyObject *value = part_that_waits(self, data, document);
    if (value == NULL && !PyErr_Occurred())
        value = wanted_value_of(data, self->name, document);
    Py_DECREF(data);
    if (value == NULL || value == Py_None || !self->is_complex)
        return adopted(self, document, value);
    int is_tracked = PySet_Contains(tracked_types, (PyObject *)Py_TYPE(value));
    if (is_tracked > 0) {
        PyObject *done = PyObject_GetAttr(value, name_dereferenced);
        is_tracked = done == NULL ? -1 : PyObject_IsTrue(done);
        Py_XDECREF(done);
        if (is_tracked > 0)
            return adopted(self, document, value);
    }
    Py_DECREF(value);
    if (is_tracked < 0)
        return NULL;
    PyObject *arguments[] = {self->engine_field, document, owner == NULL ? Py_None : owner};
    return adopted(self, document, PyObject_Vectorcall(read_first, arguments, 3, NULL));
}

static int
attribute_set(Attribute *self, PyObject *document, PyObject *value)
{
    descrsetfunc set = Py_TYPE(self->engine_field)->tp_descr_set;
    if (value == NULL) {
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

static PyTypeObject AttributeType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "datalayer.documents.engine._core.Attribute",
    .tp_doc = PyDoc_STR("Stands for a field in a class and finds its values."),
    .tp_basicsize = sizeof(Attribute),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = attribute_new,
    .tp_dealloc = (destructor)attribute_dealloc,
    .tp_traverse = (traverseproc)attribute_traverse,
    .tp_clear = (inquiry)attribute_clear,
    .tp_descr_get = (descrgetfunc)attribute_get,
    .tp_descr_set = (descrsetfunc)attribute_set,
    .tp_members = attribute_members,
};

/* Whether a document can be stored: see storable.py, which this has to agree with. */

#define BYTES_PER_MEMBER 32
#define MOST_LEVELS 100

static Py_ssize_t weigh(PyObject *value, int level);

/* The weight of text that is ASCII; -1 for any other, which Python looks at. */
static Py_ssize_t
weigh_text(PyObject *text)
{
    return PyUnicode_IS_ASCII(text) ? PyUnicode_GET_LENGTH(text) : -1;
}

static Py_ssize_t
weigh_key(PyObject *key)
{
    if (!PyUnicode_CheckExact(key) || !PyUnicode_IS_ASCII(key))
        return -1;
    Py_ssize_t length = PyUnicode_GET_LENGTH(key);
    const char *text = (const char *)PyUnicode_1BYTE_DATA(key);
    if (memchr(text, '.', (size_t)length) || memchr(text, '\0', (size_t)length) ||
        memchr(text, '$', (size_t)length))
        return -1;
    return length;
}

static Py_ssize_t
weigh(PyObject *value, int level)
{
    if (PyUnicode_CheckExact(value))
        return weigh_text(value);
    if (PyLong_Check(value)) {
        int overflow;
        PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? -1 : 0;
    }
    if (PyDict_CheckExact(value)) {
        Py_ssize_t weight = 0, position = 0;
        PyObject *key, *item;
        if (level > MOST_LEVELS)
            return -1;
        while (PyDict_Next(value, &position, &key, &item)) {
            Py_ssize_t of_key = weigh_key(key);
            Py_ssize_t of_item = of_key < 0 ? -1 : weigh(item, level + 1);
            if (of_item < 0)
                return -1;
            weight += of_key + of_item + BYTES_PER_MEMBER;
        }
        return weight;
    }
    if (PyList_CheckExact(value)) {
        Py_ssize_t weight = 0;
        if (level > MOST_LEVELS)
            return -1;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++) {
            Py_ssize_t of_item = weigh(PyList_GET_ITEM(value, i), level + 1);
            if (of_item < 0)
                return -1;
            weight += of_item + BYTES_PER_MEMBER;
        }
        return weight;
    }
    return PySet_Contains(small_types, (PyObject *)Py_TYPE(value)) == 1 ? 0 : -1;
}

PyDoc_STRVAR(weight_doc, "weight_of(document)\n\n\
At least the size that a document has as BSON; -1 where it has to be looked at closely.");

static PyObject *
weight_of(PyObject *module, PyObject *document)
{
    return PyLong_FromSsize_t(PyDict_CheckExact(document) ? weigh(document, 1) : -1);
}

/* Copies of plain values */

/* A copy of a tree of mappings, lists and single values; NULL without an error where it holds
   anything else. */
static PyObject *
copy_of(PyObject *value, int level)
{
    if (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ||
        PySet_Contains(small_types, (PyObject *)Py_TYPE(value)) == 1)
        return Py_NewRef(value);
    int is_plain = PyDict_CheckExact(value) || PyList_CheckExact(value) ||
                   PySet_Contains(tracked_types, (PyObject *)Py_TYPE(value)) == 1;
    if (!is_plain || level > MOST_LEVELS)
        return NULL;
    if (PyDict_Check(value)) {
        PyObject *key, *item, *copy = PyDict_New();
        Py_ssize_t position = 0;
        while (copy != NULL && PyDict_Next(value, &position, &key, &item)) {
            PyObject *made = PyUnicode_CheckExact(key) ? copy_of(item, level + 1) : NULL;
            if (made == NULL || PyDict_SetItem(copy, key, made) < 0)
                Py_CLEAR(copy);
            Py_XDECREF(made);
        }
        return copy;
    }
    PyObject *copy = PyList_New(0);
    for (Py_ssize_t i = 0; copy != NULL && i < PyList_GET_SIZE(value); i++) {
        PyObject *made = copy_of(PyList_GET_ITEM(value, i), level + 1);
        if (made == NULL || PyList_Append(copy, made) < 0)
            Py_CLEAR(copy);
        Py_XDECREF(made);
    }
    return copy;
}

PyDoc_STRVAR(copy_doc, "plain_copy(value)\n\n\
A copy of a tree of mappings, lists and single values; None where it holds anything else.");

static PyObject *
plain_copy(PyObject *module, PyObject *value)
{
    PyObject *copy = PyDict_Check(value) || PyList_Check(value) ? copy_of(value, 1) : NULL;
    if (copy == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return copy;
}

/* The module */

static int
offset_of(PyObject *descriptor, Py_ssize_t *offset)
{
    if (!PyObject_TypeCheck(descriptor, &PyMemberDescr_Type)) {
        PyErr_SetString(PyExc_TypeError, "not a slot");
        return -1;
    }
    *offset = ((PyMemberDescrObject *)descriptor)->d_member->offset;
    return 0;
}

PyDoc_STRVAR(set_up_doc, 
             "set_up(slots, base_type, lazy_type, empty_dynamic, tracked_types, own_types, small_types, init,\n"
             "read_first)\n\n"
             "Tells where things are; returns a method for __init__.");

static PyObject *
set_up(PyObject *module, PyObject *args)
{
    PyObject *slots, *base, *lazy, *empty, *tracked, *tracking, *small, *otherwise, *first;
    Py_ssize_t *offsets[] = {&slot_data,    &slot_changed,  &slot_initialised,
                             &slot_created, &slot_dynamic,  &slot_instance,
                             &lazy_pending, &lazy_converters, &lazy_document};
    if (!PyArg_ParseTuple(args, "O!O!OOO!O!O!OO", &PyTuple_Type, &slots, &PyType_Type, &base, &lazy,
                          &empty, &PyFrozenSet_Type, &tracked, &PyFrozenSet_Type, &tracking,
                          &PyFrozenSet_Type, &small, &otherwise, &first))
        return NULL;
    if (PyTuple_GET_SIZE(slots) != 9) {
        PyErr_SetString(PyExc_ValueError, "nine slots");
        return NULL;
    }
    for (int i = 0; i < 9; i++)
        if (offset_of(PyTuple_GET_ITEM(slots, i), offsets[i]) < 0)
            return NULL;
    Py_XSETREF(base_type, Py_NewRef(base));
    Py_XSETREF(lazy_type, Py_NewRef(lazy));
    Py_XSETREF(empty_dynamic, Py_NewRef(empty));
    Py_XSETREF(tracked_types, Py_NewRef(tracked));
    Py_XSETREF(own_types, Py_NewRef(tracking));
    Py_XSETREF(small_types, Py_NewRef(small));
    Py_XSETREF(init_otherwise, Py_NewRef(otherwise));
    Py_XSETREF(read_first, Py_NewRef(first));
    is_set_up = 1;
    PyObject *function = PyCFunction_New(&init_method, NULL);
    PyObject *method = function == NULL ? NULL : PyInstanceMethod_New(function);
    Py_XDECREF(function);
    return method;
}

static PyMethodDef methods[] = {
    {"set_up", set_up, METH_VARARGS, set_up_doc},
    {"plain_copy", plain_copy, METH_O, copy_doc},
    {"weight_of", weight_of, METH_O, weight_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "datalayer.documents.engine._core",
    .m_doc = PyDoc_STR("The engine's loops over the fields of a class, in C."),
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyModule_AddType(made, &TableType) < 0 ||
        PyModule_AddType(made, &AttributeType) < 0)
        return NULL;
    name_table = PyUnicode_InternFromString("_engine_table");
    name_cls = PyUnicode_InternFromString("_cls");
    name_load = PyUnicode_InternFromString("load");
    name_dereferenced = PyUnicode_InternFromString("_dereferenced");
    no_arguments = PyTuple_New(0);
    if (no_arguments == NULL || name_table == NULL || name_cls == NULL || name_load == NULL || name_dereferenced == NULL)
        return NULL;
    return made;
}
