"""Connection issue 2: do the names resolve, the ports answer, and is TLS as the URI has it?"""

from __future__ import annotations

from collections.abc import Iterator

from datalayer.doctor.facts import AliasFacts, Host, Network, Response, Unknown
from datalayer.doctor.findings import Remark, Severity, counted, error, note, ok, skipped, warning

_EXPIRES_SOON_DAYS = 14
_EXPIRES_DAYS = 30
_OVERLOADED = (
    "check that the port belongs to a MongoDB server that is not hung or overloaded; "
    "a proxy in between may accept for a server that is gone"
)

_RESPONSES: dict[Response, tuple[str, str]] = {
    "silent": ("accepts connections and never answers", _OVERLOADED),
    "closed": (
        "accepts connections and closes them without an answer",
        "check that the port belongs to a MongoDB server, and the server's connection limit "
        "and log",
    ),
    "foreign": (
        "answers, but is not a MongoDB server",
        "correct the port: MongoDB's is 27017 unless it was set otherwise",
    ),
    "plain_only": (
        "answers without TLS only, and the URI asks for TLS",
        "switch TLS on at the server (net.tls.mode), or remove tls=true where the network is "
        "private",
    ),
    "tls_only": (
        "answers a TLS handshake only, and the URI does not ask for TLS",
        "add tls=true to the URI, and tlsCAFile where the authority is your own",
    ),
    "wants_certificate": (
        "asks for a client certificate",
        "name the file that holds certificate and key with tlsCertificateKeyFile",
    ),
    "tls_failed": (
        "does not complete the TLS handshake",
        "check that the server speaks TLS on this port, the TLS versions that both allow, and "
        "the files of tlsCAFile and tlsCertificateKeyFile",
    ),
}


def judge_network(facts: AliasFacts) -> Iterator[Remark]:
    """The way to each host."""
    network = facts.network
    if isinstance(network, Unknown):
        yield skipped(network.why)
        return
    severity: Severity = "warning" if network.usable else "error"
    for host in network.seeds:
        yield from _of_seed(host, severity)
    yield from _of_members(network)
    answering = [host.name for host in network.hosts() if host.answers]
    if answering:
        yield ok(f"{counted(len(answering), 'host')} answered: {', '.join(answering)}")


def _of_seed(host: Host, severity: Severity) -> Iterator[Remark]:
    problem = _problem(host)
    if problem is not None:
        yield Remark(severity, *problem)
    yield from _first_address(host)
    yield from _certificate(host)


def _problem(host: Host) -> tuple[str, str] | None:
    """What is wrong with a host and what to do, or ``None`` when it answers."""
    if host.resolution == "unknown":
        return (
            f"the name of {host.name} does not resolve",
            "check its spelling and this machine's DNS; in containers a name appears when its "
            "container runs",
        )
    if host.resolution == "timeout":
        return (
            f"{host.name} was not looked up in time",
            "check that this machine's DNS servers answer",
        )
    if not host.is_open:
        return _unreachable(host)
    if host.response == "untrusted":
        return (
            f"{host.name} can't be trusted: {host.detail}",
            "name the authority that signed it with tlsCAFile, and use a host name that the "
            "certificate holds",
        )
    if host.response is None or host.response == "mongodb":
        return None
    saw, advice = _RESPONSES[host.response]
    return f"{host.name} {saw}", advice


def _unreachable(host: Host) -> tuple[str, str]:
    reached = {address.reach for address in host.addresses}
    where = ", ".join(address.text for address in host.addresses)
    if reached == {"refused"}:
        return (
            f"{host.name} refuses connections ({where})",
            "check that mongod runs there and listens on this address and port (net.bindIp), "
            "and that no firewall rejects it",
        )
    if "timeout" in reached:
        return (
            f"{host.name} does not answer at all ({where})",
            "check the address; a firewall or security group on the way drops the traffic",
        )
    return (
        f"there is no way to {host.name} ({where})",
        "check this machine's network and routes to that address",
    )


def _first_address(host: Host) -> Iterator[Remark]:
    """The driver tries the addresses of a name in order, at each new connection."""
    if not host.is_open or host.addresses[0].reach == "open":
        return
    first = host.addresses[0]
    works = next(address for address in host.addresses if address.reach == "open")
    kind = "an IPv6 address, " if first.is_ipv6 else ""
    yield warning(
        f"{host.name} resolves to {first.text} first, {kind}which can't be reached; "
        f"{works.text} works, but every new connection tries the first one before",
        f"correct the name's DNS entry or the IPv6 route, or write {works.text} in the URI "
        "(PyMongo has no counterpart of the option family: 4)",
    )


def _certificate(host: Host) -> Iterator[Remark]:
    if host.answers and host.detail:
        yield warning(
            f"{host.name} can't be trusted: {host.detail}; an option of the URI lets it pass",
            "name the authority with tlsCAFile, and remove the option",
        )
    days = host.certificate_days
    if days is not None and days < _EXPIRES_DAYS:
        saw = f"the certificate of {host.name} expires in {counted(days, 'day')}"
        advice = "have it renewed; connections fail from that day on"
        soon = days < _EXPIRES_SOON_DAYS
        yield warning(saw, advice) if soon else note(saw, advice)


def _of_members(network: Network) -> Iterator[Remark]:
    """The driver leaves the URI's names for those that the replica set has in its config."""
    primaries = {hello.get("primary") for hello in network.hellos()}
    for host in network.members:
        yield from _certificate(host)
        problem = _problem(host)
        if problem is None:
            continue
        is_primary = host.name in primaries
        what = "its primary" if is_primary else "its member"
        saw = f"the replica set names {host.name} as {what}, but {problem[0]}"
        advice = (
            f"{problem[1]}; the driver connects to the names in the set's configuration "
            "(rs.conf()), not to those in the URI"
        )
        yield error(saw, advice) if is_primary else warning(saw, advice)
