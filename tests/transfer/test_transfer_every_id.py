"""Documents of every _id that a server takes are copied, moved, and taken back."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from bson import MaxKey, MinKey, Regex, Timestamp
from bson.raw_bson import RawBSONDocument
from moving import ODD_IDS, Databases, nonzero, plan, raw, when

from datalayer import transfer
from datalayer.errors import TransferError

ROUTES = pytest.mark.parametrize(
    ("target", "method"),
    [("database1", "merge"), ("database1", "copy"), ("archive", "copy")],
    ids=["by the server", "within a cluster", "between clusters"],
)
WAYS: dict[str, dict[str, Any]] = {
    "all": {},
    "all, by the server": {"target": "database1", "method": "merge"},
    "selected": {"filter": {"v": "source"}},
    "selected, by the server": {
        "target": "database1",
        "method": "merge",
        "filter": {"v": "source"},
    },
    "by a transform": {"transform": "moving:exclaimed"},
}


def embedded(kind: int, value: bytes, times: int = 1) -> RawBSONDocument:
    """A document with a value that Python has no type for."""
    body = (bytes([kind]) + b"a\0" + value) * times
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


IDS = [
    *ODD_IDS, MinKey(), MaxKey(), Timestamp(3, 4), float("nan"), float("inf"), {}, {"a": None},
    {"a": Regex("b")}, {"a": MaxKey()}, embedded(0x06, b""), embedded(0x0E, b"\2\0\0\0s\0"),
    embedded(0x0B, b"b\0mi\0"), embedded(0x10, b"\1\0\0\0", 2),
]  # fmt: skip


def fill(databases: Databases) -> None:
    for each in IDS:
        databases["default"].messages.insert_one({"_id": each, "v": "source"})


@pytest.mark.parametrize("way", list(WAYS))
def test_ids_of_every_kind_are_moved_and_taken_back(databases: Databases, way: str) -> None:
    target = WAYS[way].get("target", "archive")
    fill(databases)
    before = databases.state()
    made = plan(batch_size=4, move=True, **WAYS[way])
    report = transfer.run(made)
    assert (report.state, report.deleted, nonzero(report)) == ("done", len(IDS), {})
    assert len(raw(databases[target].messages)) == len(IDS)
    transfer.rollback("t")
    assert databases.state() == before


@ROUTES
@pytest.mark.parametrize("last", [MinKey(), MaxKey()], ids=["MinKey", "MaxKey"])
def test_the_first_and_the_last_of_all_ids_are_copied(
    databases: Databases, target: str, method: Any, last: Any
) -> None:
    databases["default"].messages.insert_many([{"_id": each} for each in (1, 2, last)])
    for batch_size in (1, 2, 3, 4):
        name = f"t{batch_size}"
        report = transfer.run(
            plan(name, target=target, method=method, batch_size=batch_size,
                 collections={"messages": name})
        )  # fmt: skip
        assert (report.copied, report.new, report.state) == (3, 0, "done")


def test_a_copy_that_was_interrupted_at_the_last_id_goes_on(databases: Databases) -> None:
    databases["default"].messages.insert_many([{"_id": each} for each in (1, 2, MaxKey())])

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(batch_size=1), on_progress=when("copy", interrupt, 3))
    assert transfer.resume("t").verified == 3


def test_ids_of_every_kind_are_followed(databases: Databases) -> None:
    databases["default"].create_collection("messages")
    written: list[None] = []

    def write_then_cut_over(progress: transfer.Progress) -> None:
        if progress.phase == "follow" and not written:
            written.append(None)
            fill(databases)
            databases["archive"].datalayer_transfers.update_one(
                {"_id": "t"}, {"$set": {"progress.cut_over": "asked"}}
            )

    report = transfer.run(plan(follow=True), on_progress=write_then_cut_over)
    assert (report.state, report.verified, nonzero(report)) == ("done", len(IDS), {})
    assert raw(databases["archive"].messages) == raw(databases["default"].messages)


def test_an_id_that_no_driver_can_send_is_named_as_such(databases: Databases) -> None:
    pointer = b"\x0c_id\0" + b"\2\0\0\0x\0" + b"1" * 12
    databases["default"].messages.insert_one(
        RawBSONDocument(struct.pack("<i", len(pointer) + 5) + pointer + b"\0")
    )
    with pytest.raises(TransferError, match="of the kind DBPointer"):
        transfer.run(plan())
