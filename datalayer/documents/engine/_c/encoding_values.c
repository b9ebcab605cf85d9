/* Encoding values: single ones, dictionaries and lists, as BSON. */

#include "encoding.h"
#include <datetime.h>

#define LARGEST ((Py_ssize_t)16 * 1024 * 1024)
#define LONGEST 65536 /* a value: for larger ones it counts that the driver copies once more */

/* Bytes */

/* The place of ``count`` bytes more. */
static char *
reserve(Writer *writer, Py_ssize_t count)
{
    if (count > LARGEST || writer->size + count > LARGEST)
        return NULL;
    Py_ssize_t size = writer->size + count;
    if (size > PyBytes_GET_SIZE(writer->bytes) && _PyBytes_Resize(&writer->bytes, 2 * size) < 0)
        return NULL;
    char *place = PyBytes_AS_STRING(writer->bytes) + writer->size;
    writer->size = size;
    return place;
}

static void
put_int64(char *place, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        place[i] = (char)(value >> (8 * i));
}

char *
begin_element(Writer *writer, enum bson_type type, Key key, Py_ssize_t count)
{
    char *place = reserve(writer, key.length + 2 + count);
    if (place == NULL)
        return NULL;
    *place++ = (char)type;
    memcpy(place, key.text, (size_t)key.length);
    place[key.length] = '\0';
    return place + key.length + 1;
}

Py_ssize_t
begin_document(Writer *writer)
{
    return reserve(writer, 4) == NULL ? -1 : writer->size - 4;
}

int
end_document(Writer *writer, Py_ssize_t start)
{
    char *end = reserve(writer, 1);
    if (end == NULL)
        return -1;
    *end = '\0';
    bson_put_uint32(PyBytes_AS_STRING(writer->bytes) + start, (uint32_t)(writer->size - start));
    return 0;
}

/* Refuses what an error says that can't be encoded. */
static int
refuse(PyObject *error)
{
    if (PyErr_ExceptionMatches(error))
        PyErr_Clear();
    return -1;
}

/* Single values */

static int
encode_bytes(Writer *writer, Key key, enum bson_type type, const char *bytes, Py_ssize_t length)
{
    /* Text has a NUL at its end which counts, binary data a subtype before it which doesn't. */
    char *place = length > LONGEST ? NULL : begin_element(writer, type, key, length + 5);
    if (place == NULL)
        return -1;
    bson_put_uint32(place, (uint32_t)(type == BSON_STRING ? length + 1 : length));
    place[type == BSON_STRING ? length + 4 : 4] = '\0';
    memcpy(place + (type == BSON_STRING ? 4 : 5), bytes, (size_t)length);
    return 0;
}

static int
encode_text(Writer *writer, Key key, PyObject *text)
{
    if (PyUnicode_IS_ASCII(text))
        return encode_bytes(writer, key, BSON_STRING, (const char *)PyUnicode_1BYTE_DATA(text),
                            PyUnicode_GET_LENGTH(text));
    PyObject *encoded = PyUnicode_AsUTF8String(text);
    if (encoded == NULL)
        return refuse(PyExc_UnicodeEncodeError);
    int failed = encode_bytes(writer, key, BSON_STRING, PyBytes_AS_STRING(encoded),
                              PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
    return failed;
}

static int
encode_integer(Writer *writer, Key key, PyObject *number)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow)
        return -1;
    int is_short = value >= INT32_MIN && value <= INT32_MAX;
    char *place = begin_element(writer, is_short ? BSON_INT32 : BSON_INT64, key, is_short ? 4 : 8);
    if (place == NULL)
        return -1;
    if (is_short)
        bson_put_uint32(place, (uint32_t)value);
    else
        put_int64(place, (uint64_t)value);
    return 0;
}

static int
encode_eight(Writer *writer, Key key, enum bson_type type, uint64_t value)
{
    char *place = begin_element(writer, type, key, 8);
    if (place == NULL)
        return -1;
    put_int64(place, value);
    return 0;
}

static int
encode_double(Writer *writer, Key key, PyObject *number)
{
    double value = PyFloat_AS_DOUBLE(number);
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return encode_eight(writer, key, BSON_DOUBLE, bits);
}

/* The milliseconds since 1970 of a moment in UTC, or of one without a time zone. The days are
   counted in years from March to February, whose leap day comes last, from the year 0. */
static int64_t
milliseconds_of(PyObject *moment)
{
    int64_t year = PyDateTime_GET_YEAR(moment), month = PyDateTime_GET_MONTH(moment);
    int64_t day = PyDateTime_GET_DAY(moment);
    year -= month <= 2;
    month = month <= 2 ? month + 9 : month - 3;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    int64_t hours = (days - 719469) * 24 + PyDateTime_DATE_GET_HOUR(moment);
    int64_t seconds = (hours * 60 + PyDateTime_DATE_GET_MINUTE(moment)) * 60 +
                      PyDateTime_DATE_GET_SECOND(moment);
    return seconds * 1000 + PyDateTime_DATE_GET_MICROSECOND(moment) / 1000;
}

int
is_moment_in_utc(State *state, PyObject *value)
{
    (void)PyDateTimeAPI; /* of the header alone: the type is known from set_up_encoding() */
    return Py_IS_TYPE(value, state->datetime_type) &&
           PyDateTime_DATE_GET_TZINFO(value) == state->utc;
}

static int
is_naive_moment(State *state, PyObject *value)
{
    return Py_IS_TYPE(value, state->datetime_type) &&
           PyDateTime_DATE_GET_TZINFO(value) == Py_None;
}

static int
encode_object_id(Writer *writer, Key key, PyObject *id)
{
    PyObject *bytes = SLOT(id, writer->state->object_id);
    if (bytes == NULL || !PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) != 12)
        return -1;
    char *place = begin_element(writer, BSON_OBJECT_ID, key, 12);
    if (place == NULL)
        return -1;
    memcpy(place, PyBytes_AS_STRING(bytes), 12);
    return 0;
}

/* Has the driver encode a value that isn't known here, as the one of a document without a name;
   or has it made into one that is. */
static int
encode_otherwise(Writer *writer, Key key, PyObject *value, int level)
{
    PyObject *found = PyObject_CallFunctionObjArgs(writer->state->encode_otherwise, value,
                                                   writer->options, NULL);
    if (found == NULL)
        return -1;
    int failed = -1;
    if (PyDict_CheckExact(found))
        failed = encode_value(writer, key, found, level);
    else if (PyBytes_CheckExact(found) && PyBytes_GET_SIZE(found) >= 7) {
        const char *bytes = PyBytes_AS_STRING(found);
        Py_ssize_t length = PyBytes_GET_SIZE(found) - 7;
        char *place = begin_element(writer, (unsigned char)bytes[4], key, length);
        if (place != NULL)
            memcpy(place, bytes + 6, (size_t)length);
        failed = place == NULL ? -1 : 0;
    }
    Py_DECREF(found);
    return failed;
}

/* Containers */

Key
index_key(char *room, size_t size, Py_ssize_t index)
{
    char *end = room + size, *start = end;
    do
        *--start = (char)('0' + index % 10);
    while (index /= 10);
    return (Key){start, end - start};
}

/* The key of an entry of a dictionary; without a text where it is refused. */
static Key
entry_key(PyObject *name)
{
    Key key = {NULL, 0};
    if (!PyUnicode_CheckExact(name))
        return key;
    key.text = PyUnicode_AsUTF8AndSize(name, &key.length);
    if (key.text == NULL)
        refuse(PyExc_UnicodeEncodeError);
    else if (!is_storable_key(key.text, key.length))
        key.text = NULL;
    return key;
}

static int
encode_dictionary(Writer *writer, PyObject *dictionary, int level)
{
    Py_ssize_t start = begin_document(writer);
    Walk walk = walk_over(dictionary);
    PyObject *name, *value;
    int there = start < 0 ? -1 : 1;
    while (there > 0 && (there = next_of(dictionary, &walk, &name, &value)) > 0) {
        Key key = entry_key(name);
        if (key.text == NULL || encode_value(writer, key, value, level + 1) < 0)
            there = -1;
        Py_DECREF(name);
        Py_DECREF(value);
    }
    return there < 0 ? -1 : end_document(writer, start);
}

static int
encode_list(Writer *writer, PyObject *list, int level)
{
    Py_ssize_t start = begin_document(writer);
    PyObject *value;
    int failed = start < 0 ? -1 : 0;
    for (Py_ssize_t i = 0; failed == 0 && (value = item_of(list, i)) != NULL; i++) {
        char room[LONGEST_INDEX];
        failed = encode_value(writer, index_key(room, sizeof(room), i), value, level + 1);
        Py_DECREF(value);
    }
    return failed < 0 ? -1 : end_document(writer, start);
}

static int
encode_container(Writer *writer, Key key, PyObject *value, int level)
{
    int is_list = PyList_Check(value);
    enum bson_type type = is_list ? BSON_ARRAY : BSON_DOCUMENT;
    if (level > MOST_LEVELS || begin_element(writer, type, key, 0) == NULL)
        return -1;
    return is_list ? encode_list(writer, value, level) : encode_dictionary(writer, value, level);
}

int
encode_value(Writer *writer, Key key, PyObject *value, int level)
{
    State *state = writer->state;
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type)
        return encode_text(writer, key, value);
    if (type == &PyLong_Type)
        return encode_integer(writer, key, value);
    if (type == &PyFloat_Type)
        return encode_double(writer, key, value);
    if (type == &PyBool_Type) {
        char *place = begin_element(writer, BSON_BOOLEAN, key, 1);
        return place == NULL ? -1 : (*place = value == Py_True, 0);
    }
    if (value == Py_None)
        return begin_element(writer, BSON_NULL, key, 0) == NULL ? -1 : 0;
    if (type == state->object_id_type)
        return encode_object_id(writer, key, value);
    if (is_naive_moment(state, value) || is_moment_in_utc(state, value))
        return encode_eight(writer, key, BSON_DATETIME, (uint64_t)milliseconds_of(value));
    if (type == &PyDict_Type || type == &PyList_Type || is_among(state->tracked_types, type))
        return encode_container(writer, key, value, level);
    if (type == &PyBytes_Type)
        return encode_bytes(writer, key, BSON_BINARY, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    return encode_otherwise(writer, key, value, level);
}
