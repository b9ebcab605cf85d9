"""The stubs of documents and querysets have what is there at run time, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from mongoengine import errors
from mongoengine.queryset import Q, queryset_manager
from stubs import Stub, parameters_of

from datalayer import documents
from datalayer.documents import Document, EmbeddedDocument, QuerySet

STUB = Stub("documents")
# What an attribute is rather than a method, and MongoEngine's own affairs.
ATTRIBUTES = {"DoesNotExist", "MultipleObjectsReturned", "STRICT", "my_metaclass", "pk"}
HANDED_ON = {"args", "kwargs"}


def methods(kind: Any) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - ATTRIBUTES


@pytest.mark.parametrize("kind", [QuerySet, Document, EmbeddedDocument])
def test_the_stub_of_a_class_has_each_public_method_and_no_other(kind: type) -> None:
    assert STUB.methods(kind.__name__) - ATTRIBUTES == methods(kind)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in (QuerySet, Document, EmbeddedDocument)
        for name in sorted(methods(kind))
    ],
)
def test_a_method_has_the_same_parameters_in_the_stub(kind: type, name: str) -> None:
    shown = STUB.parameters(kind.__name__, name) - HANDED_ON
    assert shown == parameters_of(kind, name) - HANDED_ON


def test_what_type_checkers_see_is_what_is_there() -> None:
    assert STUB.exported == set(documents.__all__)


def test_the_errors_are_those_of_mongoengine() -> None:
    for name in ("DoesNotExist", "NotUniqueError", "OperationError", "ValidationError"):
        assert getattr(documents, name) is getattr(errors, name)
    assert documents.Q is Q
    assert documents.queryset_manager is queryset_manager


def test_a_queryset_may_be_subscripted_at_run_time() -> None:
    class Own(QuerySet["Document"]):
        pass

    assert QuerySet[Document] is QuerySet
    assert issubclass(Own, QuerySet)
    assert Own[Document] is Own
