"""What is read out of a command for its span: of the message that carries it, too."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from pymongo.message import _op_msg
from pymongo.read_preferences import ReadPreference

from datalayer.monitoring.command_facts import command_in, operations_in, place_in

NEAREST = ReadPreference.NEAREST


def message(command: dict[str, Any], database: str = "shop") -> bytes:
    """As the driver sends it, behind its id."""
    _, data, _, _ = _op_msg(0, dict(command), database, NEAREST, DEFAULT_CODEC_OPTIONS)
    return bytes(data)


COMMANDS = [
    ({"find": "lamps", "filter": {"name": "Anna"}}, ("shop", "lamps")),
    ({"insert": "lamps", "documents": [{"_id": 1}]}, ("shop", "lamps")),
    ({"getMore": Int64(77), "collection": "lamps"}, ("shop", "lamps")),
    ({"aggregate": 1, "pipeline": [], "cursor": {}}, ("shop", None)),
    ({"aggregate": "lämpchen", "pipeline": [], "cursor": {}}, ("shop", "lämpchen")),
    ({"ping": 1}, ("shop", None)),
    ({"createUser": "anna", "pwd": "hidden", "roles": []}, ("shop", None)),
    ({"find": "lamps", "filter": {"$db": "theirs", "a": "\x02$db\x00"}}, ("shop", "lamps")),
    ({"find": "$db", "filter": {"b": b"\x02$db\x00\x05\x00\x00\x00evil\x00"}}, ("shop", "$db")),
]


@pytest.mark.parametrize(("command", "place"), COMMANDS, ids=[str(c[:1]) for c in COMMANDS])
def test_a_command_tells_its_database_and_collection(
    command: dict[str, Any], place: tuple[str, str | None]
) -> None:
    name = next(iter(command))
    assert place_in(name, message(command)) == place
    assert place_in(name, {**command, "$db": "shop"}) == place


@pytest.mark.parametrize("data", [b"", b"\0" * 30, message({"find": "lamps"})[:35], None])
def test_what_is_no_command_tells_nothing_and_breaks_nothing(data: bytes | None) -> None:
    assert place_in("find", data) in ((None, None), (None, ""))


@pytest.mark.parametrize(
    ("command", "reply", "count"),
    [
        ({"insert": "lamps", "documents": [{}, {}]}, {"n": 2}, 2),
        ({"insert": "lamps", "documents": [{}, {}]}, {"n": 1, "writeErrors": [{}]}, 2),
        ({"update": "lamps", "updates": [{}, {}, {}]}, {"n": 70}, 3),
        ({"delete": "lamps", "deletes": [{}]}, {"n": 70}, 1),
        ({"find": "lamps"}, {}, None),
        ({"findAndModify": "lamps"}, {"n": 1}, None),
    ],
)
def test_a_batch_tells_how_many_operations_it_holds(
    command: dict[str, Any], reply: dict[str, Any], count: int | None
) -> None:
    assert operations_in(next(iter(command)), command, reply) == count


def test_a_messages_documents_are_counted() -> None:
    data = message({"delete": "lamps", "deletes": [{"q": {}, "limit": 0}] * 3})
    assert operations_in("delete", data, {}) == len(command_in(data)["deletes"]) == 3
