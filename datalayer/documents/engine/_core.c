/* The engine's loops over the fields of a class, in C.

   What is done here is what the generated Python of reading.py, constructing.py, writing.py and
   validating.py does, for the regular case: whatever is out of the ordinary is handed to the
   Python function beside it (``otherwise``). Without this module the Python alone does the same
   work. Public API of CPython only; both ways pass the same tests.

   Whatever calls Python or allocates may run anything: a finalizer, a callback of the collector,
   another thread. So what was looked up in a list, a dictionary or a slot is held by a reference
   of one's own before the next call, and sizes are looked at anew after it. What a table or an
   attribute refers to stays as it is while that lives. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* What one interpreter's module knows. */
typedef struct {
    /* Where the slots of documents lie, found once from their descriptors. */
    Py_ssize_t data, changed, initialised, created, dynamic, instance;
    Py_ssize_t lazy_pending, lazy_converters, lazy_document;
    PyTypeObject *base_type, *embedded_type, *lazy_type; /* NULL before set_up() */
    PyTypeObject *table_type, *attribute_type;
    PyObject *tracked_types, *own_types, *small_types; /* tuples */
    PyObject *no_arguments, *empty_dynamic, *init_otherwise, *read_first;
    PyObject *name_table, *name_cls, *name_load, *name_dereferenced;
} State;

static State *
state_of(PyObject *module)
{
    return (State *)PyModule_GetState(module);
}

/* Whether a class is one of a tuple of them. Nobody's __hash__ or __eq__ is asked. */
static int
is_among(PyObject *types, PyTypeObject *type)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(types); i++)
        if (PyTuple_GET_ITEM(types, i) == (PyObject *)type)
            return 1;
    return 0;
}

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

static void
put(PyObject *object, Py_ssize_t offset, PyObject *value) /* takes no reference */
{
    PyObject *before = SLOT(object, offset);
    SLOT(object, offset) = Py_NewRef(value);
    Py_XDECREF(before);
}

/* A new reference to what a slot holds, if it is a dictionary; else NULL, without an error. */
static PyObject *
dictionary_in(PyObject *object, Py_ssize_t offset)
{
    PyObject *found = SLOT(object, offset);
    return found != NULL && PyDict_Check(found) ? Py_NewRef(found) : NULL;
}

/* A new reference to what a dictionary holds; NULL without an error where it holds nothing. */
static PyObject *
entry_of(PyObject *dictionary, PyObject *key)
{
    return Py_XNewRef(PyDict_GetItemWithError(dictionary, key));
}

/* A new reference to an item of a list; NULL without an error past its present end. */
static PyObject *
item_of(PyObject *list, Py_ssize_t index)
{
    return index < PyList_GET_SIZE(list) ? Py_NewRef(PyList_GET_ITEM(list, index)) : NULL;
}

/* A plain list of the same items. PyList_GetSlice reads as many as there were before it made room,
   which may run anything on Python 3.11. */
static PyObject *
shallow_copy(PyObject *list)
{
    Py_ssize_t room = PyList_GET_SIZE(list);
    PyObject *copy = PyList_New(room);
    if (copy == NULL)
        return NULL;
    Py_ssize_t count = Py_MIN(room, PyList_GET_SIZE(list));
    for (Py_ssize_t i = 0; i < count; i++)
        PyList_SET_ITEM(copy, i, Py_NewRef(PyList_GET_ITEM(list, i)));
    Py_SET_SIZE(copy, count);
    return copy;
}

/* How far a loop over a dictionary is. */
typedef struct {
    Py_ssize_t size, left, position;
} Walk;

static Walk
walk_over(PyObject *dictionary)
{
    Py_ssize_t size = PyDict_GET_SIZE(dictionary);
    return (Walk){size, size, 0};
}

/* The next key and, where it is wanted, value as new references. 1: there is one; 0: none is left;
   -1: an error, as Python has it where a dictionary changes under a loop. */
static int
next_of(PyObject *dictionary, Walk *walk, PyObject **key, PyObject **value)
{
    if (PyDict_GET_SIZE(dictionary) != walk->size) {
        PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
        return -1;
    }
    if (!PyDict_Next(dictionary, &walk->position, key, value))
        return 0;
    if (walk->left-- == 0) {
        PyErr_SetString(PyExc_RuntimeError, "dictionary keys changed during iteration");
        return -1;
    }
    Py_INCREF(*key);
    if (value != NULL)
        Py_INCREF(*value);
    return 1;
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
    State *state;     /* of the module */
    PyObject *module; /* keeps it */
    Py_ssize_t count, waiting;
    Field *fields;
    PyTypeObject *model;
    PyObject *class_name, *converters, *finish, *missing, *allowed;
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
fill_field(Field *field, PyObject *row)
{
    PyObject *o[OBJECTS];
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a field is a tuple");
        return -1;
    }
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
        if (fill_field(&self->fields[i], PyTuple_GET_ITEM(fields, i)) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->waiting += self->fields[i].load == DEFERRED;
        self->count = i + 1; /* the collector may show the table to others: of whole fields */
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
    State *state = self->state;
    put(document, state->data, data);
    put(document, state->initialised, Py_False);
    put(document, state->created, created ? Py_True : Py_False);
    put(document, state->dynamic, state->empty_dynamic);
    if (self->is_embedded)
        put(document, state->instance, Py_None);
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
new_document(Table *self)
{
    return PyBaseObject_Type.tp_new(self->model, self->state->no_arguments, NULL);
}

/* Whether ``document`` has the slots that are looked into. */
static int
is_one(Table *self, PyObject *document)
{
    if (PyObject_TypeCheck(document, self->model))
        return 1;
    PyErr_Format(PyExc_TypeError, "a document of %R is wanted", self->model);
    return 0;
}

/* Embedded documents: a field that holds some is linked to the table of their class */

static int
is_part(Field *field, PyObject *value)
{
    return field->link_kind == ONE && Py_IS_TYPE(value, ((Table *)field->link)->model);
}

static int
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
static int
own(State *state, PyObject *part, PyObject *document)
{
    PyObject *proxy = PyWeakref_NewProxy(document, NULL);
    if (proxy == NULL)
        return -1;
    put(part, state->instance, proxy);
    Py_DECREF(proxy);
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

/* Reading */

/* Whether all keys of a raw embedded document are known; -1: an error. */
static int
has_known_keys(Table *part, PyObject *raw)
{
    if (part->keys == Py_None || !PyDict_CheckExact(raw))
        return 0;
    PyObject *key;
    Walk walk = walk_over(raw);
    int known;
    while ((known = next_of(raw, &walk, &key, NULL)) > 0) {
        known = PySet_Contains(part->keys, key);
        Py_DECREF(key);
        if (known <= 0)
            return known;
    }
    return known < 0 ? -1 : 1;
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

/* The same of a value that is there, and not None. */
static int
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
    PyObject *document = NULL, *pending = NULL, *reference = NULL, *changed = NULL;
    Py_ssize_t found = 0;
    State *state = self->state;
    PyObject *data = self->waiting ? PyObject_CallNoArgs((PyObject *)state->lazy_type)
                                   : PyDict_New();
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
    if ((changed = PyList_New(0)) == NULL || (document = new_document(self)) == NULL)
        goto done;
    begin(self, document, data, created);
    put(document, state->changed, changed);
    if (self->waiting) {
        if ((reference = PyWeakref_NewRef(document, NULL)) == NULL) {
            Py_CLEAR(document);
            goto done;
        }
        put(data, state->lazy_pending, pending);
        put(data, state->lazy_converters, self->converters);
        put(data, state->lazy_document, reference);
    }
    put(document, state->initialised, Py_True);
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
value_for(Table *self, Field *field, PyObject *document, PyObject *values)
{
    PyObject *value = entry_of(values, field->name);
    if (value != NULL) {
        PyObject *made = taken(self, field, document, value);
        Py_DECREF(value);
        return made;
    }
    if (PyErr_Occurred())
        return NULL;
    if (field->preset_kind == CALLED)
        return PyObject_CallNoArgs(field->preset);
    if (field->preset_kind == ASSIGNED)
        return PyObject_CallOneArg(field->preset, document);
    return Py_NewRef(field->preset);
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

PyDoc_STRVAR(construct_doc, "construct(document, values)\n\nDoes what __init__ does.");

static PyObject *
table_construct(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyDict_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "construct() takes a document and its keywords");
        return NULL;
    }
    State *state = self->state;
    PyObject *document = args[0], *values = args[1];
    if (!is_one(self, document))
        return NULL;
    int allowed = are_allowed(self, values);
    if (allowed <= 0)
        return allowed < 0 ? NULL : construct_by_python(self, document, values);
    PyObject *data = PyDict_New();
    if (data == NULL)
        return NULL;
    begin(self, document, data, 1);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Field *field = &self->fields[i];
        PyObject *made = value_for(self, field, document, values);
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
        put(document, state->changed, changed);
        Py_DECREF(changed);
    }
    put(document, state->initialised, Py_True);
    if (finish(self, document) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Values of a document */

/* A new reference to the document's data. */
static PyObject *
data_of(State *state, PyObject *document)
{
    PyObject *data = dictionary_in(document, state->data);
    if (data == NULL)
        PyErr_SetString(PyExc_AttributeError, "_data");
    return data;
}

static int
is_lazy(State *state, PyObject *data)
{
    return PyObject_TypeCheck(data, state->lazy_type);
}

/* Whether the document was loaded in part: its data may lack values that the database has. */
static int
is_partial(State *state, PyObject *data)
{
    return !PyDict_CheckExact(data) && !Py_IS_TYPE(data, state->lazy_type) && is_lazy(state, data);
}

static int waits(State *state, PyObject *data, PyObject *name);

/* ``value``, or None where a KeyError says that there is none; one of its conversion stays. */
static PyObject *
or_none(State *state, PyObject *data, PyObject *name, PyObject *value)
{
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_KeyError))
        return value;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    int there = waits(state, data, name);
    if (there > 0)
        PyErr_Restore(type, error, traceback);
    else {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
    }
    return there == 0 ? Py_NewRef(Py_None) : NULL;
}

/* A new reference to the value called so; to None where there is none, or it was not loaded. */
static PyObject *
value_of(State *state, PyObject *data, PyObject *name, PyObject *document)
{
    PyObject *value = entry_of(data, name);
    if (value != NULL || PyErr_Occurred())
        return value;
    if (Py_IS_TYPE(data, state->lazy_type))
        return or_none(
            state, data, name,
            PyObject_CallMethodObjArgs(data, state->name_load, name, document, NULL));
    if (is_partial(state, data))
        return or_none(state, data, name, PyObject_GetItem(data, name));
    Py_RETURN_NONE;
}

/* The same for somebody who wants it: what was not loaded is fetched. */
static PyObject *
wanted_value_of(State *state, PyObject *data, PyObject *name, PyObject *document)
{
    if (is_partial(state, data))
        return or_none(
            state, data, name,
            PyObject_CallMethodObjArgs(data, state->name_load, name, document, NULL));
    return value_of(state, data, name, document);
}

static int
waits(State *state, PyObject *data, PyObject *name)
{
    if (!is_lazy(state, data))
        return 0;
    int there = PyDict_Contains(data, name);
    if (there)
        return there < 0 ? -1 : 0;
    PyObject *pending = dictionary_in(data, state->lazy_pending);
    there = pending == NULL ? 0 : PyDict_Contains(pending, name);
    Py_XDECREF(pending);
    return there;
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

/* Whether the document was loaded without this value, and didn't get one; -1: an error. */
static int
lacks(State *state, PyObject *data, PyObject *name)
{
    if (!is_partial(state, data))
        return 0;
    int there = PyDict_Contains(data, name);
    return there < 0 ? -1 : !there;
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

/* The same of the embedded documents of a field. */
static int
parts_pass(Field *field, PyObject *value, PyObject *clean)
{
    if (!field->links_validate)
        return 0;
    if (is_part(field, value))
        return part_passes(field, value, clean);
    if (!are_parts(field, value) || (field->is_required && PyList_GET_SIZE(value) == 0))
        return 0;
    PyObject *part;
    int passed = 1;
    for (Py_ssize_t i = 0; passed > 0 && (part = item_of(value, i)) != NULL; i++) {
        int is_known = Py_IS_TYPE(part, ((Table *)field->link)->model);
        passed = is_known ? part_passes(field, part, Py_True) : 0;
        Py_DECREF(part);
    }
    return passed;
}

static int
validate_value(Table *self, Field *field, PyObject *value, PyObject *clean, PyObject *errors)
{
    PyObject *done;
    if (value == Py_None) {
        if (!field->is_required)
            return 0;
        done = PyObject_CallFunctionObjArgs(self->missing, field->field, errors, NULL);
    }
    else {
        int passed = passes(field, value) ? 1 : parts_pass(field, value, clean);
        if (passed)
            return passed < 0 ? -1 : 0;
        done = PyObject_CallFunctionObjArgs(field->judge, value, clean, errors, NULL);
    }
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
validate_field(Table *self, Field *field, PyObject *document, PyObject *data, PyObject *clean,
               PyObject *errors)
{
    PyObject *value = value_of(self->state, data, field->name, document);
    if (value == NULL)
        return -1;
    int failed = validate_value(self, field, value, clean, errors);
    Py_DECREF(value);
    return failed;
}

static PyObject *
errors_in(Table *self, PyObject *document, PyObject *clean, int skips)
{
    State *state = self->state;
    PyObject *data = data_of(state, document);
    if (data == NULL)
        return NULL;
    if (Py_EnterRecursiveCall(" while validating a document")) {
        Py_DECREF(data);
        return NULL;
    }
    PyObject *errors = PyDict_New();
    for (Py_ssize_t i = 0; errors != NULL && i < self->count; i++) {
        Field *field = &self->fields[i];
        int skipped = skips && field->load == DEFERRED ? waits(state, data, field->name) : 0;
        if (skipped < 0 ||
            (!skipped && validate_field(self, field, document, data, clean, errors) < 0))
            Py_CLEAR(errors);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(data);
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

PyDoc_STRVAR(clean_doc, "is_clean(document)\n\n\
Whether no value of it can have noted a change; False too where that isn't known here.");

static PyObject *
table_is_clean(Table *self, PyObject *document)
{
    int clean = is_one(self, document) ? is_clean(self, document) : -1;
    return clean < 0 ? NULL : PyBool_FromLong(clean);
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

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "The fields of one class, for the loops over them."},
    {Py_tp_new, table_new},
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_traverse, table_traverse},
    {Py_tp_clear, table_clear},
    {Py_tp_methods, table_methods},
    {0, NULL},
};

static PyType_Spec table_spec = {
    .name = "datalayer.documents.engine._core.Table",
    .basicsize = sizeof(Table),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = table_slots,
};

/* What __init__ does */

PyDoc_STRVAR(init_doc, "init(document, **values)\n\n\
Constructs a document by its class's table, or as ``set_up`` was told.");

static PyObject *
init(PyObject *module, PyObject *args, PyObject *values)
{
    State *state = state_of(module);
    if (PyTuple_GET_SIZE(args) == 1 && values != NULL) {
        PyObject *document = PyTuple_GET_ITEM(args, 0);
        PyObject *type = Py_NewRef((PyObject *)Py_TYPE(document));
        PyObject *found = PyObject_GetAttr(type, state->name_table), *done = NULL;
        if (found == NULL) {
            Py_DECREF(type);
            return NULL;
        }
        Table *table = Py_IS_TYPE(found, state->table_type) ? (Table *)found : NULL;
        int is_its = table != NULL && (PyObject *)table->model == type && !is_listened_to(table);
        Py_DECREF(type);
        if (is_its) {
            PyObject *const arguments[] = {document, values};
            done = table_construct(table, arguments, 2);
        }
        Py_DECREF(found);
        if (is_its)
            return done;
    }
    return PyObject_Call(state->init_otherwise, args, values);
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

/* The embedded document that waits under this name, read now; NULL without an error: not one. */
static PyObject *
part_that_waits(Attribute *self, PyObject *data, PyObject *document)
{
    Table *table = (Table *)self->table;
    State *state = table->state;
    Field *field = &table->fields[self->index];
    if (field->link_kind != ONE || !Py_IS_TYPE(data, state->lazy_type) ||
        SLOT(data, state->lazy_converters) != table->converters)
        return NULL;
    PyObject *pending = dictionary_in(data, state->lazy_pending);
    if (pending == NULL)
        return NULL;
    PyObject *part = NULL, *raw = raw_that_waits(state, data, pending, self->name);
    if (raw != NULL) {
        Table *link = (Table *)field->link;
        PyObject *const arguments[] = {raw, Py_False};
        part = table_read(link, arguments, 2);
        if (part != NULL && !PyObject_TypeCheck(part, link->model))
            Py_CLEAR(part);
        if (part != NULL)
            Py_SETREF(part, kept_part(self, data, pending, part, document));
        Py_DECREF(raw);
    }
    Py_DECREF(pending);
    if (part == NULL && PyErr_Occurred() && (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                                             PyErr_ExceptionMatches(PyExc_ValueError)))
        PyErr_Clear(); /* the way through Python says it as MongoEngine does */
    return part;
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
    if (PyObject_TypeCheck(document, state->base_type))
        data = dictionary_in(document, state->data);
    if (data == NULL)
        return by_the_field(self, document, owner);
    PyObject *value = part_that_waits(self, data, document);
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

static PyType_Spec attribute_spec = {
    .name = "datalayer.documents.engine._core.Attribute",
    .basicsize = sizeof(Attribute),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = attribute_slots,
};

/* Whether a document can be stored: see storable.py, which this has to agree with. Nothing here
   calls or allocates anything, so that nothing changes meanwhile. */

#define BYTES_PER_MEMBER 32
#define MOST_LEVELS 100
#define HEAVIEST ((Py_ssize_t)1 << 29) /* far more than can be stored, and a sum of two fits */

static Py_ssize_t weigh(State *state, PyObject *value, int level);

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

/* The module's state, once it was told where things are. */
static State *
ready_state_of(PyObject *module)
{
    State *state = state_of(module);
    if (state->base_type != NULL)
        return state;
    PyErr_SetString(PyExc_RuntimeError, "set_up() comes first");
    return NULL;
}

PyDoc_STRVAR(weight_doc, "weight_of(document)\n\n\
At least the size that a document has as BSON; -1 where it has to be looked at closely.");

static PyObject *
weight_of(PyObject *module, PyObject *document)
{
    State *state = ready_state_of(module);
    if (state == NULL)
        return NULL;
    return PyLong_FromSsize_t(PyDict_CheckExact(document) ? weigh(state, document, 1) : -1);
}

/* Copies of plain values */

static PyObject *copy_of(State *state, PyObject *value, int level);

static PyObject *
copy_of_dictionary(State *state, PyObject *value, int level)
{
    PyObject *key, *item, *copy = PyDict_New();
    Walk walk = walk_over(value);
    int there = copy != NULL;
    while (there > 0 && (there = next_of(value, &walk, &key, &item)) > 0) {
        PyObject *made = PyUnicode_CheckExact(key) ? copy_of(state, item, level + 1) : NULL;
        if (made == NULL || PyDict_SetItem(copy, key, made) < 0)
            there = -1;
        Py_XDECREF(made);
        Py_DECREF(key);
        Py_DECREF(item);
    }
    if (there < 0)
        Py_CLEAR(copy);
    return copy;
}

static PyObject *
copy_of_list(State *state, PyObject *value, int level)
{
    PyObject *item, *copy = PyList_New(0);
    for (Py_ssize_t i = 0; copy != NULL && (item = item_of(value, i)) != NULL; i++) {
        PyObject *made = copy_of(state, item, level + 1);
        if (made == NULL || PyList_Append(copy, made) < 0)
            Py_CLEAR(copy);
        Py_XDECREF(made);
        Py_DECREF(item);
    }
    return copy;
}

/* A copy of a tree of mappings, lists and single values; NULL without an error where it holds
   anything else. */
static PyObject *
copy_of(State *state, PyObject *value, int level)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type || type == &PyLong_Type)
        return Py_NewRef(value);
    if (type != &PyDict_Type && type != &PyList_Type) {
        if (is_among(state->small_types, type))
            return Py_NewRef(value);
        if (!is_among(state->tracked_types, type))
            return NULL;
    }
    if (level > MOST_LEVELS)
        return NULL;
    return PyDict_Check(value) ? copy_of_dictionary(state, value, level)
                               : copy_of_list(state, value, level);
}

PyDoc_STRVAR(copy_doc, "plain_copy(value)\n\n\
A copy of a tree of mappings, lists and single values; None where it holds anything else.");

static PyObject *
plain_copy(PyObject *module, PyObject *value)
{
    State *state = ready_state_of(module);
    if (state == NULL)
        return NULL;
    PyObject *copy = PyDict_Check(value) || PyList_Check(value) ? copy_of(state, value, 1) : NULL;
    if (copy == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return copy;
}

PyDoc_STRVAR(list_doc, "list_copy(list)\n\n\
A plain list of the same items, past the list's own methods.");

static PyObject *
list_copy(PyObject *module, PyObject *list)
{
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list is wanted");
        return NULL;
    }
    return shallow_copy(list);
}

/* The module */

static int
offset_of(PyObject *descriptor, Py_ssize_t *offset)
{
    if (!PyObject_TypeCheck(descriptor, &PyMemberDescr_Type) ||
        ((PyMemberDescrObject *)descriptor)->d_member->type != T_OBJECT_EX) {
        PyErr_SetString(PyExc_TypeError, "not a slot");
        return -1;
    }
    *offset = ((PyMemberDescrObject *)descriptor)->d_member->offset;
    return 0;
}

PyDoc_STRVAR(set_up_doc,
             "set_up(slots, base_type, lazy_type, empty_dynamic, tracked_types, own_types,\n"
             "small_types, init, read_first)\n\n"
             "Tells where things are, once; returns a method for __init__.");

#define SLOTS 9
#define INSTANCE 5 /* the place of the slot that only embedded documents have */

static PyObject *
set_up(PyObject *module, PyObject *args)
{
    State *state = state_of(module);
    PyObject *slots, *base, *lazy, *empty, *tracked, *tracking, *small, *otherwise, *first;
    Py_ssize_t *offsets[SLOTS] = {&state->data,         &state->changed,
                                  &state->initialised,  &state->created,
                                  &state->dynamic,      &state->instance,
                                  &state->lazy_pending, &state->lazy_converters,
                                  &state->lazy_document};
    if (!PyArg_ParseTuple(args, "O!O!O!OO!O!O!OO", &PyTuple_Type, &slots, &PyType_Type, &base,
                          &PyType_Type, &lazy, &empty, &PyTuple_Type, &tracked, &PyTuple_Type,
                          &tracking, &PyTuple_Type, &small, &otherwise, &first))
        return NULL;
    if (state->base_type != NULL || PyTuple_GET_SIZE(slots) != SLOTS) {
        PyErr_SetString(PyExc_ValueError, "nine slots, once");
        return NULL;
    }
    for (int i = 0; i < SLOTS; i++)
        if (offset_of(PyTuple_GET_ITEM(slots, i), offsets[i]) < 0)
            return NULL;
    PyObject *function = PyCFunction_New(&init_method, module);
    PyObject *method = function == NULL ? NULL : PyInstanceMethod_New(function);
    Py_XDECREF(function);
    if (method == NULL)
        return NULL;
    PyTypeObject *embedded = PyDescr_TYPE(PyTuple_GET_ITEM(slots, INSTANCE));
    state->embedded_type = (PyTypeObject *)Py_NewRef((PyObject *)embedded);
    state->lazy_type = (PyTypeObject *)Py_NewRef(lazy);
    state->empty_dynamic = Py_NewRef(empty);
    state->tracked_types = Py_NewRef(tracked);
    state->own_types = Py_NewRef(tracking);
    state->small_types = Py_NewRef(small);
    state->init_otherwise = Py_NewRef(otherwise);
    state->read_first = Py_NewRef(first);
    state->base_type = (PyTypeObject *)Py_NewRef(base);
    return method;
}

static PyMethodDef methods[] = {
    {"set_up", set_up, METH_VARARGS, set_up_doc},
    {"plain_copy", plain_copy, METH_O, copy_doc},
    {"list_copy", list_copy, METH_O, list_doc},
    {"weight_of", weight_of, METH_O, weight_doc},
    {NULL, NULL, 0, NULL},
};

static int
fill_module(PyObject *module)
{
    State *state = state_of(module);
    PyObject *table = PyType_FromModuleAndSpec(module, &table_spec, NULL);
    state->table_type = (PyTypeObject *)table;
    PyObject *attribute = PyType_FromModuleAndSpec(module, &attribute_spec, NULL);
    state->attribute_type = (PyTypeObject *)attribute;
    if (table == NULL || attribute == NULL || PyModule_AddType(module, state->table_type) < 0 ||
        PyModule_AddType(module, state->attribute_type) < 0)
        return -1;
    state->name_table = PyUnicode_InternFromString("_engine_table");
    state->name_cls = PyUnicode_InternFromString("_cls");
    state->name_load = PyUnicode_InternFromString("load");
    state->name_dereferenced = PyUnicode_InternFromString("_dereferenced");
    state->no_arguments = PyTuple_New(0);
    if (state->name_table == NULL || state->name_cls == NULL || state->name_load == NULL ||
        state->name_dereferenced == NULL || state->no_arguments == NULL)
        return -1;
    return 0;
}

static PyObject **
held_by(State *state, int index)
{
    PyObject **all[] = {(PyObject **)&state->base_type,     (PyObject **)&state->embedded_type,
                        (PyObject **)&state->lazy_type,     (PyObject **)&state->table_type,
                        (PyObject **)&state->attribute_type, &state->tracked_types,
                        &state->own_types,                  &state->small_types,
                        &state->no_arguments,               &state->empty_dynamic,
                        &state->init_otherwise,             &state->read_first,
                        &state->name_table,                 &state->name_cls,
                        &state->name_load,                  &state->name_dereferenced};
    return index < (int)(sizeof(all) / sizeof(*all)) ? all[index] : NULL;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = state_of(module);
    PyObject **place;
    for (int i = 0; state != NULL && (place = held_by(state, i)); i++)
        Py_VISIT(*place);
    return 0;
}

/* As with tables, nothing is cut while somebody may still come: cycles lead through the module's
   dictionary, classes and functions. */
static void
module_free(void *module)
{
    State *state = state_of((PyObject *)module);
    PyObject **place;
    for (int i = 0; state != NULL && (place = held_by(state, i)); i++)
        Py_CLEAR(*place);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, fill_module},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "datalayer.documents.engine._core",
    .m_doc = PyDoc_STR("The engine's loops over the fields of a class, in C."),
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_definition);
}
