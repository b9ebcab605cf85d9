"""How does a pipeline get at what lies at a path, in embedded documents, lists and maps?"""

from __future__ import annotations

from typing import Any

Stages = list[dict[str, Any]]


def values_at(path: str) -> Stages:
    """Stages that give a document ``{_id, value}`` for each value at ``path``, which is written as
    rules have it: ``lines[].sku``, ``prices.*.amount``."""
    stages: Stages = []
    value = "$$ROOT"
    for step in path.replace("[]", ".[]").split("."):
        if step in ("[]", "*"):
            stages.append({"$project": {"value": value}})
            stages += _pairs() if step == "*" else [{"$unwind": "$value"}]
            value = "$value.v" if step == "*" else "$value"
        elif step:
            value = f"${step}" if value == "$$ROOT" else f"{value}.{step}"
    return [*stages, {"$project": {"value": value}}]


def names_at(path: str) -> Stages:
    """Stages that give a document ``{_id, name}`` for each field in the place that ``path``
    names, whose last step is ``*``."""
    parent = path.removesuffix("*").removesuffix(".")
    return [*values_at(parent), *_pairs(), {"$project": {"name": "$value.k"}}]


def _pairs() -> Stages:
    is_document = {"$eq": [{"$type": "$value"}, "object"]}
    pairs = {"$cond": [is_document, {"$objectToArray": "$value"}, []]}
    return [{"$project": {"value": pairs}}, {"$unwind": "$value"}]
