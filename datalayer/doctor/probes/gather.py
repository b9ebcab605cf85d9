"""Gathers the facts of one database step by step. How much of the time has each step?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from urllib.parse import unquote_plus

from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.doctor.facts import (
    AliasFacts,
    Deadline,
    Host,
    Network,
    Refusal,
    ServerFacts,
    Unknown,
)
from datalayer.doctor.probes.network import ask_host, probe_hosts
from datalayer.doctor.probes.server import ask_server
from datalayer.doctor.probes.tls import TlsOptions
from datalayer.settings import DatabaseSettings
from datalayer.settings.uri import ParsedUri, parse

# Shares of the whole time: the SRV record, two rounds of the network, one question.
_LOOK_UP = 0.1
_SEEDS = 0.3
_MEMBERS = 0.2
_QUESTION = 0.12
_SCRAM = ("DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256")


def gather(settings: DatabaseSettings, timeout_seconds: float) -> AliasFacts:
    """Everything about one database that can be learnt within ``timeout_seconds``."""
    deadline = Deadline(timeout_seconds)
    if settings.kind == "mongomock":
        return facts_without_probing(settings, "mongomock is no server: it runs in the process")
    running = registry.find(settings.alias)
    if running is not None and running.settings != settings:
        running = None
    if settings.kind == "embedded" and running is None:
        return facts_without_probing(settings, "the embedded server is not running")
    facts = facts_without_probing(settings, "")
    address: str | None = None
    if settings.kind == "embedded":
        address = registry.uri_for(settings)
        facts = replace(facts, uri=_parsed(address))
    if running is not None:
        facts = replace(facts, own_pool=running.monitors.pool.snapshot())
    if facts.uri.srv:
        facts = replace(facts, uri=_looked_up(facts.uri, timeout_seconds * _LOOK_UP))
    tls = TlsOptions.of(facts.options) if settings.uses_tls else None
    facts = replace(facts, network=_network(facts.uri, tls, timeout_seconds))
    return replace(facts, server=_server(facts, address, tls, deadline, timeout_seconds))


def facts_without_probing(settings: DatabaseSettings, why: str) -> AliasFacts:
    """What the settings alone tell; ``why`` is the reason for everything else."""
    return AliasFacts(settings, _parsed(settings.secret_uri()), Unknown(why), Unknown(why))


def _parsed(text: str) -> ParsedUri:
    uri, _ = parse(text)
    assert uri is not None, "settings hold a correct URI"  # noqa: S101 - for the type checker
    return uri


def _looked_up(uri: ParsedUri, timeout_seconds: float) -> ParsedUri:
    """The URI with the hosts, and the options, that DNS holds; unchanged where it holds none."""
    ask = partial(parse_uri, uri.text, connect_timeout=timeout_seconds)
    outcome = side_by_side({"look-up": ask}, timeout_seconds)["look-up"]
    if isinstance(outcome, BaseException):
        return uri
    found = tuple(
        (name, str(outcome["options"][name]))
        for name in ("authSource", "replicaSet")
        if name in outcome["options"] and name not in dict(uri.options)
    )
    hosts = tuple(f"{host}:{port}" for host, port in outcome["nodelist"])
    return replace(uri, hosts=hosts, options=(*uri.options, *found))


def _network(uri: ParsedUri, tls: TlsOptions | None, timeout_seconds: float) -> Network:
    if uri.srv and all(":" not in host for host in uri.hosts):
        return Network((Host(f"_mongodb._tcp.{uri.hosts[0]}", "unknown"),))
    network = Network(probe_hosts(uri.hosts, tls, timeout_seconds * _SEEDS))
    if dict(uri.options).get("directConnection") == "true":
        return network
    named = dict.fromkeys(h.lower() for hello in network.hellos() for h in hello.get("hosts", ()))
    further = [host for host in named if host not in uri.hosts]
    return replace(network, members=probe_hosts(further, tls, timeout_seconds * _MEMBERS))


def _server(
    facts: AliasFacts,
    address: str | None,
    tls: TlsOptions | None,
    deadline: Deadline,
    timeout_seconds: float,
) -> ServerFacts:
    if not isinstance(facts.network, Network) or not facts.network.usable:
        return Unknown("no server answers")
    limit = timeout_seconds * _QUESTION
    answer = ask_server(facts.settings, address, deadline, limit)
    if isinstance(answer, OperationFailure):
        return _refusal(facts, answer.code, tls, deadline.remaining(limit))
    return answer


def _refusal(
    facts: AliasFacts, code: int | None, tls: TlsOptions | None, timeout_seconds: float
) -> Refusal:
    """Find out where the user exists: the server tells which mechanisms it knows for a user,
    and none for one that does not exist (authentication specification, saslSupportedMechs)."""
    options, database = facts.options, facts.settings.database
    source = options.get("authSource", database)
    user = unquote_plus(facts.uri.user_info.partition(":")[0])
    if not user or options.get("authMechanism", "DEFAULT") not in _SCRAM or not timeout_seconds:
        return Refusal(code, source, (), ())
    assert isinstance(facts.network, Network)  # noqa: S101 - it was usable
    host = next(host for host in facts.network.seeds if host.answers)
    asked = tuple(dict.fromkeys((source, "admin", database)))
    hellos = side_by_side(
        {
            place: partial(
                ask_host, host, tls, {"saslSupportedMechs": f"{place}.{user}"}, timeout_seconds / 2
            )
            for place in asked
        },
        timeout_seconds,
    )
    known = tuple(
        place
        for place, hello in hellos.items()
        if not isinstance(hello, BaseException) and hello.get("saslSupportedMechs")
    )
    return Refusal(code, source, known, asked)
