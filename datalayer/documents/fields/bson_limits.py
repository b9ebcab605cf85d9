"""Whether MongoDB can store what a model is about to write: found out before anything is sent,
and told with the field's name. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import NoneType
from typing import Any
from uuid import UUID

import bson
from bson import CodecOptions, Decimal128, ObjectId
from bson.binary import UuidRepresentation
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from mongoengine.errors import ValidationError

from datalayer.documents.engine import EncodedDocument, core

# https://www.mongodb.com/docs/manual/reference/limits/#bson-documents: both are limits of the
# server, which the driver's encoder doesn't know (of the size it knows 16 KiB too much).
LARGEST_BYTES = 16 * 1024 * 1024
MOST_LEVELS = 100

ENCODING: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

LOWEST, HIGHEST = -(2**63), 2**63 - 1  # BSON's int64, https://bsonspec.org/spec.html
_SMALL = frozenset({NoneType, bool, float, datetime, ObjectId, Decimal128, UUID})
_BYTES_PER_MEMBER = 32  # more than the type, an index as a key, lengths and any small value take
_MOST_PARTS_SHOWN = 8
_POSITION = re.compile(r"\$(\[\w*\])?")
_STORING = frozenset(
    {"$addToSet", "$inc", "$max", "$min", "$mul", "$push", "$set", "$setOnInsert"}
)


class RawMapping(dict[str, Any]):
    """A mapping whose keys may hold dots and begin with a dollar sign."""


class _Misfit(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []  # from the inside to the outside


def check_document(document: Mapping[str, Any], where: str) -> None:
    """Refuse a document that MongoDB can't store, or could not change or query by path later.

    That is: more than 16 MiB or 100 levels, an integer over 64 bits, text that isn't Unicode (a
    lone surrogate), a value of a type that BSON lacks, and keys that are no strings, hold a NUL
    or a dot, or begin with a dollar sign. MongoDB stores the latter two since 5.0; but a dot
    means a path and a dollar an operator, so that they can't be queried, indexed or updated
    (https://www.mongodb.com/docs/manual/core/dot-dollar-considerations/).

    A ``RawBSONDocument`` is taken as it is: it was BSON before. So are the dots and dollar signs
    of a ``RawMapping``, which holds what is not looked into.

    Raises:
        ValidationError: with the dotted path of the field in ``errors``; never with its value.
    """
    if type(document) is EncodedDocument:  # it was looked into while it was made
        return
    if not _is_light(document) and isinstance(document, (dict, Mapping)):
        _check(document, where, partial(_weigh, document, 1))


def _is_light(document: Any) -> bool:
    """Whether it is known that it can be stored: plain values under plain keys, not too many."""
    return core is not None and 0 <= core.weight_of(document) <= LARGEST_BYTES


def check_update(update: Any, where: str) -> None:
    """Refuse an update that stores what ``check_document`` refuses. A pipeline is left to the
    server, which computes it.

    Raises:
        ValidationError: as ``check_document``.
    """
    if not isinstance(update, Mapping):
        return
    for operator, changes in update.items():
        if not _is_light(changes) and isinstance(changes, Mapping):
            _check(changes, where, partial(_weigh_changes, changes, operator in _STORING))


def check_path_to_change(document: Any, path: str, where: str) -> None:
    """Refuse a change under a key that holds a dot.

    MongoEngine knows what changed by its path. It would look for such a key's value elsewhere,
    and lose the change without a word.

    Raises:
        ValidationError: as ``check_document``.
    """
    here, rest = document, path
    while isinstance(here, Mapping) and rest:
        for key in here:
            if "." in key and (rest == key or rest.startswith(f"{key}.")):
                outer = path[: len(path) - len(rest)]
                raise _error(outer + shown_key(key), "has a dot in its key", where)
        first, _, rest = rest.partition(".")
        here = here.get(first)


def check_call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> None:
    """Check what a writing method of PyMongo's collection was given."""
    check, keyword, position = _CHECKS[name]
    given = args[position] if position < len(args) else kwargs.get(keyword)
    check(given, where)


def shown_key(key: object) -> str:
    """A key that came from outside, as it may stand in a message: short, one line, ASCII."""
    if isinstance(key, str) and re.fullmatch(r"[\w$-]{1,64}", key, re.ASCII):
        return key
    return ascii(key[:64]) if isinstance(key, str) else f"<{type(key).__name__}>"


def _check_documents(documents: Any, where: str) -> None:
    if isinstance(documents, (list, tuple)):  # an iterator can be read only once, by the driver
        for document in documents:
            check_document(document, where)


def _check_requests(requests: Any, where: str) -> None:
    for request in requests if isinstance(requests, (list, tuple)) else ():
        written = getattr(request, "_doc", None)  # an update holds only operators, or a list
        is_update = type(request).__name__.startswith("Update")
        (check_update if is_update else check_document)(written, where)  # type: ignore[arg-type]


_CHECKS: Mapping[str, tuple[Callable[[Any, str], None], str, int]] = {
    "bulk_write": (_check_requests, "requests", 0),
    "find_one_and_replace": (check_document, "replacement", 1),
    "find_one_and_update": (check_update, "update", 1),
    "insert_many": (_check_documents, "documents", 0),
    "insert_one": (check_document, "document", 0),
    "replace_one": (check_document, "replacement", 1),
    "update_many": (check_update, "update", 1),
    "update_one": (check_update, "update", 1),
}


def _check(members: Mapping[str, Any], where: str, weigh: Callable[[], int]) -> None:
    try:
        weight = weigh()
    except _Misfit as misfit:
        raise _error(_joined(misfit.path[::-1]), misfit.reason, where) from None
    if weight > LARGEST_BYTES:
        _check_size(members, where)


def _check_size(members: Mapping[str, Any], where: str) -> None:
    size = len(bson.encode(members, codec_options=ENCODING))
    if size > LARGEST_BYTES:
        sizes = {key: _encoded_size(value) for key, value in members.items()}
        largest = max(sizes, key=sizes.__getitem__)
        reason = (
            f"takes {sizes[largest]} of {size} bytes; a document has at most {LARGEST_BYTES}. "
            "Split it, or keep large contents elsewhere (GridFS)"
        )
        raise _error(largest, reason, where)


def _joined(path: Sequence[str]) -> str:
    shown = ".".join(path[:_MOST_PARTS_SHOWN])
    return shown if len(path) <= _MOST_PARTS_SHOWN else f"{shown}..."


def _error(path: str, reason: str, where: str) -> ValidationError:
    # MongoEngine completes the message with the errors.
    errors = {path: ValidationError(reason, field_name=path)}
    return ValidationError(f"{where!r} can't store this ", errors=errors, field_name=path)


# The weight is at least the size as BSON. It saves encoding twice: only what weighs too much is
# encoded to know its size.


def _weigh(value: Any, level: int) -> int:
    """The weight of one value; ``level`` is how deep a container at its place lies."""
    if isinstance(value, (list, tuple)):
        _check_level(level)
        return _weigh_members(enumerate(value), level + 1)
    if isinstance(value, str):
        return len(_encoded(value))
    if isinstance(value, RawBSONDocument):
        return len(value.raw)
    if isinstance(value, RawMapping):
        _check_level(level - 1 + _levels(value))
        return _encoded_size(value)
    if isinstance(value, dict):
        _check_level(level)
        # Past SON, whose own methods keep an order that doesn't matter here, and are slow.
        return _check_keys(dict.keys(value)) + _weigh_members(dict.items(value), level + 1)
    if isinstance(value, Mapping):
        _check_level(level)
        return _check_keys(value.keys()) + _weigh_members(value.items(), level + 1)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, int):
        if not LOWEST <= value <= HIGHEST:
            raise _Misfit("is an integer of more than 64 bits")
        return 0
    return 0 if type(value) in _SMALL else _encoded_size(value)


def _weigh_members(members: Iterable[tuple[Any, Any]], level: int) -> int:
    # Runs with every save: what most fields hold is dealt with here, without a call.
    weight = 0
    for key, value in members:
        weight += _BYTES_PER_MEMBER
        kind = type(value)
        if kind is str and value.isascii():
            weight += len(value)
        elif kind not in _SMALL and not (kind is int and LOWEST <= value <= HIGHEST):
            try:
                weight += _weigh(value, level)
            except _Misfit as misfit:
                misfit.path.append(shown_key(key) if isinstance(key, str) else str(key))
                raise
    return weight


def _weigh_changes(changes: Mapping[str, Any], stores: bool) -> int:
    weight = 0
    for path, value in changes.items():
        try:
            weight += _check_path(path) + _BYTES_PER_MEMBER
            if not stores:
                weight += _encoded_size(value)
                continue
            each = value.get("$each") if isinstance(value, Mapping) else None
            weight += _weigh(value if each is None else each, path.count(".") + 2)
        except _Misfit as misfit:
            misfit.path.append(".".join(map(shown_key, str(path).split("."))))
            raise
    return weight


def _check_level(level: int) -> None:
    if level > MOST_LEVELS:
        raise _Misfit(f"lies deeper than {MOST_LEVELS} levels")


def _levels(value: Any) -> int:
    """How deep ``value`` is; it has been found to be encodable, so that it ends."""
    if isinstance(value, (Mapping, list, tuple)):
        members = value.values() if isinstance(value, Mapping) else value
        return 1 + max(map(_levels, members), default=0)
    return 0


def _check_keys(keys: Collection[str]) -> int:
    try:
        text = "".join(keys)
    except TypeError:
        raise _Misfit("has a key that is not a string") from None
    if not text.isascii() or "\0" in text or "." in text or "$" in text:
        for key in keys:
            try:
                _check_key(key)
            except _Misfit as misfit:
                misfit.path.append(shown_key(key))
                raise
        return len(text.encode())
    return len(text)


def _check_key(key: str) -> None:
    _encoded(key)
    if "\0" in key:
        raise _Misfit("has a NUL in its key")
    if "." in key:
        raise _Misfit("has a dot in its key")
    if key.startswith("$"):
        raise _Misfit("has a key that begins with a dollar sign")


def _check_path(path: str) -> int:
    if not isinstance(path, str):
        raise _Misfit("is not a string")
    if "$" in path or "\0" in path or not path.isascii():
        for part in path.split("."):
            if not _POSITION.fullmatch(part):
                _check_key(part)
    return len(path)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _Misfit("is not valid Unicode (a surrogate without its pair)") from None


def _encoded_size(value: Any) -> int:
    try:
        return len(bson.encode({"": value}, codec_options=ENCODING))
    except (BSONError, OverflowError, RecursionError, TypeError, ValueError):
        raise _Misfit(f"is a {type(value).__name__} that BSON can't hold") from None
