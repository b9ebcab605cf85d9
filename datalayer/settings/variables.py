"""Every variable, one row each: a new one is a field here and nothing else. Reading it, its
default, `datalayer config`, the hints on its spelling, the documentation and the tests follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datalayer.settings.value_types import (
    BOOLEAN,
    DATABASE_URI,
    DIRECTORY,
    MODULES,
    NAMES,
    Value,
    ValueType,
    as_text,
    decimal,
    milliseconds,
    one_of,
    whole,
)

BUILT_IN_ALIASES = ("default", "database1")
PROFILES = ("web", "job")
MIGRATIONS_AT_CONNECT = ("ignore", "warn", "require")
RECORDER_POLICIES = ("drop_oldest", "drop_newest", "block", "spool")


@dataclass(frozen=True)
class Variable:
    """One variable: what it means, what it may be, and its defaults.

    ``default`` holds for the alias ``default``; ``elsewhere`` for all others where it differs;
    ``job`` in the profile ``job`` where it differs. ``option`` is the URI option of the same
    meaning, which beats the variable.
    """

    meaning: str
    type: ValueType
    default: Value | None = None
    elsewhere: Value | None = None
    job: Value | None = None
    option: str | None = None
    prefix: str = ""
    """What the name begins with; empty for a database's, whose prefix is the alias's."""
    field: str = ""
    """The name of the field, and of the keyword argument without its prefix."""

    @property
    def name(self) -> str:
        """Its name in the environment; for a database's what follows the prefix."""
        return f"{self.prefix}{self.field.upper()}"

    @property
    def example(self) -> str:
        """A correct value, as it is written in the environment."""
        return self.type.example or as_text("" if self.default is None else self.default)

    def default_for(self, alias: str, profile: str) -> Value | None:
        """The value where nothing is said."""
        if profile == "job" and self.job is not None:
            return self.job
        if alias != "default" and self.elsewhere is not None:
            return self.elsewhere
        return self.default


def _row(
    meaning: str, type: ValueType, default: Value | None = None, **further: Any
) -> Mapping[str, Variable]:
    return {"variable": Variable(meaning, type, default, **further)}


def variables_in(fields_of: type, prefix: str = "") -> tuple[Variable, ...]:
    """The variables that the fields of a dataclass stand for."""
    return tuple(
        replace(
            variable,
            prefix=prefix,
            field=each.name,
            default=variable.default if each.default is MISSING else each.default,
        )
        for each in fields(fields_of)
        if (variable := each.metadata.get("variable")) is not None
    )


# Rows of a table are quicker to read, and to compare, than one argument on each line.
# fmt: off
@dataclass(frozen=True, init=False, repr=False, eq=False)
class DatabaseFields:
    """The fields of ``DatabaseSettings``."""

    alias: str
    uri: str = field(metadata=_row(
        "Where the database is, with its name; see the special URIs below.", DATABASE_URI))
    """As it may be shown: with ``***`` in the place of credentials. See ``secret_uri()``."""
    database: str = field(init=False)
    """The name of the database, from the URI."""
    max_pool_size: int = field(metadata=_row(
        "Most connections that one process opens to each server of the database.",
        whole("connections", 1, 10_000, zero_means="a pool without limit, which one burst of "
              "requests could use to overwhelm the server"),
        10, elsewhere=5, option="maxPoolSize"))
    min_pool_size: int = field(metadata=_row(
        "Connections that are opened at connect and kept open.",
        whole("connections", 0, 10_000), 2, elsewhere=1, option="minPoolSize"))
    server_selection_timeout_ms: int = field(metadata=_row(
        "How long an operation, or one attempt to connect, looks for a usable server.",
        milliseconds(), 10_000, option="serverSelectionTimeoutMS"))
    connect_timeout_ms: int = field(metadata=_row(
        "How long opening one connection may take.",
        milliseconds(), 10_000, option="connectTimeoutMS"))
    socket_timeout_ms: int = field(metadata=_row(
        "How long the driver waits for a reply where no operation deadline ends the wait sooner.",
        milliseconds(), 45_000, option="socketTimeoutMS"))
    wait_queue_timeout_ms: int = field(metadata=_row(
        "How long an operation waits for a free connection of the pool.",
        milliseconds(), 10_000, option="waitQueueTimeoutMS"))
    operation_timeout_ms: int = field(metadata=_row(
        "Deadline of one operation with its retry; 120000 in the profile 'job'.",
        milliseconds(), 20_000, job=120_000, option="timeoutMS"))
    slow_ms: int = field(metadata=_row(
        "A command that takes at least this long is logged as slow; 0 logs every command.",
        milliseconds(0), 100))
    auto_index: bool = field(metadata=_row(
        "Build the indexes of the models at connect.", BOOLEAN, True))
    auto_create: bool = field(metadata=_row(
        "Create the collections of the models at connect.", BOOLEAN, True))
    required: bool = field(metadata=_row(
        "Whether connecting fails when this database can't be reached.",
        BOOLEAN, True, elsewhere=False))
    retry_attempts: int = field(metadata=_row(
        "Attempts to connect to a server that is away.", whole("attempts", 1, 1000), 5))
    retry_max_seconds: float = field(metadata=_row(
        "Total time for connecting, all attempts and pauses together. Shorter where the "
        "database is optional: it joins by itself later, and a start must not wait for it.",
        decimal("seconds", 0.1, 86_400), 20.0, elsewhere=5.0))
    allow_unacknowledged: bool = field(default=False, metadata=_row(
        "Accept w=0 in the URI: writes that no server confirms and that get lost silently.",
        BOOLEAN))
    leak_warning_ms: int = field(default=0, metadata=_row(
        "A connection that an operation or cursor holds this long is logged, with the place in "
        "the code that took it; 0 switches it off. For finding leaks: it slows each operation.",
        milliseconds(0)))


@dataclass(frozen=True)
class ApplicationFields:
    """What holds for all databases."""

    aliases: str = field(default="", metadata=_row(
        "Names of further databases, separated by commas; each has its own <NAME>_URI and the "
        "other variables of a database.", NAMES))
    profile: str = field(default="web", metadata=_row(
        "'job' allows the longer operation deadline of scripts and workers.", one_of(*PROFILES)))
    require_tls: bool = field(default=False, metadata=_row(
        "Refuse connections that are not protected by verified TLS, except to this machine.",
        BOOLEAN))
    migrations: str = field(default="migrations", metadata=_row(
        "Where the application's migrations are: a package, or a folder as seen from the working "
        "directory.", MODULES))
    migrations_at_connect: str = field(default="ignore", metadata=_row(
        "What connect_all does about migrations that are not applied: warn logs them, require "
        "refuses to start.", one_of(*MIGRATIONS_AT_CONNECT)))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class RecorderFields:
    """The fields of ``RecorderSettings``."""

    policy: str = field(default="drop_oldest", metadata=_row(
        "What happens to recorded events that find no room: drop_oldest and drop_newest lose "
        "one, block has the caller wait, spool keeps events on disk and loses the newest when "
        "that is full.", one_of(*RECORDER_POLICIES)))
    capacity: int = field(default=50_000, metadata=_row(
        "How many recorded events of each model may wait in memory.",
        whole("events", 1, 100_000_000)))
    max_megabytes: float = field(default=64.0, metadata=_row(
        "How much the waiting events of each model may take as BSON; Python's objects take "
        "three to five times as much memory.", decimal("megabytes", 0.001, 1_000_000)))
    batch_size: int = field(default=1000, metadata=_row(
        "How many events are sent together at most.", whole("events", 1, 100_000)))
    interval_ms: float = field(default=200.0, metadata=_row(
        "How long an event waits for others that are sent with it.",
        decimal("milliseconds", 1, 86_400_000)))
    connections: int = field(default=3, metadata=_row(
        "How many batches of a model may be under way at the same time, where events come "
        "faster than one connection stores them.", whole("connections", 1, 100)))
    block_ms: float = field(default=100.0, metadata=_row(
        "With the policy block: how long a caller waits for room before its event is dropped. "
        "It doesn't wait for a database that is away.", decimal("milliseconds", 0, 86_400_000)))
    spool_directory: Path | None = field(default=None, metadata=_row(
        "With the policy spool: a directory on a local disk, which processes may share.",
        DIRECTORY))
    spool_max_megabytes: float = field(default=1024.0, metadata=_row(
        "With the policy spool: how much each process may keep on disk.",
        decimal("megabytes", 0.001, 1_000_000)))
    fsync_ms: float = field(default=1000.0, metadata=_row(
        "With the policy spool: how often it is forced to the disk.",
        decimal("milliseconds", 1, 86_400_000)))
    counter_seconds: float = field(default=10.0, metadata=_row(
        "How often the sums of the recorder's counters are stored.",
        decimal("seconds", 0.1, 86_400)))


FOREIGN_VARIABLES: Mapping[str, str] = MappingProxyType({
    "DATALAYER_MONGOD": "The mongod that the embedded server starts.",
    "DATALAYER_STATUS_TOKEN": "Who sends it sees the status page and the health's details.",
    "DATALAYER_WORKERS_DIRECTORY": "Where workers tell each other of themselves, for the status "
    "page; off for nowhere.",
    "DATALAYER_PURE_PYTHON": "Set to anything, the documents do without their part in C.",
    "DATALAYER_TEST_DATA": "Where the package's own tests find the benchmarks' documents.",
    "DATALAYER_TEST_EXAMPLES": "How many examples the package's own property tests try.",
    "DATALAYER_SOAK_MINUTES": "How long the package's own soak runs.",
    "DATALAYER_TEST_SHARDED_URI": "A sharded cluster for the package's own tests.",
})
"""Variables with our prefix that other modules read, with their meaning."""
# fmt: on

DATABASE_VARIABLES = variables_in(DatabaseFields)
RECORDER_VARIABLES = variables_in(RecorderFields, "DATALAYER_RECORDER_")
GLOBAL_VARIABLES = (*variables_in(ApplicationFields, "DATALAYER_"), *RECORDER_VARIABLES)


def prefix_of(alias: str) -> str:
    """What the names of an alias's variables begin with: ``EU_ARCHIVE_`` for ``eu-archive``."""
    return "MONGODB_" if alias == "default" else re.sub(r"[^A-Z0-9]", "_", f"{alias.upper()}_")


@lru_cache(maxsize=32)
def variables_of(alias: str) -> Mapping[str, str]:
    """The names of an alias's variables, by field."""
    prefix = prefix_of(alias)
    return MappingProxyType({v.field: f"{prefix}{v.name}" for v in DATABASE_VARIABLES})


@lru_cache(maxsize=32)
def variables_of_settings(aliases: tuple[str, ...]) -> frozenset[str]:
    """The names of the variables that settings are made of."""
    of_databases = {name for alias in aliases for name in variables_of(alias).values()}
    return frozenset(of_databases | {variable.name for variable in GLOBAL_VARIABLES})


@lru_cache(maxsize=32)
def known_variables(aliases: tuple[str, ...]) -> frozenset[str]:
    """The names of all variables that are read, those that other modules read included."""
    return variables_of_settings(aliases) | set(FOREIGN_VARIABLES)
