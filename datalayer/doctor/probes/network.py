"""Probes on the way to a server, one host each: name, TCP, TLS, and a first hello.

They use plain sockets instead of the driver, which would only say that it found no server.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial

from datalayer.concurrency.threads import side_by_side
from datalayer.doctor.facts import Address, Deadline, Document, Host, Reach, Response
from datalayer.doctor.probes.hello import NotMongoDB, say_hello
from datalayer.doctor.probes.tls import TlsOptions, days_left, explain

# Resolve, connect, converse as the URI says, converse the other way: each gets this share.
_STEPS = 4
_SHORTEST_SECONDS = 0.05
# The server answers with those of the compressors that it takes.
_OFFER = {"compression": ["zlib"]}


def probe_hosts(
    names: Iterable[str], tls: TlsOptions | None, timeout_seconds: float
) -> tuple[Host, ...]:
    """Look at all hosts side by side; returns within ``timeout_seconds``, whatever they do.

    ``tls`` is ``None`` where the URI uses none.
    """
    outcomes = side_by_side(
        {name: partial(_probe, name, tls, timeout_seconds) for name in names}, timeout_seconds
    )
    return tuple(
        Host(name, "timeout") if isinstance(outcome, BaseException) else outcome
        for name, outcome in outcomes.items()
    )


def ask_host(
    host: Host, tls: TlsOptions | None, question: Document, timeout_seconds: float
) -> Document:
    """Ask a host that answers a further question with its ``hello``.

    Raises:
        OSError: when there is no answer; each step may take ``timeout_seconds``.
    """
    address = next(address for address in host.addresses if address.reach == "open")
    with closing(_open(host, address, tls, timeout_seconds, verify=False)) as connection:
        return say_hello(connection, question)


def _probe(name: str, tls: TlsOptions | None, timeout_seconds: float) -> Host:
    step = timeout_seconds / (_STEPS + 0.5)
    # The resolver of the operating system takes no time-out: what is late is left behind.
    found = side_by_side({"resolve": partial(_resolve, name)}, step)["resolve"]
    if isinstance(found, BaseException):
        return Host(name, "timeout" if isinstance(found, TimeoutError) else "unknown")
    reached = side_by_side({text: partial(_reach, name, text, step) for text in found}, 2 * step)
    addresses = tuple(
        Address(
            text,
            is_ipv6=":" in text and not text.startswith("/"),
            reach="timeout" if isinstance(reach, BaseException) else reach,
        )
        for text, reach in reached.items()
    )
    host = Host(name, "resolved", addresses)
    first = next((address for address in addresses if address.reach == "open"), None)
    return host if first is None else _converse(host, first, tls, Deadline(2 * step), step)


def _resolve(name: str) -> list[str]:
    if name.startswith("/"):
        return [name]
    host, port = _split(name)
    # As the driver does: for this one name it asks for IPv4 only.
    family = socket.AF_INET if host == "localhost" else socket.AF_UNSPEC
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _split(name: str) -> tuple[str, int]:
    """``host:port`` in its parts, an IPv6 address without its brackets."""
    host, _, port = name.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _reach(name: str, text: str, timeout_seconds: float) -> Reach:
    try:
        _connect(name, text, timeout_seconds).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError:
        return "unreachable"
    return "open"


def _connect(name: str, address: str, timeout_seconds: float) -> socket.socket:
    if not address.startswith("/"):
        return socket.create_connection((address, _split(name)[1]), timeout=timeout_seconds)
    if sys.platform == "win32":
        raise OSError("Python has no sockets of the file system on Windows")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _open(
    host: Host, address: Address, tls: TlsOptions | None, timeout_seconds: float, *, verify: bool
) -> socket.socket:
    context = None if tls is None else tls.context(verify=verify)
    connection = _connect(host.name, address.text, max(timeout_seconds, _SHORTEST_SECONDS))
    if context is None:
        return connection
    name = host.name if host.name.startswith("/") else _split(host.name)[0]
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except BaseException:
        connection.close()
        raise


def _converse(
    host: Host, address: Address, tls: TlsOptions | None, deadline: Deadline, step: float
) -> Host:
    """Say hello as the URI would, and find out by a second try why that does not work."""
    heard = _listen(host, address, tls, deadline.remaining(step))
    if heard.response in ("mongodb", "wants_certificate", "foreign"):
        return heard
    if tls is None:
        encrypted = _speaks_tls(host, address, deadline.remaining(step))
        return replace(heard, response="tls_only") if encrypted else heard
    if heard.response == "untrusted":
        if not tls.lets_pass(heard.detail):
            return heard
        accepted = _listen(host, address, tls, deadline.remaining(step), verify=False)
        return replace(accepted, detail=heard.detail)
    plain = _listen(host, address, None, deadline.remaining(step))
    if plain.answers:
        return replace(heard, response="plain_only")
    return plain if plain.response == "silent" else heard


def _listen(
    host: Host,
    address: Address,
    tls: TlsOptions | None,
    timeout_seconds: float,
    *,
    verify: bool = True,
) -> Host:
    try:
        with closing(_open(host, address, tls, timeout_seconds, verify=verify)) as connection:
            hello = say_hello(connection, _OFFER)
            days = days_left(connection)
    except ssl.SSLCertVerificationError as exc:
        return replace(host, response="untrusted", detail=explain(exc))
    except (OSError, NotMongoDB) as exc:
        return replace(host, response=_response_for(exc, encrypted=tls is not None))
    return replace(host, response="mongodb", hello=hello, certificate_days=days)


def _response_for(exc: Exception, *, encrypted: bool) -> Response:
    if isinstance(exc, NotMongoDB):
        return "foreign"
    if isinstance(exc, TimeoutError):
        return "silent"
    if isinstance(exc, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(exc):
        return "wants_certificate"
    return "tls_failed" if encrypted else "closed"


def _speaks_tls(host: Host, address: Address, timeout_seconds: float) -> bool:
    """Whether a TLS handshake succeeds when nothing is verified."""
    try:
        _open(host, address, TlsOptions(), timeout_seconds, verify=False).close()
    except OSError:
        return False
    return True
