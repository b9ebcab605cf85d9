"""What ``validate()`` refuses and what ``$jsonSchema`` refuses: the same documents, but for what
``unexpressed`` lists.

Documents that are valid, and such as are broken in one place, are put into one collection as they
are, and the server is asked once. ``DATALAYER_SCHEMA_DOCUMENTS`` takes more of them,
``DATALAYER_SCHEMA_SEED`` others.
"""

from __future__ import annotations

import copy
import os
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import bson
import pytest
from bson import DBRef, ObjectId
from every_field import JUNK, OTHER, TARGET, VALID, Circle, Every, Named, Node, Part, Shape, Square
from every_field import Target as Referenced
from judged import OPTIONS, is_as_written
from pymongo import MongoClient

from datalayer.documents.json_schema import json_schema, unexpressed
from datalayer.settings import Settings

MODELS = (Every, Referenced, Named, Part, Shape, Circle, Square, Node)
DOCUMENTS = int(os.environ.get("DATALAYER_SCHEMA_DOCUMENTS", "1000"))
SEED = int(os.environ.get("DATALAYER_SCHEMA_SEED", "21"))
NEEDED = {key: values[0] for key, values in VALID.items() if key.startswith("needed")}
# A field, a document with a value of it, and whether that was taken from the valid ones.
Case = tuple[str, dict[str, Any], bool]


def _holds(kind: type) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(holds, value.values()))
        return any(map(holds, value)) if isinstance(value, list) else isinstance(value, kind)

    return holds


# By the rule that isn't expressed: of which values it speaks.
EXCEPTIONS: dict[str, Callable[[Any], bool]] = {
    "NaN": lambda value: "nan" in str(value),
    "UUID": _holds(bytes),
    "class": lambda value: "_cls" in str(value),
    "collection": lambda value: isinstance(value, DBRef),
    "coordinates": _holds(bool),
    "date": lambda value: bool(re.match("2026,(1,31|02,31)", value)),
    "domain": lambda value: not value.isascii() or value.endswith("]"),
    "items": lambda value: _holds(bytes)(value) or "$" in str(value),
    "max_bytes": lambda value: len(bson.encode({"": value}, codec_options=OPTIONS)) > 20,
    "nesting": lambda value: "children" in str(value),
    "reference": lambda value: not isinstance(value, (str, DBRef)),
    "precision": lambda value: str(value) in ("nan", "inf"),
    "rings": lambda value: "coordinates" in value,
    "spelling": lambda value: unicodedata.normalize("NFKC", value).strip() != value,
    "sequence": lambda value: True,
}


@pytest.fixture(scope="module")
def targets(shared: Settings) -> None:
    for key in (TARGET, OTHER):
        Referenced(id=key, name="x").save()


def _documents(choices: random.Random) -> Iterator[Case]:
    for key, values in VALID.items():
        for value in values:
            yield key, {**NEEDED, key: value}, True
    broken = [(key, junk) for key in VALID for junk in JUNK if not _is_of_a_kind(key, junk)]
    alike = [(key, junk) for key in VALID for junk in JUNK if _is_of_a_kind(key, junk)]
    for key, junk in alike + choices.sample(broken, min(len(broken), DOCUMENTS // 2)):
        yield key, {**NEEDED, key: junk}, False
    deep = [key for key, values in VALID.items() if any(map(_places_in, values))]
    for _ in range(DOCUMENTS // 2):
        key = choices.choice(deep)
        yield key, {**NEEDED, key: _broken(choices.choice(VALID[key]), choices)}, False
    yield "unknown", {**NEEDED, "unknown": 1}, False
    for key in NEEDED:
        yield key, {other: value for other, value in NEEDED.items() if other != key}, False
        yield key, {**NEEDED, key: None}, False


def _is_of_a_kind(key: str, junk: Any) -> bool:
    """Whether ``junk`` is close to what is valid: of the same type, but for texts, of which there
    are many."""
    return type(junk) is not str and any(type(junk) is type(value) for value in VALID[key])


def _places_in(value: Any) -> list[tuple[Any, Any]]:
    """All lists and mappings in ``value``, with the keys that each has."""
    if isinstance(value, dict):
        keys = [(value, key) for key in value]
        return keys + [place for each in value.values() for place in _places_in(each)]
    if isinstance(value, list):
        keys = [(value, index) for index in range(len(value))]
        return keys + [place for each in value for place in _places_in(each)]
    return []


def _broken(value: Any, choices: random.Random) -> Any:
    """``value`` changed in one place inside it."""
    value = copy.deepcopy(value)
    places = _places_in(value)
    if not places:
        return choices.choice(JUNK)
    holder, key = choices.choice(places)
    how = choices.randrange(6)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[choices.choice(("more", "$x", "_cls", "w", "size"))] = choices.choice(JUNK)
    elif how == 1:
        holder.append(choices.choice((*JUNK, *holder)))
    else:
        holder[key] = copy.deepcopy(choices.choice(JUNK))
    return value


def _storable(cases: Iterator[Case]) -> list[Case]:
    found = []
    for key, document, is_valid in cases:
        stored = copy.deepcopy(document)
        stored["_id"] = ObjectId()
        found.append((key, stored, is_valid))
    return found


def test_both_refuse_the_same_documents(shared: Settings, targets: None) -> None:
    cases = _storable(_documents(random.Random(SEED)))
    refused = _refused_by_the_server(shared, [document for _, document, _ in cases])
    listed = [(each.path, each.rule) for each in unexpressed(Every) if each.rule in EXCEPTIONS]
    differing = []
    for key, document, is_meant_valid in cases:
        is_valid, value = is_as_written(Every, document), document.get(key)
        assert is_valid or not is_meant_valid, (key, value)
        if is_valid is not (document["_id"] not in refused):
            rules = {rule for path, rule in listed if re.split(r"[.\[]", path)[0] == key}
            if is_meant_valid or not any(EXCEPTIONS[rule](value) for rule in rules):
                differing.append((key, value, "validate" if is_valid else "server"))
    assert differing == []


def test_the_server_takes_what_the_model_writes(shared: Settings, targets: None) -> None:
    valid = [
        bson.decode(bson.encode({**NEEDED, key: value}, codec_options=OPTIONS), OPTIONS)
        for key, values in VALID.items()
        for value in values
    ]
    written = [{**Every._from_son(each).to_mongo(), "_id": ObjectId()} for each in valid]
    assert _refused_by_the_server(shared, written) == set()


def _refused_by_the_server(settings: Settings, documents: list[dict[str, Any]]) -> set[Any]:
    uri = settings.databases["default"].uri
    with MongoClient[dict[str, Any]](uri, uuidRepresentation="standard", tz_aware=True) as client:
        collection = client.get_default_database()["raw"]
        collection.delete_many({})
        collection.insert_many(documents)
        query = {"$nor": [{"$jsonSchema": json_schema(Every)}]}
        return {each["_id"] for each in collection.find(query, {"_id": 1})}
