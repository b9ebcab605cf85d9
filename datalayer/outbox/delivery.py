"""Takes what waits in the outbox to the targets, in passes that any number of processes may make
at the same time. What can't be delivered keeps nothing from arriving but what is behind it."""

from __future__ import annotations

from dataclasses import dataclass

from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.outbox.passing import Pass
from datalayer.transactions import current


@dataclass(frozen=True)
class Delivered:
    """What a pass did."""

    delivered: int
    """Entries that are in the target now, and out of the outbox."""
    failed: int
    """Entries that could not be delivered, and those behind them with the same key, which wait."""


def deliver(source: str = DEFAULT_ALIAS) -> Delivered:
    """Deliver what waits in the outbox now, once through, whatever failed before.

    An entry that can't be delivered (its target refuses it, or this process doesn't know the
    alias) is logged and waits; others with its key for that target wait behind it, and all else
    is delivered. Inside a transaction nothing is.

    A process that is killed in the middle leaves a transaction, which keeps its keys from being
    delivered until the server drops it (``transactionLifetimeLimitSeconds``, a minute).

    Raises:
        UnavailableError: when a server is away, after all that is for others was delivered.
        NotConnectedError: before ``connect``.
    """
    if current() is not None:
        return Delivered(0, 0)
    done = Pass(source)
    done.run()
    for error in done.away.values():
        raise error
    return Delivered(done.delivered, done.failed)


def deliver_patiently(source: str = DEFAULT_ALIAS) -> Delivered:
    """The same for who calls it again and again: what failed lately rests for a while, which
    doubles with each attempt, and so do targets that are away. Those raise nothing."""
    done = Pass(source, patient=True)
    done.run()
    return Delivered(done.delivered, done.failed)
