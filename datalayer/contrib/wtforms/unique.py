"""Which unique values of a form another document has already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mongoengine.errors import NotUniqueError, ValidationError
from mongoengine.fields import EmbeddedDocumentField, ListField
from pymongo.read_preferences import ReadPreference

from datalayer.documents.fields.conversion import asked

TAKEN = "Another one has this already."

Path = tuple[str, ...]


def taken(form: Any) -> Iterator[Path]:
    """The fields of ``form``, by their names from the outside in, whose values are those of
    another document, by the model's unique indexes. Asked of the primary, in the database where
    the model's documents are now."""
    model, instance = form.model_class, form.instance
    is_stored = instance is not None and not instance._created
    for keys, index in _unique_indexes(model, is_stored):
        paths = [_path_of(model, key) for key in keys if key != "_cls"]
        shown = [path for path in paths if path is not None and field_at(form, path) is not None]
        if None in paths or not shown:
            continue  # saving finds out
        if any(field_at(form, path).errors for path in shown):
            continue
        asked_for = _filter(form, dict(zip((k for k in keys if k != "_cls"), paths, strict=True)))
        if asked_for is None or (index.get("sparse") and not any(asked_for.values())):
            continue
        if "_cls" in keys:
            asked_for["_cls"] = model._class_name
        if is_stored:
            asked_for = {"$and": [asked_for, {"_id": {"$ne": _key_of(instance)}}]}
        if _exists(model, asked_for, index.get("collation")):
            yield shown[0]


def refused(form: Any, error: NotUniqueError) -> Path | None:
    """The field of ``form`` that an error of the database is about."""
    details = getattr(error.__cause__, "details", None) or {}
    for key in details.get("keyPattern") or ():
        path = _path_of(form.model_class, key)
        if path is not None and field_at(form, path) is not None:
            return path
    return None


def field_at(form: Any, path: Path) -> Any:
    """The field of ``form`` under these names; ``None`` where it has none, or has a list on the
    way."""
    for name in path[:-1]:
        form = getattr(form._fields.get(name), "form", None)
        if form is None:
            return None
    return form._fields.get(path[-1])


def _unique_indexes(model: Any, is_stored: bool) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    for spec in model._meta.get("index_specs") or ():
        if spec.get("unique") and not spec.get("partialFilterExpression"):
            yield [key for key, _ in spec["fields"]], spec
    if not is_stored:
        yield ["_id"], {"sparse": True}


def _path_of(model: Any, key: str) -> Path | None:
    """The names of the attributes that are stored under ``key``."""
    names: list[str] = []
    for part in key.split("."):
        field = next((each for each in _fields_of(model) if each.db_field == part), None)
        if field is None:
            return None
        names.append(field.name)
        model = field.document_type if isinstance(field, EmbeddedDocumentField) else None
    return tuple(names)


def _fields_of(model: Any) -> Any:
    return () if model is None else model._fields.values()


def _filter(form: Any, paths: Mapping[str, Any]) -> dict[str, Any] | None:
    """The filter for the values that a document of this form would have; ``None`` where one of
    them can't be known."""
    found: dict[str, Any] = {}
    for key, path in paths.items():
        model_field, value = _held(form, path)
        if isinstance(model_field, ListField) and value:
            try:
                found[key] = {"$in": asked(model_field, list(value))}
            except ValidationError:
                return None
            continue
        try:
            found[key] = None if value in (None, []) else asked(model_field, value)
        except ValidationError:
            return None
    return found


def _held(form: Any, path: Path) -> tuple[Any, Any]:
    field, model, holder = field_at(form, path), form.model_class, form.instance
    for name in path[:-1]:
        model = model._fields[name].document_type
        holder = None if holder is None else getattr(holder, name)
    model_field = model._fields[path[-1]]
    if field is not None and not (getattr(field, "keeps", False) and field.data is None):
        return model_field, field.data
    if holder is not None:
        return model_field, getattr(holder, path[-1])
    default = model_field.default
    return model_field, default() if callable(default) else default


def _key_of(instance: Any) -> Any:
    return instance._fields[instance._meta["id_field"]].to_mongo(instance.pk)


def _exists(model: Any, asked_for: Mapping[str, Any], collation: Any) -> bool:
    collection = model._get_collection().with_options(read_preference=ReadPreference.PRIMARY)
    found = collection.find_one(asked_for, {"_id": 1}, collation=collation)
    return found is not None
