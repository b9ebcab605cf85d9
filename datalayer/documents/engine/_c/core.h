/* What the files of the engine's part in C share: the module's state, the fields of a class, and the
   small things done with slots, dictionaries and lists.

   What is done here is what the Python of compile/ does, for the regular case: whatever is out of
   the ordinary is handed to the Python function beside it (``otherwise``). Without this module the
   Python alone does the same work. Public API of CPython only; both ways pass the same tests.

   Whatever calls Python or allocates may run anything: a finalizer, a callback of the collector,
   another thread. So what was looked up in a list, a dictionary or a slot is held by a reference
   of one's own before the next call, and sizes are looked at anew after it. What a table or an
   attribute refers to stays as it is while that lives. */

#ifndef DATALAYER_CORE_H
#define DATALAYER_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "bson.h"

/* Nothing but the module's own function is for others. */
#ifdef __GNUC__
#pragma GCC visibility push(hidden)
#endif

/* What one interpreter's module knows. */
typedef struct {
    /* Where the slots of documents lie, found once from their descriptors. */
    Py_ssize_t data, changed, initialised, created, dynamic, instance;
    Py_ssize_t lazy_pending, lazy_converters, lazy_document, object_id;
    PyTypeObject *base_type, *embedded_type, *lazy_type; /* NULL before set_up() */
    PyTypeObject *table_type, *attribute_type, *codec_type, *elements_type, *object_id_type;
    PyObject *int64_type;
    PyObject *tracked_types, *own_types, *small_types; /* tuples */
    PyObject *no_arguments, *empty_dynamic, *init_otherwise, *read_first;
    PyObject *name_table, *name_cls, *name_load, *name_loader, *name_dereferenced;
    /* Of what is encoded; NULL before set_up_encoding(). */
    PyTypeObject *encoded_type, *datetime_type;
    PyObject *utc, *encode_otherwise;
    Py_ssize_t encoded; /* where an encoded document has its bytes */
} State;

static inline State *
state_of(PyObject *module)
{
    return (State *)PyModule_GetState(module);
}

/* The module's state, once it was told where things are; else NULL with an error. */
State *ready_state_of(PyObject *module);

/* Where a slot lies, by its descriptor. */
int offset_of(PyObject *descriptor, Py_ssize_t *offset);

/* The fields of one class */

enum load { SCALAR, AS_IS, DEFERRED, CONVERTED, CLASS_NAME, ASSIGN };
enum preset { CONSTANT, CALLED, ASSIGNED };
enum check { PASSES, TYPED, JUDGED };
enum link { NO_LINK, ONE, LIST };
enum direct { NOTHING, MOMENTS, TREES };

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
    PyObject *assign;    /* for ASSIGN: given the document, a value or None, and whether it is there */
    const char *key_text; /* the key in UTF-8, which lives as long as it */
    size_t key_length;
    PyObject *link;      /* the table of the embedded documents that it holds, or NULL */
    Py_ssize_t shortest, longest; /* of a text; -1 for no limit */
    unsigned char link_kind, links_validate, load, preset_kind, check, is_null, is_required;
    unsigned char direct; /* what is encoded as it is, though ``write`` would make a copy */
    unsigned char has_storable_key; /* without what MongoDB takes for a path or an operator */
} Field;

typedef struct {
    PyObject_HEAD
    State *state;     /* of the module */
    PyObject *module; /* keeps it */
    Py_ssize_t count, waiting, assigns; /* fields: all, those that may wait, those assigned */
    Field *fields;
    PyTypeObject *model;
    PyObject *class_name, *converters, *finish, *missing, *allowed;
    PyObject *read_otherwise, *construct_otherwise;
    PyObject *receivers; /* tuple of dictionaries: while one has an entry, nothing is done here */
    PyObject *prefix;    /* the class's name, written before the fields; or None */
    PyObject *keys;      /* the keys that may stand in a raw document, or None for any */
    int is_embedded, id_first;
    Py_ssize_t last_size; /* of a document that was encoded: the next one may need as much */
} Table;

/* Of a document that was loaded from bytes. */
typedef struct {
    PyObject_VAR_HEAD
    PyObject *bytes, *codec;
    Table *table;
    uint32_t places[1]; /* where the element of each field begins in the bytes; 0: it waits not */
} Elements;

/* Slots, dictionaries and lists */

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* Whether a class is one of a tuple of them. Nobody's __hash__ or __eq__ is asked. */
static inline int
is_among(PyObject *types, PyTypeObject *type)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(types); i++)
        if (PyTuple_GET_ITEM(types, i) == (PyObject *)type)
            return 1;
    return 0;
}

static inline void
put(PyObject *object, Py_ssize_t offset, PyObject *value) /* takes no reference */
{
    PyObject *before = SLOT(object, offset);
    SLOT(object, offset) = Py_NewRef(value);
    Py_XDECREF(before);
}

/* A new reference to what a slot holds, if it is a dictionary; else NULL, without an error. */
static inline PyObject *
dictionary_in(PyObject *object, Py_ssize_t offset)
{
    PyObject *found = SLOT(object, offset);
    return found != NULL && PyDict_Check(found) ? Py_NewRef(found) : NULL;
}

/* A new reference to what a dictionary holds; NULL without an error where it holds nothing. */
static inline PyObject *
entry_of(PyObject *dictionary, PyObject *key)
{
    return Py_XNewRef(PyDict_GetItemWithError(dictionary, key));
}

/* The same where keys mostly come in the order in which they are asked for: the next one is looked
   for at ``turn`` first, which takes a fraction of a lookup. */
static inline PyObject *
entry_in_turn(PyObject *dictionary, PyObject *key, Py_ssize_t *turn)
{
    PyObject *found, *value;
    Py_ssize_t after = *turn;
    if (PyDict_Next(dictionary, &after, &found, &value) && found == key) {
        *turn = after;
        return Py_NewRef(value);
    }
    return entry_of(dictionary, key);
}

/* A new reference to an item of a list; NULL without an error past its present end. */
static inline PyObject *
item_of(PyObject *list, Py_ssize_t index)
{
    return index < PyList_GET_SIZE(list) ? Py_NewRef(PyList_GET_ITEM(list, index)) : NULL;
}

/* How far a loop over a dictionary is. */
typedef struct {
    Py_ssize_t size, left, position;
} Walk;

static inline Walk
walk_over(PyObject *dictionary)
{
    Py_ssize_t size = PyDict_GET_SIZE(dictionary);
    return (Walk){size, size, 0};
}

/* copies.c */

PyObject *shallow_copy(PyObject *list);
int next_of(PyObject *dictionary, Walk *walk, PyObject **key, PyObject **value);
PyObject *plain_copy(PyObject *module, PyObject *value);
PyObject *list_copy(PyObject *module, PyObject *list);
extern const char copy_doc[], list_doc[];

/* documents.c */

void begin(Table *self, PyObject *document, PyObject *data, int created);
int finish(Table *self, PyObject *document);
PyObject *new_document(Table *self);
int is_one(Table *self, PyObject *document);
int own(State *state, PyObject *part, PyObject *document);

static inline int
is_part(Field *field, PyObject *value)
{
    return field->link_kind == ONE && Py_IS_TYPE(value, ((Table *)field->link)->model);
}

int are_parts(Field *field, PyObject *value);

PyObject *new_lazy_data(State *state);
PyObject *completed_document(Table *self, PyObject *data, PyObject *pending, int created,
                             int (*fill)(Table *, PyObject *, Elements *));

/* soundness.c, decoding.c */

int is_sound(Bytes document, size_t room);
int has_sound_frame(Bytes reply, size_t room);
int prepare_decoding(void);
PyObject *decode_text(Bytes value);
PyObject *decode_whole(PyObject *codec, PyObject *bytes);
PyObject *decode_value(PyObject *codec, unsigned char type, Bytes value);

/* reading.c, loading.c, elements.c, batches.c */

int read_preset(Field *field, PyObject *data);
int read_value(Table *self, Field *field, PyObject *value, PyObject *data, PyObject *pending);
PyObject *load_document(Table *table, PyObject *bytes, Bytes document, PyObject *codec,
                        int created);
Elements *new_elements(Table *table, PyObject *bytes, PyObject *codec);
PyObject *value_decoded_now(State *state, PyObject *data, PyObject *name);
PyObject *first_value(Table *table, PyObject *data, Py_ssize_t index, PyObject *document);
int is_waiting(PyObject *elements, PyObject *name);
PyObject *split_reply(PyObject *module, PyObject *reply);
extern const char split_doc[];

/* decoding.c, object_ids.c */

PyObject *decode_object_id(State *state, Bytes value);
PyObject *object_ids(PyObject *module, PyObject *args);
extern const char object_ids_doc[];

/* values.c */

PyObject *data_of(State *state, PyObject *document);
int is_partial(State *state, PyObject *data);
PyObject *value_of(State *state, PyObject *data, PyObject *name, PyObject *document);
PyObject *value_in_turn(State *state, PyObject *data, PyObject *name, PyObject *document,
                        Py_ssize_t *turn);
PyObject *wanted_value_of(State *state, PyObject *data, PyObject *name, PyObject *document);
int waits(State *state, PyObject *data, PyObject *name);
int lacks(State *state, PyObject *data, PyObject *name);

/* What tables do, a file each */

int is_listened_to(Table *self);
PyObject *table_read(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_load(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_construct(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_write(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_encode(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_errors_of(Table *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_is_clean(Table *self, PyObject *document);
PyObject *table_mark_saved(Table *self, PyObject *document);
extern const char read_doc[], load_doc[], construct_doc[], write_doc[], encode_doc[],
    errors_doc[], clean_doc[], saved_doc[];

PyObject *set_up_encoding(PyObject *module, PyObject *args);
extern const char set_up_encoding_doc[];

/* storable.c */

#define MOST_LEVELS 100

int is_storable_key(const char *text, Py_ssize_t length);

PyObject *weight_of(PyObject *module, PyObject *document);
extern const char weight_doc[];

/* The module's types and methods */

extern PyType_Spec table_spec, attribute_spec, codec_spec, elements_spec;

/* initialising.c */

PyObject *new_initialiser(PyObject *module);

#endif
