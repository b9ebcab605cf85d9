"""A fail-over that the driver does not ride through by itself does not end a transfer."""

from __future__ import annotations

from typing import Any

import pytest
from moving import Databases, messages, plan, raw, when

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.errors import TransferError
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.journal import Journal

WRITES = frozenset({"delete", "findAndModify", "insert", "update", "createIndexes"})
NOT_WRITABLE_PRIMARY = 10107


class Refusing:
    """A server that answers as one does that has ceased to be the primary: it refuses writes, and
    closes the connections of readers."""

    def __init__(self, alias: str, command: str, times: int) -> None:
        self._admin = registry.connection(alias).client.admin
        # Without labels the driver doesn't try writes again.
        refused = {"errorCode": NOT_WRITABLE_PRIMARY, "errorLabels": []}
        self._data: dict[str, Any] = {
            "failCommands": [command],
            "appName": f"datalayer:{alias}",
            **(refused if command in WRITES else {"closeConnection": True}),
        }
        self._before = self._switch("off")
        self._times = {"times": times}

    def begin(self) -> None:
        self._switch(self._times)

    def end(self) -> int:
        """How often it has refused."""
        return self._switch("off") - self._before

    def _switch(self, mode: Any) -> int:
        answer = self._admin.command(
            "configureFailPoint", "failCommand", mode=mode, data=self._data
        )
        return int(answer["count"])


@pytest.mark.parametrize(
    ("alias", "command", "phase"),
    [
        ("default", "find", "copy"),
        ("default", "delete", "delete"),
        ("archive", "findAndModify", "copy"),
        ("archive", "insert", "copy"),
        ("archive", "update", "verify"),
        ("archive", "createIndexes", "copy"),
    ],
)
def test_a_move_goes_on_from_its_journal(
    databases: Databases, alias: str, command: str, phase: str
) -> None:
    databases.fill(100)
    databases["default"].messages.create_index("number", unique=True)
    before = raw(databases["default"].messages)
    refusing = Refusing(alias, command, times=3)
    try:
        report = transfer.run(plan(move=True), on_progress=when(phase, refusing.begin))
    finally:
        refused = refusing.end()
    assert refused > 0
    assert (report.state, report.deleted) == ("done", 100)
    assert raw(databases["archive"].messages) == before


@pytest.mark.parametrize("command", ["ping", "getMore", "aggregate"])
def test_a_followed_move_finds_all_changes_nevertheless(
    databases: Databases, command: str
) -> None:
    databases.fill(100)
    refusing = Refusing("default", command, times=3)

    def last_change() -> None:
        refusing.begin()
        databases["default"].messages.insert_many(messages(10, 100))
        Journal(Endpoint.of("archive"), "t").ask_for_cut_over()

    try:
        report = transfer.run(
            plan(move=True, follow=True), on_progress=when("follow", last_change)
        )
    finally:
        refused = refusing.end()
    assert refused > 0
    assert (report.state, report.deleted) == ("done", 110)
    assert len(raw(databases["archive"].messages)) == 110


def test_a_move_ends_where_no_server_stays_the_primary(databases: Databases) -> None:
    databases.fill(100)
    refusing = Refusing("archive", "insert", times=1000)
    try:
        with pytest.raises(TransferError, match="transfer resume t"):
            transfer.run(plan(move=True), on_progress=when("copy", refusing.begin))
    finally:
        refusing.end()
    assert transfer.resume("t").state == "done"
