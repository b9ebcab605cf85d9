"""Who delivers: a thread that makes passes through the outbox while the databases are connected,
or who calls ``deliver``. ``passes`` is what the command ``datalayer outbox run`` does as well."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.errors import DataLayerError
from datalayer.outbox.databases import Watch, inside, listed
from datalayer.outbox.delivery import Delivered, DeliveryPass
from datalayer.outbox.log_messages import log_pass_failed
from datalayer.retry import next_pause
from datalayer.transactions import current

_LONGEST_PAUSE_SECONDS = 30.0
_STOP_SECONDS = 5.0
_starting = threading.Lock()  # guards the beginning of relays: one for an outbox


class _Relay:
    """The thread of one process and one outbox."""

    def __init__(self, source: str, interval_seconds: float) -> None:
        self.pid = os.getpid()
        self._source = source
        self._interval = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"datalayer-outbox-{source}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self.pid == os.getpid() and threading.current_thread() is not self._thread:
            self._thread.join(_STOP_SECONDS)

    @property
    def alive(self) -> bool:
        return self.pid == os.getpid() and self._thread.is_alive()

    def _run(self) -> None:
        for _ in passes(self._source, self._stopping, self._interval):
            pass


def passes(source: str, stopping: threading.Event, interval_seconds: float) -> Iterator[Delivered]:
    """Deliver again and again, until ``stopping`` is set or the source was disconnected.

    Nothing else ends it: what goes wrong is logged, and tried again after a pause that grows.
    """
    pause, owner, watch = interval_seconds, os.getpid(), Watch(source)
    while not stopping.wait(pause):
        if os.getpid() != owner:
            return  # a greenlet of gevent's goes on in a child, where a thread is gone
        try:
            done = DeliveryPass(source, patient=True).run() + _elsewhere(source, watch)
            pause = interval_seconds
        except Exception as exc:  # noqa: BLE001 - whatever it is, documents have to go on
            if isinstance(exc, DataLayerError) and registry.find(source) is None:
                return
            pause = next_pause(pause, _LONGEST_PAUSE_SECONDS)
            log_pass_failed(source, pause, exc)
        else:
            yield done


def _elsewhere(source: str, watch: Watch) -> Delivered:
    """Pass through the source's other databases. One that fails rests, and stops no other."""
    done = Delivered(0, 0)
    for name in watch.due():
        try:
            with inside(source, name):
                passed = DeliveryPass(source, patient=True).run()
        except DataLayerError as exc:
            if registry.find(source) is None:
                raise
            log_pass_failed(source, watch.failed(name), exc)
        else:
            watch.looked(name, something_waits=bool(passed.delivered or passed.failed))
            done += passed
    return done


def deliver(source: str = DEFAULT_ALIAS) -> Delivered:
    """Deliver what waits in the outbox now, once through, whatever failed before: in the alias's
    own database and in all others of its server that have an outbox of this source; inside a
    ``db.using`` block for one of them, in that one.

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
    if registry.connection(source).place.database is not None:
        return DeliveryPass(source).run()
    done, error = Delivered(0, 0), None
    for database in (None, *listed(source)):
        try:
            with inside(source, database):
                done += DeliveryPass(source).run()
        except DataLayerError as exc:
            if registry.find(source) is None:
                raise
            error = error or exc
    if error is not None:
        raise error
    return done


def start(source: str = DEFAULT_ALIAS, *, interval_seconds: float = 0.5) -> None:
    """Deliver from now on, in a thread, until ``stop`` or ``disconnect``. Idempotent.

    Any number of processes may do so at the same time; a forked child starts its own. While a
    server is away the thread tries again, with pauses of up to 30 seconds; what a target refuses
    is tried with pauses of up to 5 minutes. Neither keeps it from delivering all else.

    Raises:
        NotConnectedError: before ``connect``.
    """
    registry.connection(source)
    with _starting:
        if not running(source):
            registry.relays[source] = _Relay(source, interval_seconds)


def stop(source: str = DEFAULT_ALIAS) -> None:
    """End the thread, after the pass that it is in. Idempotent."""
    relay = registry.relays.pop(source, None)
    if relay is not None:
        relay.stop()


def running(source: str = DEFAULT_ALIAS) -> bool:
    """Whether a thread of this process delivers."""
    relay = registry.relays.get(source)
    return relay is not None and relay.alive
