"""Opens the driver's client for the settings of one database; abandons a parent's in a child."""

from __future__ import annotations

import logging
import re
import ssl
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pymongo import MongoClient
from pymongo.driver_info import DriverInfo
from pymongo.topology_description import TopologyDescription

from datalayer.concurrency.greenlets import refuse_unsafe_patching
from datalayer.connections import replica_lag
from datalayer.connections.counting import CommandCounter, Counting
from datalayer.connections.pool import BoundedPool
from datalayer.context.session import JoiningClient
from datalayer.errors import ConfigurationError
from datalayer.failures.tracebacks import takes_secrets
from datalayer.monitoring import Monitors
from datalayer.monitoring.hooks import tell_directly, without_commands
from datalayer.monitoring.observer import CommandTracer
from datalayer.settings import DatabaseSettings
from datalayer.settings.uri.secret_uri import SecretUri

logger = logging.getLogger("datalayer.clients")

_PASSPHRASE = re.compile(
    r"""(tlsCertificateKeyFilePassword=)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.IGNORECASE
)


@takes_secrets
def open_client(
    settings: DatabaseSettings, uri: SecretUri, monitors: Monitors
) -> MongoClient[Any]:
    """A client for ``uri`` with the options of ``settings``, heard by ``monitors``.

    Raises:
        ConfigurationError: for a TLS file that can't be used, or a missing mongomock; where
            gevent has patched the standard library too late.
    """
    refuse_unsafe_patching()
    options = {**settings.client_kwargs(), "host": uri.get_secret_value()}
    if settings.kind == "mongomock":
        return _open_mongomock(options)
    counting = Counting(monitors)
    try:
        client = _Client(
            **options,
            event_listeners=monitors.listeners(),
            driver=DriverInfo("datalayer"),
            server_selector=replica_lag.selector(lambda: monitors.topology.description),
            _pool_class=partial(BoundedPool, alias=settings.alias, counting=counting),
        )
    except ssl.SSLError as exc:
        raise ConfigurationError(
            f"a TLS file of {settings.alias!r} can't be used ({exc.reason}); check tlsCAFile, "
            "tlsCertificateKeyFile and its passphrase",
            alias=settings.alias,
        ) from exc
    _hide_arguments(client, uri)
    client._alias = settings.alias
    tell_directly(client, monitors)
    client._count_commands(counting)
    monitors.topology.follow(_description_of(client))
    trace_operations(client, monitors.commands.tracer)
    return client


class _Client(JoiningClient):
    """A client that counts its commands, and whose ``repr`` would show the passphrase of the key
    file; those of its databases and collections hold the client's."""

    _counter: CommandCounter | None = None
    """Told of each reply of a server, where the driver doesn't tell."""

    def _count_commands(self, counting: Counting) -> None:
        self._counter = counting.commands(self.options.pool_options)
        if self._counter is not None:
            self._event_listeners = without_commands(self._event_listeners)

    def _process_response(self, reply: Mapping[str, Any], session: Any) -> None:
        MongoClient._process_response(self, reply, session)
        if self._counter is not None:
            self._counter.read(reply)

    def __repr__(self) -> str:
        return _PASSPHRASE.sub(r"\1'***'", super().__repr__())


class _TracedClient(_Client):
    """A client whose operations are told to a tracer, each with its attempts. A class of its own,
    so that others' operations pass through no call more."""

    _tracer: CommandTracer | None = None
    """``None`` for a client that the driver makes of this one, for encryption."""

    def _retry_internal(self, *args: Any, **kwargs: Any) -> Any:
        if self._tracer is None:
            return super()._retry_internal(*args, **kwargs)
        name = kwargs["operation"] if "operation" in kwargs else args[_OPERATION_AT]
        with self._tracer.operation(getattr(name, "value", name)):
            return super()._retry_internal(*args, **kwargs)


_OPERATION_AT = 3
"""Where the driver gives ``_retry_internal`` the operation's name."""


def trace_operations(client: MongoClient[Any], tracer: CommandTracer | None) -> None:
    """Have ``tracer`` hear of each operation of ``client`` from now on; ``None`` for nobody."""
    if not isinstance(client, _Client):  # mongomock's
        return
    client.__class__ = _Client
    if tracer is not None:
        tracer.opened(client.options.event_listeners)
        client.__class__ = _TracedClient
        client._tracer = tracer  # type: ignore[attr-defined]


def _description_of(client: MongoClient[Any]) -> Callable[[], TopologyDescription | None]:
    """What the driver knows of the servers, as long as there is the client.

    The client holds its listeners. If they held it too, a closed client with all that hangs on it
    would lie about until the collector's next full run, and a process that connects often would
    keep the memory of hundreds.
    """
    held = weakref.ref(client)

    def describe() -> TopologyDescription | None:
        present = held()
        return None if present is None else present.topology_description

    return describe


def _hide_arguments(client: MongoClient[Any], uri: SecretUri) -> None:
    """Have the driver forget what it was opened with: the URI as it is, and the password.

    It keeps them for clients that it makes of this one while it opens it, and for finding the
    hosts of ``mongodb+srv`` at the first operation.
    """
    kept = vars(client)
    if "_init_kwargs" in kept:
        kept["_init_kwargs"] = {**kept["_init_kwargs"], "host": uri}
    if not uri.startswith("mongodb+srv:"):
        kept["_host"] = [uri]
        kept.get("_resolve_srv_info", {}).update(username=None, password=None)


def fill_pools(client: MongoClient[Any]) -> None:
    """Open the minimum of connections to the servers that have accepted one, as the driver itself
    does it once a second.

    Raises:
        PyMongoError: when a connection can't be opened.
    """
    client._topology.update_pool()


def abandon_client(client: MongoClient[Any]) -> None:
    """Keep the driver from waiting for the parent's threads when this child ends.

    After a fork that ran no handlers, Python takes them for alive, and the driver would wait a
    second for each. Where the handlers ran there are none left.
    """
    executors = [client._kill_cursors_executor]
    for server in client._topology._servers.values():
        executors += [server._monitor._executor, server._monitor._rtt_monitor._executor]
    for executor in executors:
        executor._thread = None


def _open_mongomock(options: dict[str, Any]) -> MongoClient[Any]:
    try:
        import mongomock
    except ImportError:
        raise ConfigurationError(
            'a mongomock:// URI needs the extra: pip install "mongoengine-datalayer[mongomock]"'
        ) from None
    logger.warning(
        "%s runs on mongomock: no transactions or sessions, no $merge, no TTL or time-series "
        "collections, and no commands but ping; use it for simple tests only",
        options.get("appname", "a database"),
        extra={"event": "mongomock"},
    )
    known = {name: options[name] for name in ("host", "tz_aware") if name in options}
    mock: MongoClient[Any] = mongomock.MongoClient(**known)
    return mock
