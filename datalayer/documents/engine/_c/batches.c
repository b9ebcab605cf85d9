/* A batch of documents in a server's reply, cut into one ``bytes`` for each. */

#include "core.h"

/* Where a batch lies in a reply. */
typedef struct {
    Bytes cursor; /* the document that holds it */
    Element batch;
} Place;

/* The last element with this key, as bson has it; its type is 0 where there is none. */
static Element
element_called(Bytes document, const char *key)
{
    Element element = bson_element(bson_first(document)), found = {0};
    for (; element.type; element = bson_element(bson_after(&element)))
        if (strcmp((const char *)element.key, key) == 0)
            found = element;
    return found;
}

/* Whether a reply holds a batch: its documents are looked at later. */
static int
find_batch(Bytes reply, Place *place)
{
    Element cursor = element_called(reply, "cursor");
    if (cursor.type != BSON_DOCUMENT)
        return 0;
    place->cursor = cursor.value;
    place->batch = element_called(cursor.value, "firstBatch");
    if (place->batch.type == 0)
        place->batch = element_called(cursor.value, "nextBatch");
    return place->batch.type == BSON_ARRAY;
}

/* NULL without an error where something else is among them. */
static PyObject *
documents_in(Bytes array)
{
    PyObject *documents = PyList_New(0);
    Element element = bson_element(bson_first(array));
    for (; documents != NULL && element.type; element = bson_element(bson_after(&element))) {
        PyObject *bytes = NULL;
        if (element.type == BSON_DOCUMENT)
            bytes = PyBytes_FromStringAndSize((const char *)element.value,
                                              bson_uint32(element.value));
        if (bytes == NULL || PyList_Append(documents, bytes) < 0)
            Py_CLEAR(documents);
        Py_XDECREF(bytes);
    }
    return documents;
}

/* The reply with an empty array in the place of the batch. */
static PyObject *
without_batch(Bytes reply, const Place *place)
{
    uint32_t size = bson_uint32(reply), batch = bson_uint32(place->batch.value);
    size_t before = (size_t)(place->batch.value - reply);
    uint32_t rest = size - batch + BSON_SHORTEST;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, rest);
    if (bytes == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(bytes);
    memcpy(to, reply, before);
    bson_put_uint32(to, rest);
    bson_put_uint32(to + (place->cursor - reply),
                    bson_uint32(place->cursor) - batch + BSON_SHORTEST);
    bson_put_uint32(to + before, BSON_SHORTEST);
    to[before + 4] = 0;
    memcpy(to + before + BSON_SHORTEST, reply + before + batch, size - before - batch);
    return bytes;
}

const char split_doc[] = PyDoc_STR("split_reply(reply)\n\n\
The reply without its batch, and the batch as a list of bytes; None where there is none, or the\n\
reply isn't sound.");

PyObject *
split_reply(PyObject *module, PyObject *reply)
{
    Py_buffer view;
    Place place;
    PyObject *result = NULL;
    if (PyObject_GetBuffer(reply, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (!has_sound_frame(view.buf, (size_t)view.len) || !find_batch(view.buf, &place))
        result = Py_NewRef(Py_None);
    else {
        PyObject *rest = without_batch(view.buf, &place);
        PyObject *documents = rest == NULL ? NULL : documents_in(place.batch.value);
        if (documents != NULL)
            result = PyTuple_Pack(2, rest, documents);
        else if (!PyErr_Occurred())
            result = Py_NewRef(Py_None);
        Py_XDECREF(rest);
        Py_XDECREF(documents);
    }
    PyBuffer_Release(&view);
    return result;
}
