"""Steps for which documents come to this process: values that a function converts, values that
are put back, and documents that a function changes as it likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from mongoengine import QuerySet
from mongoengine.errors import OperationError
from pymongo import DeleteOne, UpdateOne

from datalayer.errors import DataLayerError
from datalayer.migrations.steps.batches import Condition, Counts, Work
from datalayer.migrations.steps.kinds.fields import (
    check_names,
    check_no_arrays,
    count,
    stopped,
    value_at,
)
from datalayer.migrations.steps.kinds.kept import keep, kept
from datalayer.migrations.steps.kinds.step import Step
from datalayer.migrations.steps.targets import Target
from datalayer.transfer.codecs import DECODED, RAW

_ABSENT = object()


def convert(target: Target, name: str, function: Callable[[Any], Any], migration: str) -> Step:
    """``m.convert``."""
    check_names(target, name)
    there = {name: {"$exists": True}}
    into = kept(target, migration, name)

    def do(condition: Condition) -> Counts:
        options = target.connection.client.codec_options
        stored = target.collection.with_options(codec_options=RAW)
        found = list(stored.find(target.selecting(condition, there), {name: True}))
        changed = []
        for document in found:
            before = value_at(bson.decode(document.raw, DECODED), name)
            try:
                # The function gets values as the application's documents have them.
                after = function(value_at(bson.decode(document.raw, options), name))
                same = _bytes(after) == _bytes(before)
            except Exception as exc:
                raise stopped(target, "convert", bson.decode(document.raw)["_id"], exc) from exc
            if not same:
                id = bson.decode(document.raw, DECODED)["_id"]
                changed.append({"_id": id, "value": before, "became": after})
        keep(into, changed)
        if changed:
            target.collection.bulk_write([_put(each, name) for each in changed], ordered=False)
        return len(found), len(changed)

    return Step(
        "convert",
        target,
        (name, function),
        Work(target, do, limits_itself=False, holds_documents=True),
        lambda: count(target, target.selecting(there)),
        lambda: check_no_arrays(target, name),
    )


def restore_field(target: Target, name: str, migration: str) -> Step:
    """``m.restore_field``."""
    check_names(target, name)
    source = kept(target, migration, name)

    def do(condition: Condition) -> Counts:
        entries = {_bytes(each["_id"]): each for each in source.collection.find(dict(condition))}
        ids = [each["_id"] for each in entries.values()]
        puts: list[Any] = []
        restored: list[Any] = []
        for document in target.collection.find({"_id": {"$in": ids}}, {name: True}):
            entry = entries.get(_bytes(document["_id"]))
            if entry is None:
                continue  # another id, which the collection's collation takes for the same
            now = _value_or_absent(document, name)
            if _same(now, entry.get("became", _ABSENT)):
                mine = {"_id": entry["_id"], **_as_it_became(name, entry)}
                puts.append(UpdateOne(mine, {"$set": {name: entry["value"]}}))
            elif not _same(now, entry["value"]):
                continue  # somebody has written it since: that stays
            restored.append(DeleteOne({"_id": entry["_id"]}))
        changed = 0
        if puts:
            changed = target.collection.bulk_write(puts, ordered=False).modified_count
        if restored and changed == len(puts):
            source.collection.bulk_write(restored, ordered=False)
        return len(entries), changed

    return Step(
        "restore_field",
        target,
        (name,),
        Work(source, do, limits_itself=True, holds_documents=True),
        lambda: count(source, {}),
    )


def each(model: Any, target: Target, function: Callable[[Any], Any], filter: Any) -> Step:
    """``m.each``."""
    if target.model is None:
        raise target.error("m.each() takes a model: its documents are given to the function")
    if not isinstance(filter, Mapping | None):
        raise target.error(
            f"m.each() of {target} takes a filter of MongoDB's, unlike a {type(filter).__name__}"
        )
    wanted = filter or {}

    def do(condition: Condition) -> Counts:
        # Not Model.objects, which may leave documents out.
        queryset = model._meta.get("queryset_class", QuerySet)(model, model._get_collection())
        found = list(queryset(__raw__=target.selecting(condition, wanted)))
        changed = 0
        for document in found:
            try:
                function(document)
                if document._get_changed_fields():
                    document.save()
                    changed += 1
            except (DataLayerError, OperationError):
                raise  # the transaction is to be done again, perhaps
            except Exception as exc:
                raise stopped(target, "each", document.pk, exc) from exc
        return len(found), changed

    return Step(
        "each",
        target,
        (function, wanted),
        Work(target, do, limits_itself=False, holds_documents=True),
        lambda: count(target, target.selecting(wanted)),
    )


def _put(entry: Mapping[str, Any], name: str) -> UpdateOne:
    return UpdateOne({"_id": entry["_id"]}, {"$set": {name: entry["became"]}})


def _bytes(value: Any) -> bytes:
    if isinstance(value, RawBSONDocument):
        value = bson.decode(value.raw, DECODED)
    return bson.encode({"": value}, codec_options=DECODED)


def _value_or_absent(document: Any, name: str) -> Any:
    try:
        return value_at(document, name)
    except (KeyError, TypeError):
        return _ABSENT


def _same(one: Any, other: Any) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return _bytes(one) == _bytes(other)


def _as_it_became(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    if "became" not in entry:
        return {name: {"$exists": False}}
    return {"$expr": {"$eq": [f"${name}", {"$literal": entry["became"]}]}}
