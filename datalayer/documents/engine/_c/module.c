/* The module: what it is told once, what it offers, and how it goes. */

#include "core.h"

/* The module's state, once it was told where things are. */
State *
ready_state_of(PyObject *module)
{
    State *state = state_of(module);
    if (state->base_type != NULL)
        return state;
    PyErr_SetString(PyExc_RuntimeError, "set_up() comes first");
    return NULL;
}

int
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
             "small_types, init, read_first, object_id_slot, int64_type)\n\n"
             "Tells where things are, once; returns a method for __init__.");

#define SLOTS 9
#define INSTANCE 5 /* the place of the slot that only embedded documents have */

static PyObject *
set_up(PyObject *module, PyObject *args)
{
    State *state = state_of(module);
    PyObject *slots, *base, *lazy, *empty, *tracked, *tracking, *small, *otherwise, *first;
    PyObject *object_id, *int64;
    Py_ssize_t *offsets[SLOTS] = {&state->data,         &state->changed,
                                  &state->initialised,  &state->created,
                                  &state->dynamic,      &state->instance,
                                  &state->lazy_pending, &state->lazy_converters,
                                  &state->lazy_document};
    if (!PyArg_ParseTuple(args, "O!O!O!OO!O!O!OOOO!", &PyTuple_Type, &slots, &PyType_Type, &base,
                          &PyType_Type, &lazy, &empty, &PyTuple_Type, &tracked, &PyTuple_Type,
                          &tracking, &PyTuple_Type, &small, &otherwise, &first,
                          &object_id, &PyType_Type, &int64))
        return NULL;
    if (state->base_type != NULL || PyTuple_GET_SIZE(slots) != SLOTS) {
        PyErr_SetString(PyExc_ValueError, "nine slots, once");
        return NULL;
    }
    for (int i = 0; i < SLOTS; i++)
        if (offset_of(PyTuple_GET_ITEM(slots, i), offsets[i]) < 0)
            return NULL;
    if (offset_of(object_id, &state->object_id) < 0)
        return NULL;
    PyObject *method = new_initialiser(module);
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
    state->object_id_type = (PyTypeObject *)Py_NewRef((PyObject *)PyDescr_TYPE(object_id));
    state->int64_type = Py_NewRef(int64);
    state->base_type = (PyTypeObject *)Py_NewRef(base);
    return method;
}

static PyMethodDef methods[] = {
    {"set_up", set_up, METH_VARARGS, set_up_doc},
    {"plain_copy", plain_copy, METH_O, copy_doc},
    {"list_copy", list_copy, METH_O, list_doc},
    {"split_reply", split_reply, METH_O, split_doc},
    {"object_ids", object_ids, METH_VARARGS, object_ids_doc},
    {"weight_of", weight_of, METH_O, weight_doc},
    {"set_up_encoding", set_up_encoding, METH_VARARGS, set_up_encoding_doc},
    {NULL, NULL, 0, NULL},
};

/* Adds a type; a new reference to it. */
static PyTypeObject *
added_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static int
fill_module(PyObject *module)
{
    State *state = state_of(module);
    if (prepare_decoding() < 0 || !(state->table_type = added_type(module, &table_spec)) ||
        !(state->attribute_type = added_type(module, &attribute_spec)) ||
        !(state->codec_type = added_type(module, &codec_spec)) ||
        !(state->elements_type = added_type(module, &elements_spec)))
        return -1;
    state->name_table = PyUnicode_InternFromString("_engine_table");
    state->name_cls = PyUnicode_InternFromString("_cls");
    state->name_load = PyUnicode_InternFromString("load");
    state->name_loader = PyUnicode_InternFromString("loader_of");
    state->name_dereferenced = PyUnicode_InternFromString("_dereferenced");
    state->no_arguments = PyTuple_New(0);
    if (state->name_table == NULL || state->name_cls == NULL || state->name_load == NULL ||
        state->name_loader == NULL || state->name_dereferenced == NULL || state->no_arguments == NULL)
        return -1;
    return 0;
}

static PyObject **
held_by(State *state, int index)
{
    PyObject **all[] = {(PyObject **)&state->base_type,     (PyObject **)&state->embedded_type,
                        (PyObject **)&state->lazy_type,     (PyObject **)&state->table_type,
                        (PyObject **)&state->codec_type,    (PyObject **)&state->elements_type,
                        (PyObject **)&state->object_id_type, &state->int64_type,
                        (PyObject **)&state->attribute_type, &state->tracked_types,
                        &state->own_types,                  &state->small_types,
                        &state->no_arguments,               &state->empty_dynamic,
                        &state->init_otherwise,             &state->read_first,
                        &state->name_table,                 &state->name_cls,
                        &state->name_load,                  &state->name_loader,
                        &state->name_dereferenced,
                        (PyObject **)&state->encoded_type,  (PyObject **)&state->datetime_type,
                        &state->utc,                        &state->encode_otherwise};
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
