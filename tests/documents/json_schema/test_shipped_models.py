"""What the models that come with datalayer say, to a server."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient

from datalayer import models
from datalayer.documents.json_schema import json_schema

SHIPPED = [
    model
    for model in (getattr(models, name) for name in models.__all__)
    if hasattr(model, "_get_collection_name") and not model._meta.get("abstract")
]


@pytest.mark.parametrize("model", SHIPPED)
def test_the_server_takes_the_schema_as_a_validator(uri: str, model: Any) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        database.create_collection("any", validator={"$jsonSchema": model.json_schema()})


def test_there_are_two_dialects() -> None:
    with pytest.raises(ValueError, match="'draft-7' is no dialect of JSON Schema here"):
        json_schema(models.User, "draft-7")  # type: ignore[arg-type]


def test_whoever_changes_a_schema_changes_no_other() -> None:
    first = models.User.json_schema()
    first["properties"]["status"]["enum"].clear()
    assert models.User.json_schema()["properties"]["status"]["enum"]
