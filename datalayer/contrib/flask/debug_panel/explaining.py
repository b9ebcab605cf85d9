"""How the server does a query, and with which index: asked when somebody clicks, by the server's
``explain``, which writes nothing; and told without the query's values."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pymongo

from datalayer.connections.registry import registry

SESSION_KEYS = frozenset(
    {
        "lsid",
        "txnNumber",
        "autocommit",
        "startTransaction",
        "readConcern",
        "writeConcern",
        "maxTimeMS",
        "comment",
        "apiVersion",
        "apiStrict",
        "apiDeprecationErrors",
        "$db",
        "$clusterTime",
        "$readPreference",
    }
)
"""What a command says beside what it wants."""
READS = frozenset({"find", "count", "distinct", "aggregate"})
_STATEMENTS = {"update": "updates", "delete": "deletes"}
_WRITING_STAGES = frozenset({"$out", "$merge"})
_MOST_KEPT = 500
_TIMEOUT_SECONDS = 5
_VALUES_IN_PLANS = frozenset({"indexBounds", "filter", "parsedQuery", "slotBasedPlan"})


@dataclass(frozen=True)
class Plan:
    """How a query is done."""

    stages: tuple[str, ...]
    """From the first to the last, with the index that one uses, as ``IXSCAN email_1``."""
    keys_examined: int | None
    documents_examined: int | None
    returned: int | None
    milliseconds: int | None

    @property
    def uses_no_index(self) -> bool:
        """Whether the server reads the whole collection."""
        return any(stage.startswith("COLLSCAN") for stage in self.stages)


def explainable(name: str, command: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The read that ``explain`` is asked about: the command itself, or for a write one with its
    filter. ``None`` where there is none."""
    wanted: dict[str, Any] | None = None
    if name in READS:
        wanted = {key: value for key, value in command.items() if key not in SESSION_KEYS}
        if _writes(wanted.get("pipeline", ())):
            return None
    elif name == "findAndModify":
        wanted = {"find": command.get(name), "filter": command.get("query") or {}}
    elif name in _STATEMENTS:
        statements = command.get(_STATEMENTS[name])
        if statements and statements[0]:
            wanted = {"find": command.get(name), "filter": statements[0].get("q") or {}}
    return wanted


def _writes(pipeline: Any) -> bool:
    return any(_WRITING_STAGES & set(stage) for stage in pipeline)


class Kept:
    """The commands that may be explained, each under a name that nobody can guess: a page tells
    the name alone. The latest ones; this process's."""

    def __init__(self) -> None:
        self._changing = threading.Lock()  # guards what follows
        self._commands: OrderedDict[str, tuple[str, str, Mapping[str, Any]]] = OrderedDict()

    def keep(self, alias: str, database: str, command: Mapping[str, Any]) -> str:
        """The name under which ``explain`` finds it."""
        name = secrets.token_urlsafe(16)
        with self._changing:
            self._commands[name] = (alias, database, command)
            while len(self._commands) > _MOST_KEPT:
                self._commands.popitem(last=False)
        return name

    def find(self, name: str) -> tuple[str, str, Mapping[str, Any]] | None:
        """The alias, the database and the command; ``None`` where it isn't kept (any more)."""
        with self._changing:
            return self._commands.get(name)


kept = Kept()


def explain(alias: str, database: str, command: Mapping[str, Any]) -> Plan:
    """Have the server do the read once more, without an answer, and tell how; 5 seconds at most.

    Raises:
        NotConnectedError: where the alias isn't connected any more.
        PyMongoError: where the server could not.
    """
    client: pymongo.MongoClient[Any] = registry.own_connection(alias).client
    with pymongo.timeout(_TIMEOUT_SECONDS):
        told = client[database].command("explain", dict(command), verbosity="executionStats")
    return plan_in(told)


def plan_in(told: Mapping[str, Any]) -> Plan:
    """What ``explain`` has told, of one server or of several, less what the query asked for."""
    figures = next(_under("executionStats", told), {})
    return Plan(
        stages=tuple(reversed(list(dict.fromkeys(_stages(told))))),
        keys_examined=figures.get("totalKeysExamined"),
        documents_examined=figures.get("totalDocsExamined"),
        returned=figures.get("nReturned"),
        milliseconds=figures.get("executionTimeMillis"),
    )


def _stages(told: Mapping[str, Any]) -> Iterator[str]:
    for plan in _under("winningPlan", told):
        yield from _stages_of(plan)


def _stages_of(plan: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(plan.get("stage"), str):
        yield " ".join(filter(None, (plan["stage"], plan.get("indexName"))))
    for name, value in plan.items():
        if name not in _VALUES_IN_PLANS:
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, Mapping):
                    yield from _stages_of(each)


def _under(name: str, told: Any) -> Iterator[Mapping[str, Any]]:
    """Each mapping of that name in ``told``, however deep."""
    if isinstance(told, Mapping):
        for key, value in told.items():
            if key == name and isinstance(value, Mapping):
                yield value
            elif key not in ("command", *_VALUES_IN_PLANS):
                yield from _under(name, value)
    elif isinstance(told, list):
        for each in told:
            yield from _under(name, each)
