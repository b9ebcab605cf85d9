"""When ``created_at`` and ``updated_at`` are set, and when an update sets them itself. Pure
functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mongoengine.base.common import UPDATE_OPERATORS

from datalayer.documents.queries.pipeline_timestamps import first_part, stamped_pipeline
from datalayer.documents.times import utc_now


def keeps_timestamp(model: Any, name: str) -> bool:
    """Whether ``model`` has the time stamp ``name``; ``meta = {"timestamps": False}`` has none."""
    return name in model._fields and bool(model._meta.get("timestamps"))


def stamped_update(
    model: Any, update: dict[str, Any], *, upsert: bool, query: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """``update`` (MongoEngine's keyword arguments) with the time stamps it doesn't touch itself.

    ``query`` is what an upsert looks for: a document that it inserts has what is asked for there
    to be equal, ``created_at`` too. A pipeline that makes another document of it keeps the class's
    name besides.
    """
    raw = update.get("__raw__")
    if not (update or upsert):
        return update
    updated = _stored_name(model, "updated_at")
    created = _stored_name(model, "created_at")
    now = utc_now()
    inserted = None
    if upsert and created is not None:
        inserted = _asked_for(query or {}, created) or now
    if isinstance(raw, list):
        stages = stamped_pipeline(
            raw,
            now,
            updated=updated,
            created=created,
            inserted=inserted,
            carried=_carried(model),
        )
        return {**update, "__raw__": stages}
    # Two operators on one field are a conflict, so what is touched in any way is left alone.
    decided = set(touched(model, update))
    stamps: dict[str, Any] = {}
    if updated is not None and updated not in decided:
        stamps["set__updated_at"] = now
    if inserted is not None and created not in decided:
        stamps["set_on_insert__created_at"] = inserted
    return {**stamps, **update}


def _carried(model: Any) -> tuple[str, ...]:
    """The keys besides the time stamps that a pipeline may not lose by the way."""
    of_class = ("_cls",) if model._meta.get("allow_inheritance") else ()
    version = getattr(model, "_version_key", None)
    return of_class if version is None else (*of_class, version)


def _stored_name(model: Any, name: str) -> str | None:
    """What the time stamp is called in the database; ``None`` where the model keeps none."""
    return model._fields[name].db_field if keeps_timestamp(model, name) else None


def touched(model: Any, update: Mapping[str, Any]) -> Iterator[str]:
    """The fields, by their names in the database, that the update changes in any way."""
    for key, value in update.items():
        if key == "__raw__":
            yield from _touched_by_operators(value)
            continue
        operator, _, rest = key.partition("__")
        is_operator = bool(rest) and operator in UPDATE_OPERATORS
        name = rest.partition("__")[0] if is_operator else operator
        field = model._fields.get(name)
        yield name if field is None else field.db_field
        if is_operator and operator == "rename":
            yield first_part(value)


def _touched_by_operators(raw: Any) -> Iterator[str]:
    for operator, change in raw.items() if isinstance(raw, Mapping) else ():
        if isinstance(change, Mapping):
            yield from map(first_part, change)
            if operator == "$rename":
                yield from map(first_part, change.values())


def _asked_for(query: Mapping[str, Any], name: str) -> Any:
    """The one value that ``query`` wants the field to have; ``None`` where there is none."""
    for key, value in query.items():
        found = None
        if key == name:
            found = _only_value(value)
        elif key == "$and" or (key == "$or" and len(value) == 1):
            found = next(filter(None, (_asked_for(part, name) for part in value)), None)
        if found is not None:
            return found
    return None


def _only_value(asked: Any) -> Any:
    if not (isinstance(asked, Mapping) and any(str(key).startswith("$") for key in asked)):
        return asked
    for operator in ("$in", "$all"):
        if len(asked.get(operator, ())) == 1:
            return asked[operator][0]
    return asked.get("$eq")
