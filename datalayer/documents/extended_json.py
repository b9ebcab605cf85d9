"""How documents are shown: as MongoDB's relaxed Extended JSON with standard UUIDs, and without
the fields that are marked secret."""

from __future__ import annotations

import json
from typing import Any

from bson import json_util
from bson.binary import UuidRepresentation
from bson.json_util import JSONMode, JSONOptions
from mongoengine.base import BaseField, get_document
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import EmbeddedDocumentField, GenericEmbeddedDocumentField

JSON_OPTIONS = JSONOptions(
    json_mode=JSONMode.RELAXED, uuid_representation=UuidRepresentation.STANDARD, tz_aware=True
)


def json_ready(value: Any) -> Any:
    """``value`` made of what JSON has, by MongoDB's relaxed Extended JSON."""
    return json.loads(json_util.dumps(value, json_options=JSON_OPTIONS))


class ToJson:
    """The part of documents, and of embedded ones, that shows them as JSON."""

    def to_json(self, *args: Any, **kwargs: Any) -> str:
        """MongoDB's relaxed Extended JSON, without the fields marked secret.

        ``use_db_field=False`` takes the attributes' names; ``json_options`` another dialect.
        """
        use_db_field = kwargs.pop("use_db_field", True)
        kwargs.setdefault("json_options", JSON_OPTIONS)
        data: dict[str, Any] = self.to_mongo(use_db_field)  # type: ignore[attr-defined]
        shown = without_secrets(type(self), data, use_db_field=use_db_field)
        return json_util.dumps(shown, *args, **kwargs)

    @classmethod
    def from_json(cls, json_data: str, created: bool = False, **kwargs: Any) -> Any:
        """An instance from what ``to_json`` gave, as in MongoEngine."""
        kwargs.setdefault("json_options", JSON_OPTIONS)
        return super().from_json(json_data, created, **kwargs)  # type: ignore[misc]


def without_secrets(
    model: Any, data: dict[str, Any], *, use_db_field: bool = True
) -> dict[str, Any]:
    """Take the secret fields of ``model`` out of ``data``, embedded documents included.

    ``data`` is what ``to_mongo`` or the driver gave; it is changed and returned.
    """
    shown = get_document(data["_cls"]) if "_cls" in data else model
    for name, field in shown._fields.items():
        key = field.db_field if use_db_field else name
        if getattr(field, "secret", False):
            data.pop(key, None)
        elif key in data:
            _look_inside(field, data[key], use_db_field)
    return data


def _look_inside(field: BaseField | None, value: Any, use_db_field: bool) -> None:
    if isinstance(value, list):
        for item in value:
            _look_inside(getattr(field, "field", None), item, use_db_field)
    elif isinstance(value, dict):
        if isinstance(field, EmbeddedDocumentField):
            without_secrets(field.document_type, value, use_db_field=use_db_field)
        elif isinstance(field, GenericEmbeddedDocumentField):
            without_secrets(get_document(value["_cls"]), value, use_db_field=use_db_field)
        elif isinstance(field, ComplexBaseField):
            for item in value.values():
                _look_inside(field.field, item, use_db_field)
