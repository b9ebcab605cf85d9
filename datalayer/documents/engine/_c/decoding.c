/* Decoding: the Python value of one element of a sound document, as the ``bson`` package gives it.

   A codec knows with which options; what is rare, or depends on them, is decoded by ``bson``. */

#include "core.h"
#include <datetime.h>

typedef struct {
    PyObject_HEAD
    State *state;             /* of the module */
    PyObject *module;         /* keeps it */
    PyObject *decode;         /* bson's, of a whole document, with the options */
    PyObject *zone;           /* of datetimes, whose time is UTC; or None */
} Codec;

int
prepare_decoding(void)
{
    PyDateTime_IMPORT;
    return PyDateTimeAPI == NULL ? -1 : 0;
}

static PyObject *
codec_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"decode", "zone", NULL};
    PyObject *decode, *zone, *module = PyType_GetModule(type);
    State *state = module == NULL ? NULL : ready_state_of(module);
    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "OO", names, &decode, &zone))
        return NULL;
    if (zone != Py_None && !PyTZInfo_Check(zone)) {
        PyErr_SetString(PyExc_TypeError, "a zone is wanted, or None");
        return NULL;
    }
    Codec *self = (Codec *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
        self->module = Py_NewRef(module);
        self->decode = Py_NewRef(decode);
        self->zone = Py_NewRef(zone);
    }
    return (PyObject *)self;
}

static int
codec_traverse(Codec *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    Py_VISIT(self->decode);
    Py_VISIT(self->zone);
    return 0;
}

static void
codec_dealloc(Codec *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->module);
    Py_XDECREF(self->decode);
    Py_XDECREF(self->zone);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* What ``bson`` makes of a whole document. */
PyObject *
decode_whole(PyObject *codec, PyObject *bytes)
{
    return PyObject_CallOneArg(((Codec *)codec)->decode, bytes);
}

/* What ``bson`` makes of one value: it gets a document that holds nothing else. */
static PyObject *
decode_by_bson(Codec *self, unsigned char type, Bytes value)
{
    uint32_t size = bson_value_size(type, value), whole = 4 + 3 + size + 1;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, whole);
    if (bytes == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(bytes);
    bson_put_uint32(to, whole);
    memcpy(to + 4, (unsigned char[]){type, 'v', 0}, 3);
    memcpy(to + 7, value, size);
    to[whole - 1] = 0;
    PyObject *document = decode_whole((PyObject *)self, bytes), *found = NULL;
    Py_DECREF(bytes);
    if (document != NULL && PyDict_CheckExact(document)) {
        PyObject *key = PyUnicode_FromString("v");
        found = key == NULL ? NULL : entry_of(document, key);
        Py_XDECREF(key);
    }
    Py_XDECREF(document);
    if (found == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "bson gave no dictionary");
    return found;
}

PyObject *
decode_text(Bytes value)
{
    return PyUnicode_DecodeUTF8((const char *)value + 4, (Py_ssize_t)bson_uint32(value) - 1, NULL);
}

PyObject *
decode_object_id(State *state, Bytes value)
{
    PyObject *binary = PyBytes_FromStringAndSize((const char *)value, 12);
    PyObject *made = binary == NULL ? NULL : state->object_id_type->tp_alloc(state->object_id_type, 0);
    if (made == NULL) {
        Py_XDECREF(binary);
        return NULL;
    }
    SLOT(made, state->object_id) = binary;
    return made;
}

/* A datetime of milliseconds since 1970, in UTC. By Howard Hinnant's "chrono-compatible
   low-level date algorithms": days are counted from a first of March, in eras of 400 years. */
static PyObject *
decode_datetime(int64_t milliseconds, PyObject *zone)
{
    const int64_t a_day = 86400000;
    int64_t days = milliseconds / a_day, rest = milliseconds % a_day;
    if (rest < 0) {
        rest += a_day;
        days--;
    }
    days += 719468; /* since the first of March of the year 0 */
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    year += era * 400 + (month <= 2);
    int seconds = (int)(rest / 1000), microseconds = (int)(rest % 1000) * 1000;
    return PyDateTimeAPI->DateTime_FromDateAndTime(
        (int)year, (int)month, (int)day, seconds / 3600, seconds / 60 % 60, seconds % 60,
        microseconds, zone, PyDateTimeAPI->DateTimeType);
}

static PyObject *
decode_array(Codec *self, Bytes array)
{
    PyObject *list = PyList_New(0);
    Element element = bson_element(bson_first(array));
    for (; list != NULL && element.type; element = bson_element(bson_after(&element))) {
        PyObject *item = decode_value((PyObject *)self, element.type, element.value);
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* NULL without an error for one with a key that begins with "$": it may be a reference. */
static PyObject *
decode_document(Codec *self, Bytes document)
{
    PyObject *dictionary = PyDict_New();
    Element element = bson_element(bson_first(document));
    for (; dictionary != NULL && element.type; element = bson_element(bson_after(&element))) {
        if (element.key[0] == '$') {
            Py_CLEAR(dictionary);
            break;
        }
        PyObject *key = PyUnicode_DecodeUTF8((const char *)element.key,
                                             (Py_ssize_t)element.key_length, NULL);
        PyObject *value =
            key == NULL ? NULL : decode_value((PyObject *)self, element.type, element.value);
        if (value == NULL || PyDict_SetItem(dictionary, key, value) < 0)
            Py_CLEAR(dictionary);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dictionary;
}

static PyObject *
decode_nested(Codec *self, unsigned char type, Bytes value)
{
    if (Py_EnterRecursiveCall(" while decoding a document"))
        return NULL;
    PyObject *made = type == BSON_ARRAY ? decode_array(self, value) : decode_document(self, value);
    Py_LeaveRecursiveCall();
    return made != NULL || PyErr_Occurred() ? made : decode_by_bson(self, type, value);
}

/* The value of an element of a sound document: a new reference. */
PyObject *
decode_value(PyObject *codec, unsigned char type, Bytes value)
{
    Codec *self = (Codec *)codec;
    switch (type) {
    case BSON_STRING:
        return decode_text(value);
    case BSON_INT32:
        return PyLong_FromLong(bson_int32(value));
    case BSON_DOUBLE:
        return PyFloat_FromDouble(bson_double(value));
    case BSON_BOOLEAN:
        return PyBool_FromLong(value[0]);
    case BSON_NULL:
        Py_RETURN_NONE;
    case BSON_OBJECT_ID:
        return decode_object_id(self->state, value);
    case BSON_DATETIME:
        return decode_datetime(bson_int64(value), self->zone);
    case BSON_INT64:
        return PyObject_CallFunction(self->state->int64_type, "L", (long long)bson_int64(value));
    case BSON_BINARY:
        if (value[4] == 0)
            return PyBytes_FromStringAndSize((const char *)value + 5, bson_uint32(value));
        break;
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        return decode_nested(self, type, value);
    }
    return decode_by_bson(self, type, value);
}

static PyType_Slot codec_slots[] = {
    {Py_tp_doc, "Codec(decode, zone)\n\nDecodes values as ``bson`` does with some options."},
    {Py_tp_new, codec_new},
    {Py_tp_dealloc, codec_dealloc},
    {Py_tp_traverse, codec_traverse},
    {0, NULL},
};

PyType_Spec codec_spec = {
    .name = "datalayer.documents.engine._core.Codec",
    .basicsize = sizeof(Codec),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = codec_slots,
};
