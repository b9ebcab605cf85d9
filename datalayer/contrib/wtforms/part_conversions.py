"""The form's fields for what consists of parts or lies elsewhere: references, embedded documents,
lists, files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mongoengine.base import BaseField
from mongoengine.fields import (
    CachedReferenceField,
    EmbeddedDocumentField,
    FileField,
    LazyReferenceField,
    ListField,
    ReferenceField,
)

from datalayer.contrib.wtforms.conversions import (
    FieldArgs,
    LeftOut,
    Options,
    converts,
    without,
    without_fit,
)
from datalayer.contrib.wtforms.fields import choices
from datalayer.contrib.wtforms.fields.converted import json_field
from datalayer.contrib.wtforms.fields.documents import (
    DocumentSelectField,
    DocumentSelectMultipleField,
)
from datalayer.contrib.wtforms.fields.files import BytesField, UploadField
from datalayer.contrib.wtforms.fields.parts import EmbeddedField, ListOfField

_REFERENCES = (CachedReferenceField, LazyReferenceField, ReferenceField)


class PartConversions:
    """The part of a converter for what consists of parts or lies elsewhere."""

    def convert(self, model: Any, field: BaseField, field_args: Any) -> Any:
        """The converter's: for the members of a list."""
        raise NotImplementedError

    def form_of(self, kind: Any, field_args: FieldArgs | None) -> Any:
        """The converter's: the class of the form of an embedded document."""
        raise NotImplementedError

    # References

    @converts("ReferenceField", "LazyReferenceField", "CachedReferenceField")
    def conv_Reference(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A choice of documents."""
        return DocumentSelectField(
            **{
                "allow_blank": not field.required,
                "queryset": lambda: field.document_type.objects,
                "label_modifier": _label_modifier(model, field),
                **kwargs,
            }
        )

    # What consists of parts

    @converts("EmbeddedDocumentField")
    def conv_EmbeddedDocument(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A form of its own, inside of this one."""
        kind = field.document_type
        inner = self.form_of(kind, kwargs.pop("field_args", None))
        kwargs = without(kwargs, "validators", "filters")
        return EmbeddedField(inner, make=kind, is_required=field.required, **kwargs)

    @converts("ListField")
    def conv_List(self, model: Any, field: Any, kwargs: Options) -> Any:
        """Several choices of documents or values; otherwise a field for each member."""
        inner = field.field
        if inner is None:
            return json_field(field.to_mongo, **kwargs)
        kwargs["default"] = kwargs["default"] or list
        if isinstance(inner, _REFERENCES):
            return DocumentSelectMultipleField(
                **{
                    "queryset": lambda: inner.document_type.objects,
                    "label_modifier": _label_modifier(model, field),
                    **kwargs,
                }
            )
        if inner.choices:
            return choices.some_of(inner.choices, **without(kwargs, "multiple"))
        inner_args = kwargs.pop("field_args", None)
        if isinstance(inner, FileField) or getattr(inner, "secret", False):
            raise LeftOut("its members are files or secrets, which have no place in rows")
        if isinstance(inner, ListField) and isinstance(inner.field, EmbeddedDocumentField):
            raise LeftOut("its rows would have rows with parts")
        if isinstance(inner, EmbeddedDocumentField):
            inner_args = {"field_args": inner_args}
            kwargs = without_fit(kwargs)  # the rows are forms, not documents yet
        entry = self.convert(model, inner, inner_args)
        return ListOfField(entry, **without(kwargs, "filters"))

    # Files

    @converts("BinaryField")
    def conv_Binary(self, model: Any, field: Any, kwargs: Options) -> Any:
        """An upload, whose contents are kept in the document."""
        return BytesField(**{"max_bytes": field.max_bytes, **kwargs})

    @converts("FileField")
    def conv_File(self, model: Any, field: Any, kwargs: Options) -> Any:
        """An upload into GridFS."""
        kwargs = without(without_fit(kwargs), "default")
        return UploadField(**{"may_delete": not field.required, **kwargs})

    @converts("ImageField")
    def conv_Image(self, model: Any, field: Any, kwargs: Options) -> Any:
        """An upload of an image into GridFS."""
        return self.conv_File(model, field, {"render_kw": {"accept": "image/*"}, **kwargs})

    # What a form is not for

    @converts("SequenceField")
    def conv_Sequence(self, model: Any, field: Any, kwargs: Options) -> Any:
        """The database counts it."""
        raise LeftOut("the database counts it")

    @converts("GenericReferenceField", "GenericLazyReferenceField", "GenericEmbeddedDocumentField")
    def conv_Generic(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A form would have to name a class."""
        raise LeftOut("it may hold documents of any class, which a form can't choose")


def _label_modifier(model: Any, field: Any) -> Callable[[Any], object] | None:
    """A function ``<field>_label_modifier`` of the model's, as Flask-MongoEngine looks for it."""
    found = getattr(model, f"{field.name}_label_modifier", None)
    return found if callable(found) else None
