"""The lease of a transfer: who holds it may work on it and write in its journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from datalayer import lease
from datalayer.transfer.journal.journal import Journal


class Lease(lease.Lease[Journal]):
    """The right to work on a transfer."""

    @property
    def journal(self) -> Journal:
        """The journal that the lease is on."""
        return self.document

    def note(self, state: str | None = None, progress: Mapping[str, Any] | None = None) -> None:
        """Note in the journal how the transfer stands, by the right of this lease."""
        with self.time():
            self.journal.write(state=state, progress=progress)


@contextmanager
def held(journal: Journal, seconds: float) -> Iterator[Lease]:
    """Hold the lease of ``journal`` in a ``with`` block.

    Raises:
        TransferError: while another runner holds it.
    """
    with lease.holding(Lease(journal, seconds), seconds) as mine:
        yield mine
