"""What is under way in the databases: transfers into them, and documents that wait in an outbox.

Read for the status page, so cheaply: the journal's ranges are counted and not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pymongo

from datalayer import outbox
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.errors import DataLayerError
from datalayer.outbox.entries import ASIDE, OUTBOX, collection
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import explained
from datalayer.transfer.journal.entry import DAMAGED, RANGES, Damaged, Entry, unfinished

_SHOWN = 10
_MANY_ENTRIES = 10_000  # finding the oldest of more would take long
_SHARE_FOR_READING = 0.85  # what is left is for the answer to get back in time


@dataclass(frozen=True)
class Transfer:
    """A transfer that is neither done nor taken back. Counts are of documents."""

    name: str
    state: str
    source: str = ""
    target: str = ""
    move: bool = False
    planned: int = 0
    begun: int = 0
    """In ranges that have been begun: about how many have arrived."""
    holder: str | None = None
    """The runner at work, as host:process."""
    seconds_left: float = 0.0
    """How long the runner may go on without a sign of life; 0 where nobody is at work."""
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class Work:
    """What is under way in one database, or why that isn't known."""

    transfers: tuple[Transfer, ...] = ()
    further_transfers: int = 0
    """Unfinished ones beyond those of ``transfers``."""
    outbox_entries: int = 0
    outbox_oldest_seconds: float | None = None
    """``None`` where nothing waits, or very much."""
    outbox_failing: int = 0
    """Of the entries, those that were tried in vain; not known where very much waits."""
    outbox_set_aside: int = 0
    outbox_delivered_here: bool = False
    """Whether a thread of this process delivers."""
    error: str | None = None


def work_in(aliases: Iterable[str], timeout_seconds: float) -> dict[str, Work]:
    """What is under way in each of ``aliases``; all are asked side by side, and none for longer
    than ``timeout_seconds``."""
    calls = {alias: partial(_read, alias, timeout_seconds) for alias in aliases}
    answers = side_by_side(calls, timeout_seconds)
    return {alias: _work_of(answer) for alias, answer in answers.items()}


def _work_of(answer: Work | BaseException) -> Work:
    if isinstance(answer, Work):
        return answer
    if isinstance(answer, TimeoutError):
        return Work(error="it did not answer in time")
    if isinstance(answer, DataLayerError):
        return Work(error=str(answer))
    # No text of the driver's or of Python's: it may hold values of documents.
    return Work(error=f"it could not be read ({type(answer).__name__})")


def _read(alias: str, timeout_seconds: float) -> Work:
    if registry.connection(alias).settings.kind == "mongomock":
        return Work()  # takes part in neither
    with (
        pymongo.timeout(timeout_seconds * _SHARE_FOR_READING),
        explained("reading the journal of transfers"),
    ):
        endpoint = Endpoint.of(alias)
        # Another alias may be the same database.
        found = [
            each
            for each in unfinished(endpoint)
            if isinstance(each, Damaged) or each.target == alias
        ]
        waits = _outbox(alias)
        return Work(
            transfers=tuple(_transfer(endpoint, each) for each in found[:_SHOWN]),
            further_transfers=len(found[_SHOWN:]),
            outbox_entries=waits.entries,
            outbox_oldest_seconds=waits.oldest_seconds,
            outbox_failing=waits.failing,
            outbox_set_aside=waits.set_aside,
            outbox_delivered_here=outbox.running(alias),
        )


def _outbox(alias: str) -> outbox.Waiting:
    connection = registry.connection(alias)
    entries = collection(connection, OUTBOX).estimated_document_count()
    if 0 < entries <= _MANY_ENTRIES:
        return outbox.waiting(alias)
    set_aside = collection(connection, ASIDE).estimated_document_count()
    return outbox.Waiting(entries, None, set_aside=set_aside)


def _transfer(endpoint: Endpoint, found: Entry | Damaged) -> Transfer:
    if isinstance(found, Damaged):
        return Transfer(
            name=found.name,
            state=DAMAGED,
            target=endpoint.alias,
            created_at=found.created_at.isoformat(timespec="seconds"),
            updated_at=found.updated_at.isoformat(timespec="seconds"),
        )
    plan = found.plan
    of_plan = {"_id": {"$gte": f"{plan.name}/", "$lt": f"{plan.name}0"}}
    ranges = endpoint.collection(RANGES).count_documents(of_plan)  # answered from the index
    return Transfer(
        name=plan.name,
        state=found.state,
        source=plan.source,
        target=plan.target,
        move=plan.move,
        planned=plan.count,
        begun=min(ranges * plan.batch_size, plan.count),
        holder=found.holder,
        seconds_left=found.seconds_left,
        created_at=found.created_at.isoformat(timespec="seconds"),
        updated_at=found.updated_at.isoformat(timespec="seconds"),
    )
