"""Gives documents the form that they are to have in the target: fields renamed or left out,
then a function of the application's own, then constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import bson

from datalayer.errors import ConfigurationError, TransferError
from datalayer.importing import import_named
from datalayer.transfer.codecs import DECODED
from datalayer.transfer.errors import shown
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import id_of

MOST_BYTES = 16 * 2**20
"""Of a document: the server's ``maxBsonObjectSize``, the same everywhere."""
_FIRST = {"_id": None}
Transform: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
RawTransform: TypeAlias = Callable[[bytes], bytes]
"""Takes a document's bytes as they are in the source, and gives those for the target."""


def transform_of(plan: Plan, part: Part) -> RawTransform:
    """What ``plan`` does to each document of ``part``. The same document always has the same
    outcome."""
    if not plan.reshapes:
        return _as_it_is
    function = function_of(plan.transform) if plan.transform else None
    new_names = {old: new for new, old in plan.fields.items() if old is not None}
    left_out = {new for new, old in plan.fields.items() if old is None}

    def transformed(document: dict[str, Any]) -> Any:
        if plan.fields:
            document = {
                new_names.get(name, name): value
                for name, value in document.items()
                if name in new_names or name not in left_out
            }
        made: Any = document if function is None else function(document)
        if plan.constants and isinstance(made, Mapping):
            made = {**made, **plan.constants}
        return made

    return _checked(transformed, "transform", f"{part.source!r} on {plan.source!r}", plan.source)


def inverse_of(plan: Plan, part: Part) -> RawTransform | None:
    """The way back, from the target's form to the source's; ``None`` where there is none."""
    if not plan.reshapes:
        return _as_it_is
    if plan.inverse is None:
        return None
    function = function_of(plan.inverse)
    return _checked(function, "inverse", f"{part.target!r} on {plan.target!r}", plan.target)


def function_of(name: str) -> Transform:
    """The function that ``module:function`` names.

    Raises:
        ConfigurationError: where there is none.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigurationError(
            f"a transform is named as module:function, shop.archive:shortened say, not {name!r}"
        )
    try:
        found = getattr(import_named(module), attribute)
    except Exception as exc:
        raise ConfigurationError(
            f"the transform {name!r} can't be imported: {type(exc).__name__}"
        ) from exc
    if not callable(found):
        raise ConfigurationError(f"the transform {name!r} is no function")
    function: Transform = found
    return function


def _as_it_is(raw: bytes) -> bytes:
    return raw


def _checked(
    function: Callable[[dict[str, Any]], Any], what: str, where: str, alias: str
) -> RawTransform:
    """``function`` on documents as bytes; what it does wrong is told with the document's id."""

    def transform(raw: bytes) -> bytes:
        problem: str
        cause: Exception | None = None
        try:
            document = bson.decode(raw, DECODED)
            before = bson.encode({"_id": document["_id"]}, codec_options=DECODED)
            return _encoded(function(document), before, id_of(raw))
        except _UnfitError as exc:
            problem = str(exc)
        except Exception as exc:  # noqa: BLE001 - of the application's function
            problem, cause = f"failed ({type(exc).__name__})", exc
        raise TransferError(
            f"the {what} {problem}, for the document {shown([id_of(raw)])} of {where}; correct "
            "it, or leave the document out with the filter of another transfer",
            alias=alias,
        ) from cause

    return transform


def _encoded(document: Any, id_before: bytes, identifier: Any) -> bytes:
    if not isinstance(document, Mapping):
        raise _UnfitError(f"gave {type(document).__name__} where a document was expected")
    kept = {"_id": document["_id"]} if "_id" in document else {}
    if bson.encode(kept, codec_options=DECODED) != id_before:
        raise _UnfitError(
            "changed an _id (documents keep theirs, so that a transfer can go on after an "
            "interruption and be taken back)"
        )
    # First, where the server puts it; and with what was lost by decoding it.
    raw = bson.encode({**_FIRST, **document, "_id": identifier}, codec_options=DECODED)
    if len(raw) > MOST_BYTES:
        raise _UnfitError(
            f"gave {len(raw):,} bytes, and the server takes {MOST_BYTES:,} of a document"
        )
    return raw


class _UnfitError(Exception):
    """What a function gave is no document for the target."""
