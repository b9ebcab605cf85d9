/* Encoding: a document's BSON, straight from its values, without a dictionary between. */

#include "encoding.h"

#define FIRST_ROOM 256
#define MOST_ROOM 65536

static int encode_fields(Writer *writer, Table *table, PyObject *document, int level);

static int
encode_parts(Writer *writer, Field *field, Key key, PyObject *parts, int level)
{
    if (level >= MOST_LEVELS || begin_element(writer, BSON_ARRAY, key, 0) == NULL)
        return -1;
    Py_ssize_t start = begin_document(writer);
    PyObject *part;
    int failed = start < 0 ? -1 : 0;
    for (Py_ssize_t i = 0; failed == 0 && (part = item_of(parts, i)) != NULL; i++) {
        char room[LONGEST_INDEX];
        Key index = index_key(room, sizeof(room), i);
        int is_known = Py_IS_TYPE(part, ((Table *)field->link)->model);
        if (!is_known || begin_element(writer, BSON_DOCUMENT, index, 0) == NULL)
            failed = -1;
        else
            failed = encode_fields(writer, (Table *)field->link, part, level + 1);
        Py_DECREF(part);
    }
    return failed < 0 ? -1 : end_document(writer, start);
}

/* A value that ``write`` would only copy, or hand on. Gives 1 where it isn't one. */
static int
encode_directly(Writer *writer, Field *field, Key key, PyObject *value, int level)
{
    State *state = writer->state;
    PyTypeObject *type = Py_TYPE(value);
    int fits = field->direct == MOMENTS && is_moment_in_utc(state, value);
    if (field->direct == TREES)
        fits = type == &PyDict_Type || type == &PyList_Type || is_among(state->tracked_types, type);
    if (!fits)
        return 1;
    Py_ssize_t size = writer->size;
    if (encode_value(writer, key, value, level) == 0)
        return 0;
    writer->size = size; /* something in it is not to be stored as it is */
    return PyErr_Occurred() ? -1 : 1;
}

/* A value that isn't None. Gives 1 where the database gets none of it. */
static int
encode_given(Writer *writer, Field *field, Key key, PyObject *value, int level)
{
    if ((PyObject *)Py_TYPE(value) == field->written)
        return encode_value(writer, key, value, level);
    if (is_part(field, value)) {
        if (level > MOST_LEVELS || begin_element(writer, BSON_DOCUMENT, key, 0) == NULL)
            return -1;
        return encode_fields(writer, (Table *)field->link, value, level);
    }
    if (are_parts(field, value))
        return encode_parts(writer, field, key, value, level);
    int done = encode_directly(writer, field, key, value, level);
    if (done < 1)
        return done;
    PyObject *written = PyObject_CallFunctionObjArgs(field->write, value, Py_None, NULL);
    if (written == NULL)
        return -1;
    done = written == Py_None ? 1 : encode_value(writer, key, written, level);
    Py_DECREF(written);
    return done;
}

static int
encode_field(Writer *writer, Field *field, PyObject *document, PyObject *data, Py_ssize_t *turn,
             int level)
{
    State *state = writer->state;
    PyObject *value = value_in_turn(state, data, field->name, document, turn);
    if (value == NULL)
        return -1;
    Key key = {field->key_text, (Py_ssize_t)field->key_length};
    int done = value == Py_None ? 1 : encode_given(writer, field, key, value, level);
    Py_DECREF(value);
    if (done < 0)
        return -1;
    if (done == 0 || !field->is_null)
        return 0;
    int is_left_out = lacks(state, data, field->name);
    if (is_left_out)
        return is_left_out < 0 ? -1 : 0;
    return encode_value(writer, key, Py_None, level);
}

/* Whether the field's key is that of the class's name, which was written before, and the same. */
static int
repeats_prefix(Table *table, Field *field)
{
    return table->prefix != Py_None && PyUnicode_Compare(field->key, table->state->name_cls) == 0;
}

static int
is_prefix(Table *table, Field *field, PyObject *data)
{
    PyObject *name = entry_of(data, field->name);
    int same = name == NULL ? !PyErr_Occurred()
                            : PyUnicode_CheckExact(name) && PyUnicode_CheckExact(table->prefix) &&
                                  PyUnicode_Compare(name, table->prefix) == 0;
    Py_XDECREF(name);
    return same;
}

static int
encode_prefix(Writer *writer, Table *table)
{
    return encode_value(writer, (Key){"_cls", 4}, table->prefix, 0);
}

static int
encode_each(Writer *writer, Table *table, PyObject *document, PyObject *data, int level)
{
    Py_ssize_t turn = 0;
    for (Py_ssize_t i = 0; i < table->count; i++) {
        Field *field = &table->fields[i];
        if (i == table->id_first && table->prefix != Py_None && encode_prefix(writer, table) < 0)
            return -1;
        if (repeats_prefix(table, field)) {
            if (!is_prefix(table, field, data))
                return -1;
        }
        else if (!field->has_storable_key ||
                 encode_field(writer, field, document, data, &turn, level + 1) < 0)
            return -1;
    }
    return 0;
}

static int
encode_fields(Writer *writer, Table *table, PyObject *document, int level)
{
    Py_ssize_t start = level > MOST_LEVELS ? -1 : begin_document(writer);
    if (start < 0)
        return -1;
    PyObject *data = data_of(writer->state, document);
    int failed = data == NULL ? -1 : encode_each(writer, table, document, data, level);
    Py_XDECREF(data);
    return failed < 0 ? -1 : end_document(writer, start);
}

/* Without an id, the driver, or MongoDB, would make one. */
static int
has_id(Writer *writer)
{
    return writer->size > 9 && memcmp(PyBytes_AS_STRING(writer->bytes) + 5, "_id", 4) == 0;
}

/* What the driver takes, of a Writer that is at its end. */
static PyObject *
encoded_document(Writer *writer)
{
    State *state = writer->state;
    if (_PyBytes_Resize(&writer->bytes, writer->size) < 0)
        return NULL;
    PyObject *document = PyBaseObject_Type.tp_new(state->encoded_type, state->no_arguments, NULL);
    if (document != NULL)
        put(document, state->encoded, writer->bytes);
    return document;
}

const char encode_doc[] = PyDoc_STR("encode(document, options)\n\n\
The document for the driver, with codec options for what the driver encodes; None where it has no\n\
id or can't be stored, and where only the way over a dictionary knows.");

PyObject *
table_encode(Table *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "encode() takes a document and codec options");
        return NULL;
    }
    if (self->state->encode_otherwise == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "set_up_encoding() comes first");
        return NULL;
    }
    if (!is_one(self, args[0]))
        return NULL;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, Py_MAX(self->last_size, FIRST_ROOM));
    if (bytes == NULL)
        return NULL;
    Writer writer = {self->state, bytes, args[1], 0};
    PyObject *document = NULL;
    if (encode_fields(&writer, self, args[0], 1) == 0 && has_id(&writer)) {
        self->last_size = Py_MIN(writer.size, MOST_ROOM);
        document = encoded_document(&writer);
    }
    Py_XDECREF(writer.bytes);
    if (document == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return document;
}

const char set_up_encoding_doc[] = PyDoc_STR("set_up_encoding(slot, datetime, utc, otherwise)\n\n\
Tells of the types that are encoded or made, once; ``slot`` is where what was encoded has its bytes.");

PyObject *
set_up_encoding(PyObject *module, PyObject *args)
{
    State *state = state_of(module);
    PyObject *slot, *datetime, *utc, *otherwise;
    if (!PyArg_ParseTuple(args, "OO!OO", &slot, &PyType_Type, &datetime, &utc, &otherwise))
        return NULL;
    if (state->encode_otherwise != NULL) {
        PyErr_SetString(PyExc_ValueError, "once");
        return NULL;
    }
    if (offset_of(slot, &state->encoded) < 0)
        return NULL;
    state->encoded_type = (PyTypeObject *)Py_NewRef((PyObject *)PyDescr_TYPE(slot));
    state->datetime_type = (PyTypeObject *)Py_NewRef(datetime);
    state->utc = Py_NewRef(utc);
    state->encode_otherwise = Py_NewRef(otherwise);
    Py_RETURN_NONE;
}
