"""The hosts of a URI: reading them, without asking any, and telling which are this machine."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote_plus

_HOST_NAME = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_HOST = re.compile(r"(?P<name>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORT = 27017


def read_hosts(text: str, *, srv: bool, problems: list[str]) -> tuple[str, ...]:
    """``host:port`` each, a socket's path, or the one name that ``srv`` looks up."""
    if not text:
        problems.append("names no host; write mongodb://host:27017/NAME")
        return ()
    if srv:
        return _read_srv_name(text, problems)
    hosts = []
    for number, entry in enumerate(text.split(","), 1):
        host = _read_host(entry)
        if host is None:
            problems.append(
                f"has a host (number {number}) that is not a name or an address (IPv6 in square "
                "brackets) with a port from 1 to 65535, or a socket path with its '/' as %2F; "
                "for a user and password write user:password@host"
            )
        else:
            hosts.append(host)
    return tuple(hosts)


def _read_srv_name(text: str, problems: list[str]) -> tuple[str, ...]:
    if not _HOST_NAME.fullmatch(text) or text.endswith(".sock") or _is_ipv4(text):
        problems.append(
            "must name one host without a port after mongodb+srv://, which is looked up in DNS; "
            "use mongodb:// for host:port"
        )
        return ()
    return (text.lower(),)


def _read_host(entry: str) -> str | None:
    if entry.endswith(".sock"):
        path = unquote_plus(entry)
        return path if path.startswith("/") and path.isprintable() and "/" not in entry else None
    match = _HOST.fullmatch(entry)
    if match is None:
        return None
    name, port = match["name"], int(match["port"] or _DEFAULT_PORT)
    if not 1 <= port <= 65_535:
        return None
    known = _is_ipv6(name[1:-1]) if name.startswith("[") else _HOST_NAME.fullmatch(name)
    return f"{name.lower()}:{port}" if known else None


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text.replace("%25", "%"))
    except AddressValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host as ``read_hosts`` gives it is this machine."""
    if host.startswith("/"):
        return True
    name = host.rpartition(":")[0].removesuffix(".")
    if name.startswith("["):
        return IPv6Address(name[1:-1].partition("%")[0]).is_loopback
    return name == "localhost" or (_is_ipv4(name) and IPv4Address(name).is_loopback)
