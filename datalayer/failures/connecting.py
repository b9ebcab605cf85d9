"""Why could a database not be reached? Turns what the driver raises into an error of ours that
says what was seen, and what to check."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pymongo.errors import (
    ConfigurationError as DriverConfigurationError,
)
from pymongo.errors import (
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.topology_description import TopologyDescription

from datalayer.errors import AuthenticationError, ConfigurationError, ConnectError, DataLayerError
from datalayer.failures.server_codes import (
    CREDENTIALS,
    NOT_PRIMARY,
    TIME_LIMIT,
    ServerCode,
    code_of,
    is_refusal,
)
from datalayer.failures.tracebacks import as_cause, chain_of, is_internal


@dataclass(frozen=True)
class Diagnosis:
    """Why a database could not be reached, and what its operator should look at."""

    reason: str
    saw: str
    check: str


_DIAGNOSES = {
    diagnosis.reason: diagnosis
    for diagnosis in (
        Diagnosis(
            "unknown_host",
            "the host name does not resolve",
            "check the spelling of the host and this machine's DNS; "
            "in containers a name may appear late",
        ),
        Diagnosis(
            "refused",
            "the host refuses connections on this port",
            "check that mongod runs there, listens on this address and port, "
            "and that no firewall rejects it",
        ),
        Diagnosis(
            "timeout",
            "the host does not answer",
            "check that the port belongs to a MongoDB server, that it is not overloaded "
            "or hung, and that no firewall drops the traffic",
        ),
        Diagnosis(
            "tls",
            "the TLS handshake fails",
            "check that the server speaks TLS on this port, its certificate's names and dates, "
            "and tlsCAFile",
        ),
        Diagnosis(
            "replica_set",
            "the server belongs to another replica set, or to none",
            "check replicaSet in the URI against rs.status() on the server",
        ),
        Diagnosis(
            "no_primary",
            "the replica set has no primary",
            "check that a majority of its members is up; an election takes about 12 seconds",
        ),
        Diagnosis(
            "no_reader",
            "no member is there that the readPreference of the URI lets answer reads",
            "a set without a secondary answers none with readPreference=secondary: write "
            "secondaryPreferred, or look at its members and the tags",
        ),
        Diagnosis(
            "slow",
            "the server does not come to an end in time",
            "look at its load and at what runs there (`datalayer top`); "
            "SERVER_SELECTION_TIMEOUT_MS and RETRY_MAX_SECONDS say how long it may take",
        ),
        Diagnosis(
            "not_ready",
            "the server answers that it is not ready",
            "look at its log: it may be starting, shutting down, or overloaded",
        ),
        Diagnosis(
            "unreachable",
            "the server can't be reached",
            "check host, port and the network between",
        ),
    )
}


def diagnose(exc: BaseException, description: TopologyDescription | None) -> Diagnosis:
    """The reason behind ``exc``, read from it and from what the driver knows of the servers."""
    if isinstance(exc, OperationFailure):
        return _diagnose_answer(exc)
    if isinstance(exc, ServerSelectionTimeoutError) and _has_primary(description):
        return _DIAGNOSES["no_reader"]
    errors = list(_errors_of(description)) or [exc]
    for reason, matches in _SIGNS:
        found = next(filter(matches, errors), None)
        if found is not None:
            return _with_words_of_openssl(_DIAGNOSES[reason], found)
    if description is not None:
        servers = description.server_descriptions().values()
        if not servers:
            # The driver takes a server that reports another set's name out of its list.
            return _DIAGNOSES["replica_set"]
        if any(server.is_server_type_known for server in servers):
            return _DIAGNOSES["no_primary"]
    if isinstance(exc, PyMongoError) and exc.timeout:
        return _DIAGNOSES["timeout"]
    return _DIAGNOSES["unreachable"]


def _with_words_of_openssl(diagnosis: Diagnosis, error: BaseException) -> Diagnosis:
    """What OpenSSL of this machine says of a certificate is nowhere else."""
    words = _OPENSSL.search(str(error)) if diagnosis.reason == "tls" else None
    return diagnosis if words is None else replace(diagnosis, saw=f"{diagnosis.saw} ({words[1]})")


def _has_primary(description: TopologyDescription | None) -> bool:
    return description is not None and description.has_writable_server()


def _diagnose_answer(exc: OperationFailure) -> Diagnosis:
    code = code_of(exc)
    if code in TIME_LIMIT:
        return _DIAGNOSES["slow"]
    return _DIAGNOSES["no_primary" if code in NOT_PRIMARY else "not_ready"]


def kind_of(exc: BaseException) -> str:
    """The name of an error's class; of classes within the driver, that of their public base."""
    return next(kind.__name__ for kind in type(exc).__mro__ if not is_internal(kind))


def is_transient(exc: BaseException) -> bool:
    """Whether waiting can heal ``exc``: the server is away or not ready, rather than saying no."""
    if isinstance(exc, DriverConfigurationError):
        return _is_name_resolution(exc)
    return isinstance(exc, PyMongoError) and not is_refusal(exc)


def connect_error(
    exc: BaseException,
    *,
    alias: str,
    hosts: Iterable[str],
    description: TopologyDescription | None,
    elapsed: float,
) -> DataLayerError:
    """The error that ``connect`` raises for what the driver raised after ``elapsed`` seconds.

    None of the texts comes from the driver or a server: an answer could repeat what it was sent.
    """
    where = f"{alias!r} at {', '.join(hosts)}"
    if isinstance(exc, OperationFailure) and is_refusal(exc):
        return _rejected(exc, alias, where, elapsed)
    if isinstance(exc, DriverConfigurationError) and not _is_name_resolution(exc):
        return ConfigurationError(
            f"the driver refuses the options for {where}; compare them with "
            "`datalayer config` and the driver's connection string options",
            alias=alias,
        )
    diagnosis = diagnose(exc, description)
    said = f", error {exc.code}" if isinstance(exc, OperationFailure) else ""
    return ConnectError(
        f"could not connect {where}: {diagnosis.saw}{said} (gave up after {elapsed:.1f} s); "
        f"{diagnosis.check}",
        alias=alias,
        reason=diagnosis.reason,
        elapsed=elapsed,
    )


def cause_of(error: DataLayerError, exc: BaseException) -> BaseException | None:
    """What to raise ``error`` from, which ``connect_error`` has made of ``exc``.

    ``None`` where it says already all that can be known: ``exc`` is its context then.
    """
    says_all = isinstance(error, AuthenticationError) or (
        isinstance(error, ConnectError) and error.reason in _SAY_ALL
    )
    return None if says_all else as_cause(exc)


def no_privilege(
    *, alias: str, hosts: Iterable[str], database: str, logged_in: bool, elapsed: float = 0.0
) -> AuthenticationError:
    """The error for a user that may do nothing in its database, or for one that isn't there."""
    where = f"{alias!r} at {', '.join(hosts)}"
    place = f"in the database {database!r} ({where}, error {ServerCode.Unauthorized})"
    message = (
        f"the server lets the user in, who may do nothing {place}; grant it readWrite there: "
        "`datalayer doctor --print-roles` prints the commands"
        if logged_in
        else f"the server lets nobody do anything without credentials {place}, and the URI holds "
        "none; write mongodb://user:password@host/database"
    )
    return AuthenticationError(message, alias=alias, reason="rejected", elapsed=elapsed)


def _rejected(exc: OperationFailure, alias: str, where: str, elapsed: float) -> ConnectError:
    if exc.code in CREDENTIALS:
        return AuthenticationError(
            f"the server refused the credentials for {where} (error {exc.code}); check the user, "
            "the password and authSource in the URI",
            alias=alias,
            reason="rejected",
            elapsed=elapsed,
        )
    return ConnectError(
        f"the server refused the connection for {where} (error {exc.code}); its log says why",
        alias=alias,
        reason="rejected",
        elapsed=elapsed,
    )


def _errors_of(description: TopologyDescription | None) -> Iterator[BaseException]:
    if description is not None:
        for server in description.server_descriptions().values():
            # One that the driver itself broke off says nothing about the server.
            if server.error is not None and not is_internal(type(server.error)):
                yield server.error


def _is_name_resolution(error: BaseException) -> bool:
    from_srv = any(type(e).__module__.startswith("dns.") for e in chain_of(error))
    return from_srv or _ADDRESS_ERROR.search(str(error)) is not None


def _is_tls(error: BaseException) -> bool:
    return "SSL" in str(error)


def _is_other_set(error: BaseException) -> bool:
    return isinstance(error, DriverConfigurationError)


def _is_refused(error: BaseException) -> bool:
    return f"[Errno {errno.ECONNREFUSED}]" in str(error)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, NetworkTimeout) or "timed out" in str(error)


# The driver keeps only the text of what the operating system said, so the text is all there is
# to read. Errors of getaddrinfo are the ones with negative numbers.
_ADDRESS_ERROR = re.compile(r"\[Errno -\d+\]")
_OPENSSL = re.compile(r"\[SSL[^\]]*\] (.+?) \(_ssl")
_SAY_ALL = frozenset(
    {"unknown_host", "refused", "timeout", "tls", "replica_set", "no_primary", "no_reader"}
)
_SIGNS = (
    ("unknown_host", _is_name_resolution),
    ("tls", _is_tls),
    ("replica_set", _is_other_set),
    ("refused", _is_refused),
    ("timeout", _is_timeout),
)
