"""Servers that many tests share: real ones, that spare the machine what no test looks at."""

from __future__ import annotations

from contextlib import AbstractContextManager

from datalayer.embedded import EmbeddedMongo


def shared_server(
    members: int = 1, auth: tuple[str, str] | None = None
) -> AbstractContextManager[EmbeddedMongo]:
    """Servers in memory that take the test commands, until the end of the block."""
    return EmbeddedMongo(members, test_commands=True, in_memory=True, journal=False, auth=auth)
