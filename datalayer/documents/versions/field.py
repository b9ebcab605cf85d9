"""Which classes are versioned: gives one whose ``meta`` says so the field ``version``."""

from __future__ import annotations

from typing import Any

from mongoengine.fields import IntField

from datalayer.documents.engine.field_plan import attribute_of
from datalayer.errors import ConfigurationError

NAME = "version"


def add_version(model: Any) -> None:
    """Give ``model``, which is being defined, its field where ``meta["versioned"]`` is true.

    An abstract class gets none: its subclasses inherit what its ``meta`` says.

    Raises:
        ConfigurationError: where the class has something else of that name, or differs from the
            class whose collection it shares.
    """
    if model._meta.get("abstract"):
        return
    is_wanted = model._meta.get("versioned", False)
    if not isinstance(is_wanted, bool):
        raise ConfigurationError(f"meta['versioned'] of {model.__name__} is True or False")
    above = [base for base in model.__mro__[1:] if _has_collection(base)]
    if above and is_wanted is not (above[-1]._version_key is not None):
        raise ConfigurationError(
            f"{model.__name__} shares the collection of {above[-1].__name__}, and whether that is "
            f"versioned is said there: move 'versioned' into the meta of {above[-1].__name__}"
        )
    if is_wanted and not above:
        own = model._fields.get(NAME)
        problem = _clash(model) if own is None else _unfit(own)
        if problem is not None:
            raise ConfigurationError(
                f"meta['versioned'] of {model.__name__} counts its changes in the field "
                f"{NAME!r}, but {problem}; give that another name"
            )
        model._version_key = (_added(model) if own is None else own).db_field


def _has_collection(base: Any) -> bool:
    return bool(getattr(base, "_is_document", False)) and not base._meta.get("abstract", True)


def _clash(model: Any) -> str | None:
    """What stands in the way of a field that isn't there yet."""
    if attribute_of(model, NAME) is not None:
        return f"{model.__name__}.{NAME} is no field"
    name = model._reverse_db_field_map.get(NAME)
    return None if name is None else f"{name!r} is stored under that name"


def _unfit(field: Any) -> str | None:
    """Why a field of the application's own can't be the version."""
    if not isinstance(field, IntField):
        return f"that is a {type(field).__name__}, and a version is a whole number (IntField)"
    if field.default is not None or field.required or field.primary_key:
        return (
            "a default, required or primary_key would give it a value before the database does "
            "(IntField() is right)"
        )
    return None


def _added(model: Any) -> IntField:
    field = IntField()
    field.name = field.db_field = NAME
    type.__setattr__(model, NAME, field)
    model._fields[NAME] = field
    model._db_field_map[NAME] = model._reverse_db_field_map[NAME] = NAME
    model._fields_ordered = (*model._fields_ordered, NAME)
    return field
