"""Servers that many tests share: real ones, that spare the machine what no test looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

from datalayer.embedded import EmbeddedMongo

_JOURNAL_EVERY_MS = 500


@contextmanager
def shared_server(members: int = 1, auth: tuple[str, str] | None = None) -> Iterator[EmbeddedMongo]:
    """Servers in memory that take the test commands, until the end of the block."""
    with EmbeddedMongo(members, test_commands=True, in_memory=True, auth=auth) as servers:
        _spare_the_journal(servers)
        yield servers


def _spare_the_journal(servers: EmbeddedMongo) -> None:
    """A majority confirms a write when it has it, not when its journal is flushed as well, and
    the journal is flushed less often: half the processor time of the whole suite's servers.
    ``journal=true`` is waited for as ever."""
    with MongoClient[dict[str, Any]](servers.uri) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        config["writeConcernMajorityJournalDefault"] = False
        client.admin.command("replSetReconfig", config)
    for member in range(len(servers.hosts)):
        with MongoClient[dict[str, Any]](servers.member_uri(member)) as client:
            client.admin.command("setParameter", 1, journalCommitInterval=_JOURNAL_EVERY_MS)
