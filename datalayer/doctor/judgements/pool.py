"""Performance issue 1: do the pools fit the work, and the server's connection limit?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datalayer.doctor.facts import AliasFacts, Session, Unknown
from datalayer.doctor.findings import Remark, counted, error, note, ok, skipped, warning

# For each server, a client has one connection that waits for news and one that measures the
# round-trip time (server monitoring specification).
_MONITORING_CONNECTIONS = 2
_COMFORTABLE_SHARE = 0.8
_LARGE_POOL = 100
_SLOW_CHECKOUT_MS = 100.0


def judge_pool(facts: AliasFacts) -> Iterator[Remark]:
    """The pool of one alias: its size, and the pressure on it in this process."""
    largest = facts.settings.max_pool_size
    if largest > _LARGE_POOL:
        yield note(
            f"a pool of {largest} connections is large: a server works on about as many "
            "operations at a time as it has processors",
            "measure with a smaller MAX_POOL_SIZE",
        )
    if facts.own_pool is not None:
        yield from _pressure(facts)


def _pressure(facts: AliasFacts) -> Iterator[Remark]:
    pool = facts.own_pool or {}
    late = pool["timeouts"]
    if late or pool["waiting"]:
        yield warning(
            f"in this process {pool['in_use']} of {facts.settings.max_pool_size} connections "
            f"are in use, {pool['waiting']} operations wait for one, {late} gave up waiting",
            "look for long operations first, then raise MAX_POOL_SIZE",
        )
    elif (pool["checkout_p99_ms"] or 0.0) > _SLOW_CHECKOUT_MS:
        yield warning(
            f"in this process one operation in a hundred waits {pool['checkout_p99_ms']:.0f} ms "
            "or more for a connection",
            "look for long operations first, then raise MAX_POOL_SIZE",
        )
    else:
        yield ok(f"in this process {pool['in_use']} of {pool['open']} open connections are in use")


def judge_budgets(
    aliases: Sequence[AliasFacts], processes: int
) -> Iterator[tuple[str | None, Remark]]:
    """What all processes together may open, against each server's limit."""
    for group in _by_server(aliases):
        names = " and ".join(facts.alias for facts in group)
        pools = sum(facts.settings.max_pool_size for facts in group)
        total = processes * (pools + _MONITORING_CONNECTIONS * len(group))
        sums = " + ".join(str(facts.settings.max_pool_size) for facts in group)
        need = (
            f"{counted(processes, 'process', 'es')} with pools of up to {sums} for {names} may "
            f"open {total} connections to a server, monitoring included"
        )
        alias = group[0].alias if len(group) == 1 else None
        yield alias, _against_limit(need, total, group[0], processes)


def _against_limit(need: str, total: int, facts: AliasFacts, processes: int) -> Remark:
    if not isinstance(facts.server, Session):
        return skipped(f"{need}; the server's limit is not known: it could not be asked")
    if isinstance(facts.server.status, Unknown):
        return skipped(f"{need}; the server's limit is not known: {facts.server.status.why}")
    connections = facts.server.status["connections"]
    limit = connections["current"] + connections["available"]
    saw = f"{need}; the server takes {limit}"
    if total > limit:
        return error(
            saw,
            "lower MAX_POOL_SIZE or the number of processes, or raise the server's "
            "net.maxIncomingConnections and its limit of open files",
        )
    if total > limit * _COMFORTABLE_SHARE:
        return warning(saw, "leave room for deployments, when old and new processes overlap")
    if processes == 1:
        saw += " (say how many processes there are with --processes)"
    return ok(saw)


def _by_server(aliases: Sequence[AliasFacts]) -> list[list[AliasFacts]]:
    """The aliases that share a server, by the hosts of their URIs and of their replica sets."""
    groups: list[tuple[set[str], list[AliasFacts]]] = []
    for facts in aliases:
        if facts.settings.kind == "mongomock":
            continue
        hosts = {*facts.uri.hosts, *(h for hello in facts.hellos for h in hello.get("hosts", ()))}
        same = [group for group in groups if group[0] & hosts]
        groups = [group for group in groups if not group[0] & hosts]
        hosts.update(*(group[0] for group in same))
        groups.append((hosts, [*(one for group in same for one in group[1]), facts]))
    return [members for _, members in groups]
