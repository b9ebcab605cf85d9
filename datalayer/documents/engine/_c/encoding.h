/* What the files that encode BSON share: what they write into, keys and elements. */

#ifndef DATALAYER_ENCODING_H
#define DATALAYER_ENCODING_H

#include "core.h"

/* What is written is what the driver's encoder makes of what writing.c makes, byte by byte. What
   MongoDB would not store, or the driver would not encode, is refused without an error: the way
   over a dictionary tells what is wrong with it, see bson_limits.py. So a function that gives -1 or
   NULL without an error has refused. */

typedef struct {
    State *state;
    PyObject *bytes;   /* what was written, and room behind it; NULL after an error */
    PyObject *options; /* for what the driver encodes */
    Py_ssize_t size;
} Writer;

typedef struct {
    const char *text;
    Py_ssize_t length;
} Key;

#define LONGEST_INDEX 20

/* Begins an element; the place of the ``count`` bytes of its value. */
char *begin_element(Writer *writer, enum bson_type type, Key key, Py_ssize_t count);

/* Begins a document; where its size is to be written, or -1. */
Py_ssize_t begin_document(Writer *writer);
int end_document(Writer *writer, Py_ssize_t start);

/* The key of an item of a list, written into the end of ``room``. */
Key index_key(char *room, size_t size, Py_ssize_t index);

int is_moment_in_utc(State *state, PyObject *value);

/* ``level`` is how deep a container at this place lies. */
int encode_value(Writer *writer, Key key, PyObject *value, int level);

#endif
