"""Which validator do the models of a collection declare? Their own schema, or a filter that is
written down in ``meta``. Asks no server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from datalayer.errors import IndexBuildError

Model = type[Any]  # of datalayer or of MongoEngine
SchemaOf = Callable[[Model], Mapping[str, Any]]

OWN_SCHEMA = "model"
"""What ``meta["validator"]`` says where the model's fields say it all."""

_OPTIONS: Mapping[str, tuple[str, frozenset[str]]] = {
    "validation_level": ("validationLevel", frozenset({"off", "moderate", "strict"})),
    "validation_action": ("validationAction", frozenset({"error", "errorAndLog", "warn"})),
}
_schemas: list[SchemaOf] = []  # put here by what knows fields, which stands above this


def take_schemas_from(function: SchemaOf) -> None:
    """Have ``function`` say what a model's ``$jsonSchema`` is."""
    _schemas[:] = [function]


def collection_schema(models: Sequence[Model]) -> dict[str, Any]:
    """The ``$jsonSchema`` of a collection: what its documents fit, whichever of ``models`` they
    are of. Of a tree of classes, the topmost speaks for all."""
    roots = [model for model in models if not any(base in models for base in model.__mro__[1:])]
    schemas = [dict(_schemas[0](root)) for root in roots]
    return schemas[0] if len(schemas) == 1 else {"bsonType": "object", "anyOf": schemas}


def validator_options(models: Sequence[Model], alias: str, collection: str) -> dict[str, Any]:
    """The options of ``create`` and ``collMod`` that the ``meta`` of ``models`` asks for.

    Raises:
        IndexBuildError: for a value that means nothing.
    """
    options: dict[str, Any] = {}
    for model in models:
        declared = model._meta.get("validator")
        if declared == OWN_SCHEMA:
            options["validator"] = {"$jsonSchema": collection_schema(models)}
        elif isinstance(declared, Mapping) and declared:
            options["validator"] = declared
        elif declared:
            wanted = f'"{OWN_SCHEMA}" or a filter'
            raise _meaningless(model, "validator", wanted, alias, collection)
        for key, (option, values) in _OPTIONS.items():
            value = model._meta.get(key)
            if value and value not in values:
                wanted = _one_of(values)
                raise _meaningless(model, key, wanted, alias, collection)
            if value:
                options[option] = value
    return options


def _one_of(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in sorted(values))


def _meaningless(
    model: Model, key: str, wanted: str, alias: str, collection: str
) -> IndexBuildError:
    return IndexBuildError(
        f"{model.__name__} declares {key} = {model._meta[key]!r} in its meta for "
        f"{alias}.{collection}; it takes {wanted}",
        alias=alias,
        collection=collection,
    )
