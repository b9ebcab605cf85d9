"""The base of forms made of models: fills a document, checks it, and saves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from mongoengine.errors import DoesNotExist, MongoEngineException, NotUniqueError, ValidationError
from wtforms import Form

from datalayer.contrib.wtforms.errors import put_error, put_refusal
from datalayer.contrib.wtforms.fields.files import uploads_of
from datalayer.contrib.wtforms.unique import TAKEN, field_at, refused, taken
from datalayer.documents.versions.field import NAME as VERSION
from datalayer.errors import DataLayerError, OutcomeUnknownError, StaleDocumentError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Document = TypeVar("Document", default=Any)
else:
    from typing import TypeVar

    Document = TypeVar("Document")

STALE = (
    "This was changed or removed by somebody else in the meantime, and nothing was saved. "
    "Load the page again, and make your change there."
)
UNVERSIONED = (
    "This form doesn't say which version it was made from, and nothing was saved. "
    "Load the page again, and make your change there."
)


class _Readable:
    """A document to read from, whose references to what isn't there any more stay references."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._document, name)
        except DoesNotExist:
            return self._document._data.get(name)


class _Writes:
    """Writes the values of a form's fields, and nothing else, into a document."""

    model_class: ClassVar[Any]
    left_out: ClassVar[Mapping[str, str]] = {}
    """The model's fields that the form has no field for, with the reason."""
    _fields: dict[str, Any]

    def process(self, formdata: Any = None, obj: Any = None, *args: Any, **kwargs: Any) -> None:
        """Fill the fields, by WTForms, from what was sent and from ``obj``."""
        readable = None if obj is None else _Readable(obj)
        super().process(formdata, readable, *args, **kwargs)  # type: ignore[misc]

    def populate_obj(self, obj: Any) -> None:
        """Set the attributes of ``obj`` that the form has fields for.

        Those of the model, and properties that can be set: a button is none, nor is anything
        that was sent besides. Files are put into GridFS, and those that they replace are deleted.
        """
        with _files_of(self):
            self._populate(obj)

    def _populate(self, obj: Any) -> None:
        for name, field in self._fields.items():
            if self._writes(obj, name):
                field.populate_obj(obj, name)

    def _writes(self, obj: Any, name: str) -> bool:
        if name in getattr(obj, "_fields", ()):
            return True
        found = getattr(type(obj), name, None)
        return isinstance(found, property) and found.fset is not None


class EmbeddedForm(_Writes, Form):
    """The base of the forms of embedded documents, inside of others."""

    def populate_obj(self, obj: Any) -> None:
        """Set the fields; the form around this one sees to the files."""
        self._populate(obj)


class ModelFormMixin(_Writes, Generic[Document]):
    """What ``model_form`` adds to a form's class.

    ``instance`` is the document that is edited, ``obj=`` or ``instance=`` of the constructor;
    ``None`` for a new one.
    """

    form_errors: list[str]
    instance: Document | None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the fields

    def __init__(self, *args: Any, instance: Any = None, **kwargs: Any) -> None:
        if len(args) > 1:  # WTForms takes the document as its second argument, too
            kwargs["obj"], args = args[1], (args[0], *args[2:])
            if len(args) > 1:
                raise TypeError("name the arguments after obj")
        self._was_given_data = bool(args[0] if args else kwargs.get("formdata"))
        document = kwargs.get("obj") if instance is None else instance
        if document is not None:
            kwargs["obj"] = document
        self.instance = document if isinstance(document, self.model_class) else None
        super().__init__(*args, **kwargs)

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether the values fit the form and the model, and nobody else has those that have to
        be unique. The fields' ``errors`` say what is wrong, ``form_errors`` what no field is to
        blame for. The model's ``clean()`` is asked when saving.
        """
        self.form_errors.clear()
        is_valid = bool(super().validate(extra_validators))  # type: ignore[misc]
        for path in taken(self) if hasattr(self.model_class, "objects") else ():
            field = field_at(self, path)
            put_error(field, field.gettext(TAKEN))
            is_valid = False
        if self._lacks_version():
            self.form_errors.append(UNVERSIONED)
            is_valid = False
        return is_valid

    def save(
        self, document: Document | None = None, *, commit: bool = True, **kwargs: Any
    ) -> Document:
        """Write the values into ``document`` (by default the one that is edited, or a new one),
        save it unless ``commit`` is false, and return it. ``kwargs`` go to the document's
        ``save()``.

        What the model or the database refuses then stands beside the fields of the form, too.

        Raises:
            ValidationError: where the document isn't valid, by its ``clean()`` say.
            NotUniqueError: where another one with a unique value was saved meanwhile.
            StaleDocumentError: where the document was removed, or, of a versioned model, changed
                since the form was made.
        """
        written: Any = self.instance if document is None else document
        if written is None:
            written = self.model_class()
        if written._created and written._meta["id_field"] in self._fields:
            kwargs.setdefault("force_insert", True)  # a key that was typed replaces nothing
        with self._errors_shown(), _files_of(self):
            self._populate(written)
            if commit:
                written.save(**kwargs)
        self.instance = written
        return written  # type: ignore[no-any-return]

    def save_if_valid(self, document: Document | None = None, **kwargs: Any) -> Document | None:
        """``save()``, if the form was sent and is valid: the document, or ``None`` where something
        is wrong, which the form's ``errors`` say. Arguments are those of ``save``."""
        asked = getattr(self, "is_submitted", None)  # Flask-WTF's
        was_sent = self._was_given_data if asked is None else asked()
        if not was_sent or not self.validate():
            return None
        try:
            return self.save(document, **kwargs)
        except (ValidationError, NotUniqueError, StaleDocumentError):
            return None

    def _writes(self, obj: Any, name: str) -> bool:
        is_stored = not getattr(obj, "_created", True)
        meta = getattr(obj, "_meta", {})
        if name == meta.get("id_field") and is_stored:
            return False  # the key of a stored document doesn't change
        if name == VERSION and getattr(obj, "_version_key", None) is not None:
            return is_stored
        return super()._writes(obj, name)

    def _lacks_version(self) -> bool:
        """Whether a versioned document would be written over whatever is there."""
        field = self._fields.get(VERSION)
        if field is None or getattr(self.model_class, "_version_key", None) is None:
            return False
        instance: Any = self.instance
        return instance is not None and not instance._created and not field.raw_data

    @contextmanager
    def _errors_shown(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as exc:
            put_refusal(self, exc)
            raise
        except NotUniqueError as exc:
            path = refused(self, exc)
            if path is None:
                self.form_errors.append(TAKEN)
            else:
                put_error(field_at(self, path), TAKEN)
            raise
        except StaleDocumentError:
            self.form_errors.append(STALE)
            raise


class ModelForm(ModelFormMixin[Document], Form):
    """The base of forms made of models, on WTForms alone; see ``ModelFormMixin``."""


def takes_name(base_class: type, name: str) -> bool:
    """Whether a form has something of its own under this name, such as ``data``."""
    found = getattr(base_class, name, None) or getattr(ModelForm, name, None)
    reserved = name in ("form_errors", "instance", "meta")
    return reserved or (found is not None and not hasattr(found, "_formfield"))


@contextmanager
def _files_of(form: Any) -> Iterator[None]:
    """Delete the files that were replaced once all went well, and the new ones where nothing was
    written; where nobody knows, both are kept."""
    try:
        yield
    except OutcomeUnknownError:
        raise
    except (DataLayerError, MongoEngineException, ValidationError):
        for upload in uploads_of(form):
            upload.undo()
        raise
    for upload in uploads_of(form):
        upload.settle()
