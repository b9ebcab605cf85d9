"""What can be known of one database? Values that the probes learn and the judgements judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any, Literal, TypeAlias, TypeVar

from datalayer.failures.connecting import Diagnosis
from datalayer.indexes import CollectionDiff
from datalayer.settings import DatabaseSettings
from datalayer.settings.uri import ParsedUri

Value = TypeVar("Value")
Document: TypeAlias = Mapping[str, Any]


class Deadline:
    """A moment up to which there is time."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds

    def remaining(self, at_most: float = float("inf")) -> float:
        """The seconds that are left, ``at_most`` at most, never below zero."""
        return max(min(self._ends - monotonic(), at_most), 0.0)


@dataclass(frozen=True)
class Unknown:
    """Stands for a fact that could not be learnt; ``why`` is a phrase for people."""

    why: str


Answer: TypeAlias = Value | Unknown

Reach = Literal["open", "refused", "timeout", "unreachable"]
Response = Literal[
    "mongodb",  # answered a hello as the URI would have it asked
    "silent",  # accepted the connection and said nothing
    "closed",  # accepted the connection and closed it
    "foreign",  # said something that is not MongoDB's protocol
    "plain_only",  # the URI wants TLS, and the server answers without
    "tls_only",  # the URI wants no TLS, and the server answers a TLS handshake only
    "untrusted",  # its certificate can't be verified
    "wants_certificate",  # asks for a client certificate
    "tls_failed",  # the handshake fails for another reason
]


@dataclass(frozen=True)
class Address:
    """One address that a host name resolved to, and whether a TCP connection to it opened."""

    text: str
    is_ipv6: bool
    reach: Reach


@dataclass(frozen=True)
class Host:
    """What was seen of one host on the way to its server."""

    name: str
    """``host:port``, or the path of a socket."""
    resolution: Literal["resolved", "unknown", "timeout"]
    addresses: tuple[Address, ...] = ()
    """In the order in which the driver tries them."""
    response: Response | None = None
    """``None`` where no connection opened."""
    hello: Document = field(default_factory=dict)
    detail: str = ""
    """What is wrong with the certificate, also where an option lets it pass."""
    certificate_days: int | None = None
    """Days until a verified certificate expires."""

    @property
    def is_open(self) -> bool:
        """Whether a TCP connection opened."""
        return any(address.reach == "open" for address in self.addresses)

    @property
    def answers(self) -> bool:
        """Whether a MongoDB server can be used there."""
        return self.response == "mongodb"


@dataclass(frozen=True)
class Network:
    """The hosts of one database."""

    seeds: tuple[Host, ...]
    """Those that the URI names."""
    members: tuple[Host, ...] = ()
    """Those that the replica set names besides."""

    def hosts(self) -> Iterator[Host]:
        """All of them."""
        yield from self.seeds
        yield from self.members

    @property
    def usable(self) -> bool:
        """Whether any server answers."""
        return any(host.answers for host in self.seeds)

    def hellos(self) -> Iterator[Document]:
        """What the servers that answer said of themselves."""
        yield from (host.hello for host in self.hosts() if host.answers)


@dataclass(frozen=True)
class Refusal:
    """The server let nobody in: the error's code, and where the user was found."""

    code: int | None
    auth_source: str
    user_exists_in: tuple[str, ...]
    """The authentication databases, of those that were asked for, that know the user."""
    asked: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """What a client with the configured credentials could read."""

    build: Answer[Document]
    """``buildInfo``"""
    connection_status: Answer[Document]
    collections: Answer[tuple[Document, ...]]
    """Of the alias's database, as ``listCollections`` tells them."""
    replica_set: Answer[Document]
    startup_warnings: Answer[tuple[str, ...]]
    """Lines of the server's log, JSON each."""
    status: Answer[Document]
    """``serverStatus``"""
    host_info: Answer[Document]
    database_stats: Answer[Document]
    operations: Answer[tuple[Document, ...]]
    only_own_user: bool
    """Whether ``operations`` are those of the configured user alone."""
    clients: Answer[tuple[Document, ...]]
    """Connections by application name."""
    models: int
    """How many models are known on the alias."""
    differences: Answer[tuple[CollectionDiff, ...]]
    """The collections that differ from what their models declare."""
    index_uses: Answer[tuple[Document, ...]]
    scans: Answer[tuple[Document, ...]]
    failed_heartbeats: Mapping[str, Diagnosis]


ServerFacts: TypeAlias = Session | Refusal | Diagnosis | Unknown


@dataclass(frozen=True)
class AliasFacts:
    """All that is known of one database."""

    settings: DatabaseSettings
    uri: ParsedUri
    network: Network | Unknown
    server: ServerFacts
    own_pool: Document | None = None
    """The figures of this process's own pool, where the alias is connected in it."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    """When they were gathered."""

    @property
    def alias(self) -> str:
        """The alias."""
        return self.settings.alias

    @property
    def options(self) -> dict[str, str]:
        """The options of the URI."""
        return dict(self.uri.options)

    @property
    def hellos(self) -> tuple[Document, ...]:
        """What the servers that answer said of themselves."""
        return () if isinstance(self.network, Unknown) else tuple(self.network.hellos())
