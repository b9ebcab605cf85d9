"""Transforms that make something else of document 7, which can't be stored."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Document = dict[str, Any]


def at_seven(document: Document) -> Any:
    return chosen(document) if document["n"] == 7 else document


def enlarged(document: Document) -> Document:
    return {**document, "text": "x" * 16 * 2**20}


def as_large_as_can_be(document: Document) -> Document:
    return {**document, "text": "x" * (16 * 2**20 - 49)}


def _levels(count: int) -> Document:
    inner: Document = {}
    for _ in range(count):
        inner = {"a": inner}
    return inner


def nested(document: Document) -> Document:
    return {**document, "inner": _levels(190)}


def nested_beyond_all(document: Document) -> Document:
    return {**document, "inner": _levels(250)}


def nested_without_end(document: Document) -> Document:
    return {**document, "inner": _levels(5000)}


def with_another_id(document: Document) -> Document:
    return {**document, "_id": 8}


def with_an_id_of_another_type(document: Document) -> Document:
    return {**document, "_id": 7.0}


def without_an_id(document: Document) -> Document:
    return {"n": 7}


def of_no_type(document: Document) -> Document:
    return {**document, "price": Decimal(1)}


def too_great(document: Document) -> Document:
    return {**document, "price": 2**70}


def failing(document: Document) -> Document:
    raise KeyError("secret contents")


def silent(document: Document) -> None:
    return None


def turned_round(document: Document) -> Document:
    return dict(reversed(document.items()))


chosen: Callable[[Document], Any] = dict
