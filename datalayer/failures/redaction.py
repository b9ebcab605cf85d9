"""Takes the values of documents out of what the driver and MongoEngine say about failures.

The server's messages repeat values: of the keys that are there twice, of the document that a
validator refused, of the whole command that a user may not run.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from datalayer.failures.connecting import kind_of
from datalayer.failures.tracebacks import is_internal

_HIDDEN = "***"
_DUPLICATED = re.compile(r"dup key: .*", re.DOTALL)
_SPEAKERS = frozenset({"pymongo", "mongoengine", "bson"})


def without_values(exc: OperationFailure) -> OperationFailure:
    """``exc``, or one of the same class whose text and details name keys and hide their values.

    For what the server says about single writes: duplicate keys, refused documents, and bulk
    writes with either. Codes, indexes and the positions in a bulk write stay.
    """
    details = exc.details
    if not isinstance(exc, (BulkWriteError, WriteError)) or not isinstance(details, Mapping):
        return exc
    hidden = _without_values(details)
    text = str(hidden.get("errmsg", type(exc).__name__))
    if isinstance(exc, BulkWriteError):
        return BulkWriteError(hidden)
    kind = DuplicateKeyError if isinstance(exc, DuplicateKeyError) else WriteError
    return kind(text, exc.code, hidden)


def without_contents(exc: BaseException) -> BaseException:
    """``exc`` for a log: stand-ins take the places of the errors in its chain.

    They have the same names and tracebacks. The texts of the driver's and MongoEngine's errors
    are left out, those of others stay.
    """
    return _stand_in(exc, {}) if any(map(_may_hold_contents, _all_of(exc, {}))) else exc


def traceback_without_contents(exc: BaseException) -> str:
    """The traceback of ``exc`` and what led to it, as Python prints it, for a log."""
    return "".join(traceback.format_exception(without_contents(exc))).rstrip("\n")


def _without_values(details: Mapping[str, Any]) -> dict[str, Any]:
    hidden = dict(details)
    if isinstance(hidden.get("errmsg"), str):
        hidden["errmsg"] = _DUPLICATED.sub(f"dup key: {_HIDDEN}", hidden["errmsg"])
    if isinstance(hidden.get("keyValue"), Mapping):
        hidden["keyValue"] = dict.fromkeys(hidden["keyValue"], _HIDDEN)
    for name in ("errInfo", "op"):
        if name in hidden:
            hidden[name] = _HIDDEN
    if isinstance(hidden.get("writeErrors"), list):
        hidden["writeErrors"] = [_without_values(each) for each in hidden["writeErrors"]]
    return hidden


def _may_hold_contents(exc: BaseException) -> bool:
    return any(each.__module__.partition(".")[0] in _SPEAKERS for each in type(exc).__mro__)


def _all_of(exc: BaseException, found: dict[int, BaseException]) -> list[BaseException]:
    if id(exc) not in found:
        found[id(exc)] = exc
        for other in (exc.__cause__, exc.__context__):
            if other is not None:
                _all_of(other, found)
    return list(found.values())


def _stand_in(exc: BaseException, made: dict[int, BaseException]) -> BaseException:
    if id(exc) in made:
        return made[id(exc)]
    kind = type(exc)
    text = str(exc)
    if _may_hold_contents(exc):
        code = getattr(exc, "code", None)
        text = "its text may hold values of documents" + (f" (error {code})" if code else "")
    name = kind_of(exc) if is_internal(kind) else kind.__qualname__
    own = {"__module__": kind.__module__, "__qualname__": name}
    stand_in: BaseException = type(kind.__name__, (Exception,), own)(text)
    made[id(exc)] = stand_in
    cause, context = exc.__cause__, exc.__context__
    stand_in.__cause__ = None if cause is None else _stand_in(cause, made)
    stand_in.__context__ = None if context is None else _stand_in(context, made)
    stand_in.__suppress_context__ = exc.__suppress_context__
    stand_in.__traceback__ = exc.__traceback__
    return stand_in
