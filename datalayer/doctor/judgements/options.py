"""Connection issue 4: options that contradict each other, the server, or good sense."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo.common import (
    MAX_SUPPORTED_WIRE_VERSION,
    MIN_SUPPORTED_SERVER_VERSION,
    MIN_SUPPORTED_WIRE_VERSION,
)

from datalayer.doctor.facts import AliasFacts, Document
from datalayer.doctor.findings import Remark, error, note, ok, warning
from datalayer.settings import DatabaseSettings

_LONGEST_HEARTBEAT_MS = 60_000


def judge_options(facts: AliasFacts) -> Iterator[Remark]:
    """The options by themselves, then against what the server is."""
    remarks = [
        *_writing(facts.options, facts.settings),
        *_timeouts(facts.settings, facts.options),
        *(remark for hello in facts.hellos[:1] for remark in _fit(facts, hello)),
    ]
    yield from remarks
    if not any(remark.severity in ("warning", "error") for remark in remarks):
        yield ok("the options agree with each other" + (" and the server" * bool(facts.hellos)))


def _writing(options: dict[str, str], settings: DatabaseSettings) -> Iterator[Remark]:
    confirmations = options.get("w", "")
    if confirmations and confirmations.strip("0") == "":
        yield warning(
            "w=0: no server confirms a write, and writes get lost silently",
            "remove w from the URI; the server's own default is majority",
        )
    elif confirmations == "1" and settings.required:
        yield warning(
            "w=1: a write that one server confirmed is lost when that server fails over",
            "remove w from the URI, or write w=majority, for data that must not be lost",
        )
    if options.get("retryWrites") == "false":
        yield warning(
            "retryWrites=false: every fail-over fails the writes that are under way",
            "remove it, unless the server is a standalone",
        )
    if options.get("retryReads") == "false":
        yield note("retryReads=false: every fail-over fails the reads that are under way")


def _timeouts(settings: DatabaseSettings, options: dict[str, str]) -> Iterator[Remark]:
    deadline = settings.operation_timeout_ms
    if settings.socket_timeout_ms < deadline:
        yield note(
            f"the socket timeout ({settings.socket_timeout_ms} ms) is below the operation "
            f"deadline ({deadline} ms), which takes its place inside an operation",
            "shorten the operation deadline if that is what was meant",
        )
    if settings.connect_timeout_ms >= deadline:
        yield warning(
            f"opening a connection may take {settings.connect_timeout_ms} ms, as long as the "
            f"whole operation ({deadline} ms): one host that does not answer uses it all up",
            "set the connect timeout well below the operation deadline",
        )
    if settings.server_selection_timeout_ms > deadline:
        yield note(
            f"server selection may take {settings.server_selection_timeout_ms} ms, but the "
            f"operation deadline ends it after {deadline} ms"
        )
    if int(options.get("heartbeatFrequencyMS", "0")) > _LONGEST_HEARTBEAT_MS:
        yield note("heartbeatFrequencyMS is above a minute: servers that fail are noticed late")


def _fit(facts: AliasFacts, hello: Document) -> Iterator[Remark]:
    yield from _versions(hello)
    options, present = facts.options, hello.get("setName")
    wanted = options.get("replicaSet")
    if wanted and wanted != present:
        found = f"a member of {present}" if present else "in no replica set"
        yield error(
            f"the URI asks for the replica set {wanted}, and the server is {found}",
            "correct replicaSet in the URI, or the hosts",
        )
    members = hello.get("hosts", [])
    if present and options.get("directConnection") == "true":
        saw = (
            "directConnection=true, and the server is a member of a replica set: there is no "
            "fail-over, and writing ends when another member becomes primary"
        )
        advice = f"remove directConnection and name the set with replicaSet={present}"
        yield warning(saw, advice) if len(members) > 1 else note(saw, advice)
    elif present and len(members) > 1 and len(facts.settings.hosts) == 1 and not facts.uri.srv:
        yield note(
            f"the URI names one of {len(members)} members: while that one is down, no new "
            "process can connect",
            f"name them all: {','.join(members)}",
        )


def _versions(hello: Document) -> Iterator[Remark]:
    lowest, highest = hello.get("minWireVersion", 0), hello.get("maxWireVersion", 0)
    if highest < MIN_SUPPORTED_WIRE_VERSION:
        yield error(
            "the server is older than this driver supports",
            f"upgrade it to MongoDB {MIN_SUPPORTED_SERVER_VERSION} or later",
        )
    elif lowest > MAX_SUPPORTED_WIRE_VERSION:
        yield error("the server is newer than this driver supports", "upgrade pymongo")
