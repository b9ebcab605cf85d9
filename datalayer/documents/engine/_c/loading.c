/* Loading: a document of its BSON bytes, most of which are decoded when they are first read.

   The elements are walked once. Where the type of a value is what its field expects, its place is
   noted and it waits; where it isn't, it is decoded and converted now, so that a wrong value shows
   when its document is loaded. Whatever is out of the ordinary makes ``bson`` decode the whole
   document, which is read as any dictionary is. */

#include "core.h"

#define SEEN 1 /* the place of a value that is there and doesn't wait: no element begins there */

/* Whether ``key`` is the field's. Nothing is read beyond the end of either. */
static inline int
is_key_of(const Field *field, Bytes key)
{
    Bytes own = (Bytes)field->key_text;
    size_t i = 0;
    while (own[i] == key[i] && key[i])
        i++;
    return own[i] == key[i] && i == field->key_length;
}

/* The element at ``at`` and its field, which is nearly always the next one; NULL for none. */
static Field *
field_at(Table *table, Bytes at, Py_ssize_t *next, Element *element)
{
    element->type = at[0];
    element->key = at + 1;
    for (Py_ssize_t tried = 0; tried < table->count; tried++) {
        Py_ssize_t index = *next;
        *next = index + 1 < table->count ? index + 1 : 0;
        Field *field = &table->fields[index];
        if (is_key_of(field, element->key)) {
            element->key_length = field->key_length;
            element->value = element->key + field->key_length + 1;
            return field;
        }
    }
    return NULL;
}

/* Whether a value of this type may be decoded later. */
static int
fits_to_wait(State *state, Field *field, unsigned char type)
{
    PyObject *expected = field->type;
    switch (field->load) {
    case AS_IS:
    case ASSIGN: /* until all else is there */
        return 1;
    case SCALAR:
        switch (type) {
        case BSON_STRING:
            return expected == (PyObject *)&PyUnicode_Type;
        case BSON_INT32:
        case BSON_INT64:
            return expected == (PyObject *)&PyLong_Type;
        case BSON_DOUBLE:
            return expected == (PyObject *)&PyFloat_Type;
        case BSON_BOOLEAN:
            return expected == (PyObject *)&PyBool_Type;
        case BSON_OBJECT_ID:
            return expected == (PyObject *)state->object_id_type;
        }
        return 0;
    case DEFERRED:
        return field->raw_type == Py_None ||
               (type == BSON_DOCUMENT && field->raw_type == (PyObject *)&PyDict_Type) ||
               (type == BSON_ARRAY && field->raw_type == (PyObject *)&PyList_Type);
    }
    return 0;
}

static int
is_class_name(Table *table, const Element *element)
{
    if (element->type != BSON_STRING)
        return 0;
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(table->class_name, &length);
    return name == NULL ? -1
                        : (Py_ssize_t)bson_uint32(element->value) - 1 == length &&
                              memcmp(name, element->value + 4, (size_t)length) == 0;
}

/* Whether the class of an embedded document knows all its keys, and nothing else speaks against
   reading it later; if not, Python is asked. -1: an error. */
static int
is_known_part(Table *part, Bytes document)
{
    Py_ssize_t next = 0;
    Element element;
    if (part->keys != Py_None) {
        int known = 1;
        for (Bytes at = bson_first(document); *at && known > 0; at = bson_after(&element)) {
            Field *field = field_at(part, at, &next, &element);
            if (field == NULL)
                return 0;
            if (field->load == CLASS_NAME)
                known = is_class_name(part, &element);
        }
        return known;
    }
    element = bson_element(bson_first(document));
    while (element.type && strcmp((const char *)element.key, "_cls") != 0)
        element = bson_element(bson_after(&element));
    return element.type == 0;
}

/* 1: it may wait; 0: out of the ordinary; -1: an error. */
static int
may_wait(Field *field, PyObject *codec, const Element *element)
{
    int known = field->may_wait == Py_None;
    if (!known && field->link_kind == ONE)
        known = is_known_part((Table *)field->link, element->value);
    if (known)
        return known;
    PyObject *raw = decode_value(codec, element->type, element->value);
    PyObject *answer = raw == NULL ? NULL : PyObject_CallOneArg(field->may_wait, raw);
    int may = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(raw);
    Py_XDECREF(answer);
    return may;
}

/* Notes or reads one element. 1: taken; 0: out of the ordinary; -1: an error. */
static int
load_element(Table *table, Field *field, Elements *elements, const Element *element,
             PyObject *data)
{
    uint32_t *place = &elements->places[field - table->fields];
    if (*place) /* it stands there twice */
        return 0;
    if (element->type == BSON_NULL && field->load != ASSIGN)
        return field->load != CLASS_NAME;
    if (field->load == CLASS_NAME) {
        int same = is_class_name(table, element);
        *place = SEEN;
        return same <= 0 || PyDict_SetItem(data, field->name, table->class_name) == 0 ? same : -1;
    }
    if (fits_to_wait(table->state, field, element->type)) {
        *place = (uint32_t)(element->key - 1 - (Bytes)PyBytes_AS_STRING(elements->bytes));
        return field->load == DEFERRED ? may_wait(field, elements->codec, element) : 1;
    }
    if (field->load == DEFERRED)
        return 0;
    *place = SEEN;
    PyObject *value = decode_value(elements->codec, element->type, element->value);
    int taken = value == NULL ? -1 : read_value(table, field, value, data, NULL);
    Py_XDECREF(value);
    return taken;
}

static int
load_elements(Table *table, Elements *elements, Bytes document, PyObject *data)
{
    Py_ssize_t next = 0;
    int taken = 1;
    Element element;
    for (Bytes at = bson_first(document); *at && taken > 0; at = bson_after(&element)) {
        Field *field = field_at(table, at, &next, &element);
        if (field == NULL) /* a key that the class doesn't know */
            return 0;
        taken = load_element(table, field, elements, &element, data);
    }
    for (Py_ssize_t i = 0; i < table->count && taken > 0; i++) {
        if (elements->places[i] == SEEN)
            elements->places[i] = 0;
        else if (elements->places[i] == 0 && table->fields[i].load != ASSIGN)
            taken = read_preset(&table->fields[i], data);
    }
    return taken;
}

/* Assigns one value through its field, as Python does. 1: done; 0: it doesn't fit; -1: an error. */
static int
assign(Field *field, PyObject *document, Elements *elements, uint32_t place)
{
    PyObject *value = Py_NewRef(Py_None);
    if (place) {
        Element element = bson_element((Bytes)PyBytes_AS_STRING(elements->bytes) + place);
        Py_SETREF(value, decode_value(elements->codec, element.type, element.value));
    }
    PyObject *done = NULL;
    if (value != NULL)
        done = PyObject_CallFunctionObjArgs(field->assign, document, value,
                                            place ? Py_True : Py_False, NULL);
    Py_XDECREF(value);
    Py_XDECREF(done);
    if (done != NULL)
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_ValueError))
        return -1;
    PyErr_Clear(); /* the way through Python says it as MongoEngine does */
    return 0;
}

static int
assign_values(Table *table, PyObject *document, Elements *elements)
{
    int done = 1;
    for (Py_ssize_t i = 0; i < table->count && done > 0; i++) {
        uint32_t place = elements->places[i];
        if (table->fields[i].load != ASSIGN)
            continue;
        elements->places[i] = 0; /* it waits no more */
        done = assign(&table->fields[i], document, elements, place);
    }
    return done;
}

/* A document of the sound ``document`` in ``bytes``; None where it is out of the ordinary. */
PyObject *
load_document(Table *table, PyObject *bytes, Bytes document, PyObject *codec, int created)
{
    if (is_listened_to(table) || bson_uint32(document) == BSON_SHORTEST)
        Py_RETURN_NONE;
    State *state = table->state;
    PyObject *made = NULL, *data = new_lazy_data(state);
    Elements *elements = data == NULL ? NULL : new_elements(table, bytes, codec);
    int taken = elements == NULL ? -1 : load_elements(table, elements, document, data);
    if (taken > 0)
        made = completed_document(table, data, (PyObject *)elements, created,
                                  table->assigns ? assign_values : NULL);
    else if (taken == 0)
        made = Py_NewRef(Py_None);
    else if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* of several errors, the order in which dictionaries are read says which */
        made = Py_NewRef(Py_None);
    }
    Py_XDECREF(elements);
    Py_XDECREF(data);
    return made;
}

/* What loads documents of the class that the document names, where that isn't the table's; None
   where nothing does, or it is the table's. */
static PyObject *
loader_of_another(Table *table, Bytes document)
{
    Py_ssize_t index = 0;
    while (index < table->count && table->fields[index].load != CLASS_NAME)
        index++;
    if (index == table->count)
        Py_RETURN_NONE;
    Element element = bson_element(bson_first(document));
    while (element.type && strcmp((const char *)element.key, "_cls") != 0)
        element = bson_element(bson_after(&element));
    int same = element.type == BSON_STRING ? is_class_name(table, &element) : 1;
    if (same)
        return same < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *name = decode_text(element.value);
    PyObject *loader = name == NULL ? NULL
                                    : PyObject_CallMethodOneArg(table->read_otherwise,
                                                                table->state->name_loader, name);
    Py_XDECREF(name);
    return loader;
}

const char load_doc[] = PyDoc_STR("load(bytes, codec, created=False)\n\n\
A document of its BSON bytes.");

PyObject *
table_load(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 2 || count > 3 || !PyBytes_CheckExact(args[0]) ||
        !Py_IS_TYPE(args[1], self->state->codec_type)) {
        PyErr_SetString(PyExc_TypeError, "load() takes bytes, a codec, and whether it is new");
        return NULL;
    }
    PyObject *bytes = args[0], *codec = args[1];
    int created = count == 3 ? PyObject_IsTrue(args[2]) : 0;
    Bytes document = (Bytes)PyBytes_AS_STRING(bytes);
    if (created < 0)
        return NULL;
    if (is_sound(document, (size_t)PyBytes_GET_SIZE(bytes))) {
        PyObject *loader = loader_of_another(self, document);
        if (loader == NULL)
            return NULL;
        if (loader != Py_None) {
            PyObject *made = PyObject_CallFunctionObjArgs(loader, bytes, codec, NULL);
            Py_DECREF(loader);
            return made;
        }
        Py_DECREF(loader);
        PyObject *made = load_document(self, bytes, document, codec, created);
        if (made != Py_None)
            return made;
        Py_DECREF(made);
    }
    PyObject *whole = decode_whole(codec, bytes);
    PyObject *const arguments[] = {whole, created ? Py_True : Py_False};
    PyObject *made = whole == NULL ? NULL : table_read(self, arguments, 2);
    Py_XDECREF(whole);
    return made;
}
