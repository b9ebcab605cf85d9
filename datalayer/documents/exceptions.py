"""``DoesNotExist`` and ``MultipleObjectsReturned`` of the models, which find their model again
after they were pickled. MongoEngine's can't be pickled: their classes stand under a model, and
claim to stand in its module."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from mongoengine import errors

Place = tuple[str, str]
"""The module and the qualified name of a model."""


class _OfModel(errors.MongoEngineException):
    """An error whose class is an attribute of a model."""

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self)
        found = (model for model in _all_models() if vars(model).get(kind.__name__) is kind)
        model = next(found, object)
        places = tuple(
            (each.__module__, each.__qualname__)
            for each in model.__mro__
            if kind.__name__ in vars(each) and each is not ModelExceptions
        )
        return _restored, (kind.__name__, places, self.args, self.__dict__)


class _DoesNotExist(_OfModel, errors.DoesNotExist):
    pass


class _MultipleObjectsReturned(_OfModel, errors.MultipleObjectsReturned):
    pass


class _OfThisClassAlone:
    """MongoEngine derives a model's errors from those that each of its bases has, and of one that
    several bases inherited it would derive twice."""

    def __init__(self, kind: type[_OfModel]) -> None:
        self.kind = kind

    def __get__(self, instance: object, owner: type) -> type[_OfModel]:
        if owner is not ModelExceptions:
            raise AttributeError(f"{owner.__name__} is no model: only models have such errors")
        return self.kind


class ModelExceptions:
    """A mixin for documents: gives MongoEngine the bases of their errors."""

    DoesNotExist: Any = _OfThisClassAlone(_DoesNotExist)
    MultipleObjectsReturned: Any = _OfThisClassAlone(_MultipleObjectsReturned)


def _all_models(model: Any = ModelExceptions) -> Iterator[type]:
    """All classes with the mixin. Only gone through when an error is pickled: MongoEngine makes
    the errors' classes where nothing can note whose they are."""
    for derived in model.__subclasses__():
        yield derived
        yield from _all_models(derived)


def _restored(
    name: str, places: tuple[Place, ...], args: tuple[Any, ...], state: dict[str, Any]
) -> Any:
    """The error as it was, or as that of the nearest base that this process has of its model."""
    kinds = (_kind_at(*place, name) for place in places)
    kind: Any = next(filter(None, kinds), getattr(errors, name))
    error = kind(*args)
    error.__dict__.update(state)
    return error


def _kind_at(module: str, qualified: str, name: str) -> type | None:
    try:
        model: Any = attrgetter(qualified)(importlib.import_module(module))
    except (ImportError, AttributeError):
        # Made at run time, or inside of a function.
        same = [
            each
            for each in _all_models()
            if (each.__module__, each.__qualname__) == (module, qualified)
        ]
        model = same[-1] if same else None
    kind: type | None = getattr(model, name, None)
    return kind
