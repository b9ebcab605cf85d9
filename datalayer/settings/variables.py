"""The table of all variables: what parsing, messages, `datalayer config` and the documentation
know about them comes from here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Value = str | int | float | bool

DAY_MS = 86_400_000
PROFILES = ("web", "job")
RECORDER_POLICIES = ("drop_oldest", "drop_newest", "block", "spool")
RECORDER_PREFIX = "DATALAYER_RECORDER_"

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True)
class Variable:
    """One variable: its name (for a database's variables what follows the prefix), its kind,
    its defaults and what it means.

    ``default`` holds for the alias ``default``; ``elsewhere`` for all others where it differs;
    ``job`` in the profile ``job`` where it differs. ``option`` is the URI option of the same
    meaning, which beats the variable.
    """

    name: str
    kind: Literal["uri", "whole", "decimal", "boolean", "names", "choice", "path"]
    meaning: str
    default: Value | None = None
    elsewhere: Value | None = None
    job: Value | None = None
    unit: str = ""
    lowest: float = 0
    highest: float = 0
    choices: tuple[str, ...] = ()
    option: str | None = None

    @property
    def field(self) -> str:
        """The name of the field, and of the keyword argument without its prefix."""
        return self.name.lower()

    def default_for(self, alias: str, profile: str) -> Value | None:
        """The value where nothing is said."""
        if profile == "job" and self.job is not None:
            return self.job
        if alias != "default" and self.elsewhere is not None:
            return self.elsewhere
        return self.default

    @property
    def expected(self) -> str:
        """What a correct value looks like, to follow 'must be'."""
        if self.kind == "boolean":
            return "true or false (also 1/0, yes/no, on/off)"
        if self.kind == "choice":
            return " or ".join(self.choices)
        if self.kind == "uri":
            return "a URI with the name of a database"
        if self.kind == "names":
            return "names separated by commas"
        if self.kind == "path":
            return "the path of a directory"
        number = "a whole number" if self.kind == "whole" else "a decimal number"
        unit = f" of {self.unit}" if self.unit else ""
        return f"{number}{unit} from {_plain(self.lowest)} to {_plain(self.highest)}"

    @property
    def example(self) -> str:
        """A correct value, as it is written in the environment."""
        if self.kind == "uri":
            return "mongodb://user:password@db.example.com:27017/app?authSource=admin"
        if self.kind == "names":
            return "archive,reports"
        if self.kind == "path":
            return "/var/lib/app/spool"
        return as_text(self.default) if self.default is not None else ""

    def read(self, text: str) -> Value:
        """The value that ``text`` stands for; ``ValueError`` with what to write instead.

        The message doesn't repeat the text, which may be a secret in the wrong place.
        """
        text = text.strip()
        if not text:
            raise ValueError(f"is empty; it must be {self.expected}")
        if self.kind == "boolean":
            return self._read_boolean(text.lower())
        if self.kind == "choice":
            return self._read_choice(text)
        if self.kind == "path":
            return self._read_path(text)
        return self._read_number(text)

    def _read_path(self, text: str) -> str:
        if " #" in text or text[0] in "'\"":
            raise ValueError(
                f"must be {self.expected}, without quotation marks or a comment behind it; a "
                "comment has a line of its own"
            )
        return text

    def _read_boolean(self, text: str) -> bool:
        if text not in _TRUE | _FALSE:
            raise ValueError(f"must be {self.expected}")
        return text in _TRUE

    def _read_choice(self, text: str) -> str:
        if text not in self.choices:
            raise ValueError(f"must be {self.expected}")
        return text

    def _read_number(self, text: str) -> int | float:
        whole = self.kind == "whole"
        form = r"[0-9]{1,12}" if whole else r"[0-9]{1,12}(\.[0-9]{1,6})?"
        if not re.fullmatch(form, text):
            raise ValueError(f"must be {self.expected}, in plain digits and without a unit")
        number = int(text) if whole else float(text)
        if self.name == "MAX_POOL_SIZE" and number == 0:
            raise ValueError(
                f"must be {self.expected}; 0 would mean a pool without limit, "
                "which one burst of requests could use to overwhelm the server"
            )
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"must be {self.expected}")
        return number


def as_text(value: Value) -> str:
    """A value as it is written in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _plain(value) if isinstance(value, float) else str(value)


def _plain(number: float) -> str:
    return f"{number:.10g}"


def _milliseconds(
    name: str, meaning: str, default: int, *, option: str | None, job: int | None = None
) -> Variable:
    return Variable(
        name,
        "whole",
        meaning,
        default=default,
        job=job,
        unit="milliseconds",
        lowest=1,
        highest=DAY_MS,
        option=option,
    )


DATABASE_VARIABLES: tuple[Variable, ...] = (
    Variable("URI", "uri", "Where the database is, with its name; see the special URIs below."),
    Variable(
        "MAX_POOL_SIZE",
        "whole",
        "Most connections that one process opens to each server of the database.",
        default=10,
        elsewhere=5,
        unit="connections",
        lowest=1,
        highest=10_000,
        option="maxPoolSize",
    ),
    Variable(
        "MIN_POOL_SIZE",
        "whole",
        "Connections that are opened at connect and kept open.",
        default=2,
        elsewhere=1,
        unit="connections",
        lowest=0,
        highest=10_000,
        option="minPoolSize",
    ),
    _milliseconds(
        "SERVER_SELECTION_TIMEOUT_MS",
        "How long an operation, or one attempt to connect, looks for a usable server.",
        10_000,
        option="serverSelectionTimeoutMS",
    ),
    _milliseconds(
        "CONNECT_TIMEOUT_MS",
        "How long opening one connection may take.",
        10_000,
        option="connectTimeoutMS",
    ),
    _milliseconds(
        "SOCKET_TIMEOUT_MS",
        "How long the driver waits for a reply where no operation deadline ends the wait sooner.",
        45_000,
        option="socketTimeoutMS",
    ),
    _milliseconds(
        "WAIT_QUEUE_TIMEOUT_MS",
        "How long an operation waits for a free connection of the pool.",
        10_000,
        option="waitQueueTimeoutMS",
    ),
    _milliseconds(
        "OPERATION_TIMEOUT_MS",
        "Deadline of one operation with its retry; 120000 in the profile 'job'.",
        20_000,
        job=120_000,
        option="timeoutMS",
    ),
    Variable(
        "SLOW_MS",
        "whole",
        "A command that takes at least this long is logged as slow; 0 logs every command.",
        default=100,
        unit="milliseconds",
        lowest=0,
        highest=DAY_MS,
    ),
    Variable(
        "LEAK_WARNING_MS",
        "whole",
        "A connection that an operation or cursor holds this long is logged, with the place in "
        "the code that took it; 0 switches it off. For finding leaks: it slows each operation.",
        default=0,
        unit="milliseconds",
        lowest=0,
        highest=DAY_MS,
    ),
    Variable("AUTO_INDEX", "boolean", "Build the indexes of the models at connect.", default=True),
    Variable(
        "AUTO_CREATE", "boolean", "Create the collections of the models at connect.", default=True
    ),
    Variable(
        "REQUIRED",
        "boolean",
        "Whether connecting fails when this database can't be reached.",
        default=True,
        elsewhere=False,
    ),
    Variable(
        "RETRY_ATTEMPTS",
        "whole",
        "Attempts to connect to a server that is away.",
        default=5,
        unit="attempts",
        lowest=1,
        highest=1000,
    ),
    Variable(
        "RETRY_MAX_SECONDS",
        "decimal",
        "Total time for connecting, all attempts and pauses together. Shorter where the "
        "database is optional: it joins by itself later, and a start must not wait for it.",
        default=20.0,
        elsewhere=5.0,
        unit="seconds",
        lowest=0.1,
        highest=86_400,
    ),
    Variable(
        "ALLOW_UNACKNOWLEDGED",
        "boolean",
        "Accept w=0 in the URI: writes that no server confirms and that get lost silently.",
        default=False,
    ),
)

RECORDER_VARIABLES: tuple[Variable, ...] = (
    Variable(
        "DATALAYER_RECORDER_POLICY",
        "choice",
        "What happens to recorded events that find no room: drop_oldest and drop_newest lose "
        "one, block has the caller wait, spool keeps events on disk.",
        default="drop_oldest",
        choices=RECORDER_POLICIES,
    ),
    Variable(
        "DATALAYER_RECORDER_CAPACITY",
        "whole",
        "How many recorded events of each model may wait in memory.",
        default=50_000,
        unit="events",
        lowest=1,
        highest=100_000_000,
    ),
    Variable(
        "DATALAYER_RECORDER_MAX_MEGABYTES",
        "decimal",
        "How much the waiting events of each model may take as BSON; Python's objects take "
        "three to five times as much memory.",
        default=64.0,
        unit="megabytes",
        lowest=0.001,
        highest=1_000_000,
    ),
    Variable(
        "DATALAYER_RECORDER_BATCH_SIZE",
        "whole",
        "How many events are sent together at most.",
        default=1000,
        unit="events",
        lowest=1,
        highest=100_000,
    ),
    Variable(
        "DATALAYER_RECORDER_INTERVAL_MS",
        "decimal",
        "How long an event waits for others that are sent with it.",
        default=200.0,
        unit="milliseconds",
        lowest=1,
        highest=DAY_MS,
    ),
    Variable(
        "DATALAYER_RECORDER_CONNECTIONS",
        "whole",
        "How many batches of a model may be under way at the same time, where events come "
        "faster than one connection stores them.",
        default=3,
        unit="connections",
        lowest=1,
        highest=100,
    ),
    Variable(
        "DATALAYER_RECORDER_BLOCK_MS",
        "decimal",
        "With the policy block: how long a caller waits for room before its event is dropped.",
        default=100.0,
        unit="milliseconds",
        lowest=0,
        highest=DAY_MS,
    ),
    Variable(
        "DATALAYER_RECORDER_SPOOL_DIRECTORY",
        "path",
        "With the policy spool: a directory on a local disk, which processes may share.",
    ),
    Variable(
        "DATALAYER_RECORDER_SPOOL_MAX_MEGABYTES",
        "decimal",
        "With the policy spool: how much each process may keep on disk.",
        default=1024.0,
        unit="megabytes",
        lowest=0.001,
        highest=1_000_000,
    ),
    Variable(
        "DATALAYER_RECORDER_FSYNC_MS",
        "decimal",
        "With the policy spool: how often it is forced to the disk.",
        default=1000.0,
        unit="milliseconds",
        lowest=1,
        highest=DAY_MS,
    ),
    Variable(
        "DATALAYER_RECORDER_COUNTER_SECONDS",
        "decimal",
        "How often the sums of the recorder's counters are stored.",
        default=10.0,
        unit="seconds",
        lowest=0.1,
        highest=86_400,
    ),
)

GLOBAL_VARIABLES: tuple[Variable, ...] = (
    Variable(
        "DATALAYER_ALIASES",
        "names",
        "Names of further databases, separated by commas; each has its own <NAME>_URI and the "
        "other variables of a database.",
        default="",
    ),
    Variable(
        "DATALAYER_PROFILE",
        "choice",
        "'job' allows the longer operation deadline of scripts and workers.",
        default="web",
        choices=PROFILES,
    ),
    Variable(
        "DATALAYER_REQUIRE_TLS",
        "boolean",
        "Refuse connections that are not protected by verified TLS, except to this machine.",
        default=False,
    ),
    *RECORDER_VARIABLES,
)

FOREIGN_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "DATALAYER_MONGOD": "The mongod that the embedded server starts.",
        "DATALAYER_STATUS_TOKEN": "Who sends it sees the status page and the health's details.",
        "DATALAYER_WORKERS_DIRECTORY": "Where workers tell each other of themselves, for the "
        "status page; off for nowhere.",
        "DATALAYER_PURE_PYTHON": "Set to anything, the documents do without their part in C.",
        "DATALAYER_TEST_DATA": "Where the package's own tests find the benchmarks' documents.",
        "DATALAYER_TEST_EXAMPLES": "How many examples the package's own property tests try.",
        "DATALAYER_SOAK_MINUTES": "How long the package's own soak runs.",
        "DATALAYER_TEST_SHARDED_URI": "A sharded cluster for the package's own tests.",
    }
)
"""Variables with our prefix that other modules read, with their meaning."""

_PREFIXES = {"default": "MONGODB_"}


def prefix_of(alias: str) -> str:
    """What the names of an alias's variables begin with: ``EU_ARCHIVE_`` for ``eu-archive``."""
    return _PREFIXES.get(alias, re.sub(r"[^A-Z0-9]", "_", f"{alias.upper()}_"))
