"""Connection issue 3: what the server's state and log say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from datalayer.doctor.facts import AliasFacts, Answer, Document, Session, Unknown
from datalayer.doctor.findings import Remark, error, note, ok, skipped, warning
from datalayer.doctor.judgements.release import judge_release
from datalayer.failures.connecting import Diagnosis

_MOST_LAG_SECONDS = 10.0
_MOST_LINES = 6
_HEALTHY_STATES = ("PRIMARY", "SECONDARY", "ARBITER")


def judge_server(facts: AliasFacts) -> Iterator[Remark]:
    """The state of the replica set, its release, the warnings of its start, failed heartbeats."""
    hellos = facts.hellos
    if isinstance(facts.server, Diagnosis):
        yield error(f"the driver finds no server to use: {facts.server.saw}", facts.server.check)
    if not hellos:
        yield skipped("no server answers")
        return
    yield from _topology(hellos, facts)
    yield from judge_release(facts)
    if not isinstance(facts.server, Session):
        yield skipped("the server's log and its members' states: no session could be opened")
        return
    if hellos[0].get("setName"):
        yield from _members(facts.server.replica_set)
    yield from _log(facts.server.startup_warnings, loopback=not facts.uri.leaves_this_machine)
    for host, diagnosis in facts.server.failed_heartbeats.items():
        yield warning(f"the last heartbeat to {host} failed: {diagnosis.saw}", diagnosis.check)


def _topology(hellos: tuple[Document, ...], facts: AliasFacts) -> Iterator[Remark]:
    hello = hellos[0]
    if hello.get("isreplicaset"):
        yield error(
            "the server was started for a replica set that does not exist yet",
            "run rs.initiate() on one of its members",
        )
    elif hello.get("msg") == "isdbgrid":
        yield ok("a sharded cluster")
    elif not hello.get("setName"):
        yield note(
            "a standalone server: no transactions, no retried writes, no fail-over",
            "start it with --replSet and run rs.initiate(); a set may have one member",
        )
    elif any(each.get("isWritablePrimary") or each.get("primary") for each in hellos):
        version = _version(facts)
        yield ok(f"the replica set {hello['setName']} has a primary{version}")
    else:
        yield error(
            f"the replica set {hello['setName']} has no primary, so nothing can be written",
            "check that a majority of its members is up; an election takes about 12 seconds",
        )


def _version(facts: AliasFacts) -> str:
    build = facts.server.build if isinstance(facts.server, Session) else None
    if build is None or isinstance(build, Unknown):
        return ""
    return f"; MongoDB {build['version']}"


def _members(answer: Answer[Document]) -> Iterator[Remark]:
    if isinstance(answer, Unknown):
        yield skipped(f"the states of the members: {answer.why}")
        return
    members: list[dict[str, Any]] = answer["members"]
    for member in members:
        if member["stateStr"] not in _HEALTHY_STATES:
            yield warning(
                f"the member {member['name']} is in the state {member['stateStr']}",
                "look at its log; until it is back, the set has a server less to fail over to",
            )
    yield from _lag(members)


def _lag(members: list[dict[str, Any]]) -> Iterator[Remark]:
    newest = next((m["optimeDate"] for m in members if m["stateStr"] == "PRIMARY"), None)
    if newest is None:
        return
    for member in members:
        if member["stateStr"] == "SECONDARY":
            lag = (newest - member["optimeDate"]).total_seconds()
            if lag > _MOST_LAG_SECONDS:
                yield warning(
                    f"the member {member['name']} is {lag:.0f} s behind the primary",
                    "check its disk and network; majority writes and reads from it are late",
                )


def _log(answer: Answer[tuple[str, ...]], *, loopback: bool) -> Iterator[Remark]:
    if isinstance(answer, Unknown):
        yield skipped(f"the server's log: {answer.why}")
        return
    messages = list(dict.fromkeys(message for line in answer if (message := _message(line))))
    if not messages:
        yield ok("the server started without warnings")
        return
    more = f" (and {len(messages) - _MOST_LINES} more)" if len(messages) > _MOST_LINES else ""
    saw = f"the server warned at its start: {' | '.join(messages[:_MOST_LINES])}{more}"
    advice = "follow MongoDB's production notes for each, on servers that matter"
    yield note(saw, advice) if loopback else warning(saw, advice)


def _message(line: str) -> str:
    """The fixed text of a log line; its attributes may hold anything."""
    try:
        return str(json.loads(line)["msg"]).strip()
    except (ValueError, KeyError, TypeError):
        return ""
