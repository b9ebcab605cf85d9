"""``datalayer.fields``: MongoEngine's own classes at run time, and a stub that leaves out none."""

from __future__ import annotations

import inspect

import mongoengine
import pytest
from mongoengine import base
from stubs import Stub, parameters_of

from datalayer import documents, fields
from datalayer.documents import fields as own

STUB = Stub("fields")
NO_FIELDS = {"GridFSError", "ImproperlyConfigured"}
THEIRS = sorted(set(mongoengine.fields.__all__) - NO_FIELDS)
CLASSES = sorted(name for name in fields.__all__ if name.endswith("Field") and name != "Field")


@pytest.mark.parametrize("name", THEIRS)
def test_a_field_of_mongoengine_is_its_own_class(name: str) -> None:
    assert getattr(fields, name) is getattr(mongoengine.fields, name)
    assert name in fields.__all__


@pytest.mark.parametrize("name", own.__all__)
def test_a_field_of_datalayer_is_there_too(name: str) -> None:
    assert getattr(fields, name) is getattr(own, name) is getattr(documents, name)
    assert name in fields.__all__


def test_what_type_checkers_see_is_what_is_there() -> None:
    assert STUB.exported == set(fields.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_the_options_of_a_field_are_in_the_stub(name: str) -> None:
    known = parameters_of(getattr(fields, name), "__init__") - {"kwargs", "args"}
    assert known - STUB.parameters(name, "__init__") == set()


@pytest.mark.parametrize("name", CLASSES)
def test_a_field_is_derived_from_what_its_stub_says(name: str) -> None:
    derived_from = {kind.__name__ for kind in getattr(fields, name).__mro__} | {"Field"}
    assert STUB.bases(name) - {"Generic"} <= derived_from


def test_a_field_may_be_subscripted_at_run_time() -> None:
    assert fields.StringField[str, str] is fields.StringField
    assert fields.Field[str | None] is base.BaseField
    assert fields.LazyReference["User"] is base.LazyReference


@pytest.mark.parametrize("kind", [fields.StringField, fields.ListField, own.MoneyField])
def test_a_field_of_ones_own_may_name_its_types(kind: type) -> None:
    class Own(kind["str", "str"]):  # type: ignore[valid-type,misc,name-defined]
        pass

    assert Own.__mro__[1] is kind
    assert not inspect.isabstract(Own)
