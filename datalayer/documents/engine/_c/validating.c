/* Validating: the errors of the fields. */

#include "core.h"

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

/* Whether the embedded documents of a field are valid: 1; 0: to be judged; -1: an error. */
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
validate_field(Table *self, Field *field, PyObject *document, PyObject *data, Py_ssize_t *turn,
               PyObject *clean, PyObject *errors)
{
    PyObject *value = value_in_turn(self->state, data, field->name, document, turn);
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
    Py_ssize_t turn = 0;
    for (Py_ssize_t i = 0; errors != NULL && i < self->count; i++) {
        Field *field = &self->fields[i];
        int skipped = skips && field->load == DEFERRED ? waits(state, data, field->name) : 0;
        if (skipped < 0 ||
            (!skipped && validate_field(self, field, document, data, &turn, clean, errors) < 0))
            Py_CLEAR(errors);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(data);
    return errors;
}

const char errors_doc[] = PyDoc_STR("errors_of(document, clean, skips)\n\nThe errors of the fields.");

PyObject *
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
