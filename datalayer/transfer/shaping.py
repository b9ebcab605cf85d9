"""Gives documents the form that they are to have in the target: fields renamed or left out,
then a function of the application's own, then constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import bson

from datalayer.errors import ConfigurationError, TransferError
from datalayer.named_modules import import_named
from datalayer.transfer.exact import DECODED, key_of
from datalayer.transfer.plan import Plan

__all__ = ["Shape", "Transform", "function_of", "shape_of", "unshape_of"]

Transform: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
Shape: TypeAlias = Callable[[bytes], bytes]
"""Takes a document's bytes as they are in the source, and gives those for the target."""


def shape_of(plan: Plan) -> Shape:
    """What ``plan`` does to each document. The same document always has the same outcome."""
    if not plan.reshapes:
        return _as_it_is
    function = function_of(plan.transform) if plan.transform else None

    def shape(raw: bytes) -> bytes:
        document = bson.decode(raw, DECODED)
        identifier = document.get("_id")
        document = _mapped(document, plan.fields)
        shaped: Any = document if function is None else function(document)
        if plan.constants and isinstance(shaped, Mapping):
            shaped = {**shaped, **plan.constants}
        return _encoded(shaped, identifier)

    return shape


def unshape_of(plan: Plan) -> Shape | None:
    """The way back, from the target's form to the source's; ``None`` where there is none."""
    if not plan.reshapes:
        return _as_it_is
    if plan.inverse is None:
        return None
    function = function_of(plan.inverse)

    def unshape(raw: bytes) -> bytes:
        document = bson.decode(raw, DECODED)
        return _encoded(function(document), document.get("_id"))

    return unshape


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


def _mapped(document: dict[str, Any], fields: Mapping[str, str | None]) -> dict[str, Any]:
    if not fields:
        return document
    new_names = {old: new for new, old in fields.items() if old is not None}
    left_out = {new for new, old in fields.items() if old is None}
    return {
        new_names.get(name, name): value
        for name, value in document.items()
        if name in new_names or name not in left_out
    }


def _encoded(document: Any, identifier: Any) -> bytes:
    if not isinstance(document, Mapping):
        raise TransferError(
            f"the transform gave {type(document).__name__} where a document was expected; leave "
            "documents out with the filter"
        )
    if "_id" not in document or key_of(document["_id"]) != key_of(identifier):
        raise TransferError(
            "the transform changed an _id; documents keep theirs, so that a transfer can go on "
            "after an interruption and be taken back"
        )
    return bson.encode(document, codec_options=DECODED)
