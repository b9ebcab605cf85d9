"""Performance issue 2: what has been running for long?"""

from __future__ import annotations

from collections.abc import Iterator

from datalayer.doctor.facts import AliasFacts, Document, Session, Unknown
from datalayer.doctor.findings import Remark, note, ok, skipped, warning

_LONG_SECONDS = 1.0
_MOST = 5


def judge_operations(facts: AliasFacts) -> Iterator[Remark]:
    """Operations above ``SLOW_MS``, by command, collection and seconds; never their contents."""
    session = facts.server
    if not isinstance(session, Session):
        yield skipped("no session could be opened")
        return
    if isinstance(session.operations, Unknown):
        yield skipped(session.operations.why)
        return
    deadline = facts.settings.operation_timeout_ms / 1000
    for operation in session.operations[:_MOST]:
        yield _judge(operation, deadline)
    more = len(session.operations) - _MOST
    if more > 0:
        yield note(f"{more} or more further operations have been running for long")
    whose = " of this user" if session.only_own_user else ""
    if not session.operations:
        yield ok(f"no operation{whose} has been running for {facts.settings.slow_ms} ms")
    if session.only_own_user:
        yield skipped(
            "the operations of other users: needs the privilege inprog (role clusterMonitor)"
        )


def _judge(operation: Document, deadline: float) -> Remark:
    seconds = operation["seconds"]
    where = operation.get("collection") or "no collection"
    if operation["idle_transaction"]:
        return warning(
            f"a transaction has been open for {seconds:.1f} s and does nothing",
            "do slow work, such as calls to other services, outside of transactions",
        )
    saw = f"{operation['command']} on {where} has been running for {seconds:.1f} s"
    if operation["waits"]:
        saw += ", waiting for a lock"
    if operation["scans"]:
        saw += ", reading the whole collection"
    if seconds > deadline:
        return warning(
            f"{saw}, longer than the operation deadline of {deadline:g} s",
            "nobody waits for it any more unless it was given more time: end it with "
            "db.killOp() and look at its query",
        )
    advice = "look at its query with explain(), and give it an index"
    return warning(saw, advice) if seconds >= _LONG_SECONDS else note(saw, advice)
