/* What stands in a class as __init__. A method in C that takes keywords gets them as an array, made
   of a dictionary and made one again; this hands the dictionary on. */

#include "core.h"

typedef struct {
    PyObject_HEAD
    PyObject *module;
} Initialiser;

static PyObject *
by_python(State *state, PyObject *document, PyObject *args, PyObject *values)
{
    PyObject *own = PyTuple_Pack(1, document);
    PyObject *all = own == NULL ? NULL : PySequence_Concat(own, args);
    PyObject *done = all == NULL ? NULL : PyObject_Call(state->init_otherwise, all, values);
    Py_XDECREF(own);
    Py_XDECREF(all);
    return done;
}

/* Constructs a document by its class's table, or as ``set_up`` was told. */
static PyObject *
initialise(PyObject *module, PyObject *document, PyObject *args, PyObject *values)
{
    State *state = state_of(module);
    if (PyTuple_GET_SIZE(args) || values == NULL)
        return by_python(state, document, args, values);
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(document)), *done = NULL;
    PyObject *found = PyObject_GetAttr(type, state->name_table);
    int is_its = 0;
    if (found != NULL) {
        Table *table = Py_IS_TYPE(found, state->table_type) ? (Table *)found : NULL;
        PyObject *const arguments[] = {document, values};
        is_its = table != NULL && (PyObject *)table->model == type && !is_listened_to(table);
        done = is_its ? table_construct(table, arguments, 2)
                      : by_python(state, document, args, values);
        Py_DECREF(found);
    }
    Py_DECREF(type);
    return done;
}

/* Of the method of one document: ``self`` is the module and the document. */
static PyObject *
init(PyObject *self, PyObject *args, PyObject *values)
{
    return initialise(PyTuple_GET_ITEM(self, 0), PyTuple_GET_ITEM(self, 1), args, values);
}

PyDoc_STRVAR(init_doc, "init(document, **values)\n\n\
Constructs a document by its class's table, or as ``set_up`` was told.");

static PyMethodDef init_method = {"__init__", (PyCFunction)(void (*)(void))init,
                                  METH_VARARGS | METH_KEYWORDS, init_doc};

static PyObject *
name_of(PyObject *self, void *unused)
{
    return PyUnicode_FromString(init_method.ml_name);
}

static PyGetSetDef attributes[] = {{"__name__", name_of, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyObject *
initialiser_get(PyObject *self, PyObject *document, PyObject *type)
{
    if (document == NULL || document == Py_None)
        return Py_NewRef(self);
    PyObject *pair = PyTuple_Pack(2, ((Initialiser *)self)->module, document);
    PyObject *method = pair == NULL ? NULL : PyCFunction_New(&init_method, pair);
    Py_XDECREF(pair);
    return method;
}

static PyObject *
initialiser_call(PyObject *self, PyObject *args, PyObject *values)
{
    if (PyTuple_GET_SIZE(args) == 0) {
        PyErr_SetString(PyExc_TypeError, "__init__() needs a document");
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    PyObject *done = rest == NULL ? NULL
                                  : initialise(((Initialiser *)self)->module,
                                               PyTuple_GET_ITEM(args, 0), rest, values);
    Py_XDECREF(rest);
    return done;
}

static int
initialiser_traverse(Initialiser *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    return 0;
}

static void
initialiser_dealloc(Initialiser *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->module);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyType_Slot initialiser_slots[] = {
    {Py_tp_doc, (void *)init_doc},
    {Py_tp_getset, attributes},
    {Py_tp_descr_get, initialiser_get},
    {Py_tp_call, initialiser_call},
    {Py_tp_traverse, initialiser_traverse},
    {Py_tp_dealloc, initialiser_dealloc},
    {0, NULL},
};

static PyType_Spec initialiser_spec = {
    .name = "datalayer.documents.engine._core.Initialiser",
    .basicsize = sizeof(Initialiser),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = initialiser_slots,
};

PyObject *
new_initialiser(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &initialiser_spec, NULL);
    if (type == NULL)
        return NULL;
    Initialiser *made = (Initialiser *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    Py_DECREF(type);
    if (made != NULL)
        made->module = Py_NewRef(module);
    return (PyObject *)made;
}
