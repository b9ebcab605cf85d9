"""From recorded events to BSON documents with ids: what the database can't store is found here,
event by event, so that it stops no other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import bson
from bson import ObjectId

from datalayer import routing
from datalayer.context.places import Place
from datalayer.documents.engine import core, written
from datalayer.documents.engine import encoded as encoded_document
from datalayer.documents.fields.bson_limits import ENCODING, LARGEST_BYTES, check_document
from datalayer.documents.save import prepared_names
from datalayer.documents.times import utc_now
from datalayer.documents.timestamps import keeps_timestamp
from datalayer.recorder.queues import Queue, Target
from datalayer.recorder.state import Prepare

_COUNTER_BITS = 24
_UNFIT = object()
"""What no encoder takes."""


class Ids:
    """Makes ids as the driver does, of time, random part and counter; four times as fast.

    The random part is its own, so that its ids differ from the driver's like those of another
    process. For one thread.
    """

    def __init__(self) -> None:
        self._random = os.urandom(5)
        self._counter = int.from_bytes(os.urandom(3), "big")

    def next(self, seconds: bytes) -> ObjectId:
        """An id; ``seconds`` are those of the time, in 4 bytes."""
        self._counter = (self._counter + 1) % (1 << _COUNTER_BITS)
        return ObjectId(seconds + self._random + self._counter.to_bytes(3, "big"))

    @staticmethod
    def seconds() -> bytes:
        """The present time for ``next``."""
        return (int(time.time()) & 0xFFFFFFFF).to_bytes(4, "big")


def place_of(model: Any) -> Place:
    """Where an event for ``model`` that is recorded now is to be stored."""
    if hasattr(model, "_collection_now"):
        return routing.place_for(model)
    return Place(model._meta.get("db_alias", "default"))  # a class of plain MongoEngine


def target_of(model: Any, alias: str | None = None) -> Target:
    """Where the events for ``model`` go: to its own alias, or to ``alias``."""
    series = model._meta.get("timeseries")
    return Target(
        model=model._class_name,
        alias=alias or model._meta.get("db_alias", "default"),
        collection=model._get_collection_name(),
        time_field=series["timeField"] if series else None,
    )


def fixed_fields(model: Any) -> dict[str, Any]:
    """What every stored document of ``model`` holds: the class's name, where it has relatives, and
    its first version."""
    named = {"_cls": model._class_name} if model._meta.get("allow_inheritance") else {}
    version = getattr(model, "_version_key", None)
    return named if version is None else {**named, version: 1}


def stamps_of(model: Any) -> tuple[str, ...]:
    """The keys of the time stamps that ``model`` keeps."""
    names = ("created_at", "updated_at")
    return tuple(model._fields[name].db_field for name in names if keeps_timestamp(model, name))


def stored_form(document: Any, *, as_bson: bool) -> Any:
    """What the database shall have of ``document``, which gets its id and time stamps: a mapping,
    or with ``as_bson`` BSON where that can be made at once. ``None`` where it has no stored form.
    ``TypeError`` for what is no document."""
    to_mongo = getattr(document, "to_mongo", None)
    if to_mongo is None or isinstance(document, type):
        raise TypeError(
            "record() takes a document, or a dict and its model, "
            f"not a {type(document).__name__} alone"
        )
    try:
        raw = _encoded_at_once(document) if as_bson else None
        if raw is not None:
            return raw
        stored = written(document)
        if hasattr(document, "_prepare_insert"):
            # Afterwards, since id and time stamps have the stored form already.
            document._prepare_insert()
            values, fields = document._data, document._fields
            for name in prepared_names(document):
                if name in fields and stored.get(fields[name].db_field) is None:
                    stored[fields[name].db_field] = values.get(name)
        return stored
    except Exception:  # noqa: BLE001 - a request must not fail for its analytics
        return None


def _encoded_at_once(document: Any) -> bytes | None:
    if not hasattr(document, "_prepare_insert"):
        return None
    document._prepare_insert()
    found = encoded_document(document, ENCODING)
    return None if found is None else found.raw


def encoded(event: Mapping[str, Any]) -> bytes | None:
    """``event`` as BSON; ``None`` for what the database can't store.

    The encoder itself finds nearly all that ``check_document`` refuses, in a fraction of the
    time; so that is asked only when the encoder objects.
    """
    try:
        raw = bson.encode(event, True, ENCODING)
    except Exception:  # noqa: BLE001 - any object may be in there, and fail in its own way
        try:
            check_document(event, "")  # some models allow dots and dollar signs in certain keys
            return bson.encode(event, False, ENCODING)
        except Exception:  # noqa: BLE001 - as above
            return None
    return raw if len(raw) <= LARGEST_BYTES else None


class Encoder:
    """Makes stored documents of events. For one thread, since its ids are.

    As BSON; or, unless ``as_bson``, as dicts where the compiled core has looked into them: then
    the driver encodes a batch at once, for less than half of the time. What is BSON stays so.
    """

    def __init__(self, prepare: Prepare | None, *, as_bson: bool) -> None:
        self._prepare = prepare
        self._as_bson = as_bson or core is None
        self._ids = Ids()

    def documents(self, queue: Queue, events: Iterable[Any]) -> tuple[list[Any], int]:
        """Those of ``events`` that the database can store, with ids and time stamps, and their
        size, about."""
        moment, seconds = utc_now(), Ids.seconds()
        next_id, stamps, fixed, prepare = self._ids.next, queue.stamps, queue.fixed, self._prepare
        found: list[Any] = []
        size = 0
        for recorded in events:
            if type(recorded) is bytes:
                found.append(recorded)
                size += len(recorded)
                continue
            # MongoEngine's SON, of documents, has a slow way of being copied and encoded.
            event = recorded if type(recorded) is dict else dict(dict.items(recorded))
            if prepare is not None:
                event = self._prepared(prepare, queue, event)
            if event.get("_id") is None:
                event["_id"] = next_id(seconds)
            for key in stamps:
                if event.get(key) is None:
                    event[key] = moment
            if fixed:
                event = {**fixed, **event}
            weight = -1 if self._as_bson else core.weight_of(event)
            if 0 <= weight <= LARGEST_BYTES:
                found.append(event)
                size += weight
            elif (raw := encoded(event)) is not None:
                found.append(raw)
                size += len(raw)
        return found, size

    @staticmethod
    def _prepared(prepare: Prepare, queue: Queue, event: dict[str, Any]) -> dict[str, Any]:
        try:
            prepared: Any = prepare(event, queue.model)
            return dict(dict.items(prepared))
        except Exception:  # noqa: BLE001 - one bad event must not stop the others
            return {"": _UNFIT}
