"""Every error that datalayer raises, drawn as one tree.

DataLayerError
├── ConfigurationError       settings are missing, wrong or contradict each other
├── NotConnectedError        an alias was used before connect or after disconnect
├── ConnectError             a database could not be reached, verified or prepared
│   └── AuthenticationError  the server refused the credentials
├── UnavailableError         a connected server is away for now; safe to try again
├── OutcomeUnknownError      a write may or may not have happened
├── DeadlineExceededError    the operation's time ran out before it had an effect
├── PoolExhaustedError       no connection became free in time
├── TransactionError         a transaction was refused or could not finish
├── StaleDocumentError       a loaded document isn't any more what was loaded
├── TenantError              a database of the server may not be used, or isn't the document's
├── TransferError            moving data stopped; the journal says where
├── MigrationError           changing data stopped; the history says where
├── IndexBuildError          a collection or an index could not be built
└── EmbeddedError            the private server could not be found or started

MongoEngine's own query and validation errors pass through unchanged. The text of each error ends
with the place in the documentation that says more about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConnectError",
    "DataLayerError",
    "DeadlineExceededError",
    "EmbeddedError",
    "IndexBuildError",
    "MigrationError",
    "NotConnectedError",
    "OutcomeUnknownError",
    "PoolExhaustedError",
    "StaleDocumentError",
    "TenantError",
    "TransactionError",
    "TransferError",
    "UnavailableError",
]


class DataLayerError(Exception):
    """Base of all errors raised by datalayer. Catch it to catch them all.

    ``alias`` names the database concerned, or is ``None`` where the error isn't about one.
    ``str()`` is the ``message`` with a last line or bracket that tells where in the documentation
    to read on: ``docs/errors.md``, at the name of the class.
    """

    _section: ClassVar[str] = "datalayererror"

    def __init_subclass__(cls) -> None:
        if cls.__module__ == __name__:  # a class of the application's keeps its base's
            cls._section = cls.__name__.lower()

    def __init__(self, message: str, *, alias: str | None = None) -> None:
        super().__init__(message)
        self.alias = alias

    @property
    def message(self) -> str:
        """What happened and what to do, without the place in the documentation."""
        return super().__str__()

    def __str__(self) -> str:
        text = self.message
        space = "\n" if "\n" in text else " "
        return f"{text}{space}(see docs/errors.md#{self._section})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by __init__, as exceptions are restored otherwise: each has arguments of its own.
        return restored_error, (type(self), self.args, self.__dict__)


def restored_error(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """An error as it was before it was pickled, in a process pool say."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigurationError(DataLayerError):
    """Settings are missing, wrong or contradict each other.

    ``problems`` holds every problem found, one sentence each, so that one run shows all of
    them. Correct the named variables; trying again without a change can't help.
    """

    def __init__(self, problems: str | Iterable[str], *, alias: str | None = None) -> None:
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__(_as_message(self.problems), alias=alias)


def _as_message(problems: tuple[str, ...]) -> str:
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return f"{len(problems)} problems in the settings:\n{lines}"


class NotConnectedError(DataLayerError):
    """An alias was used before ``connect`` or after ``disconnect``.

    Call ``db.connect_all()`` once at start-up, before the first query.
    """


class ConnectError(DataLayerError):
    """A required database could not be reached, verified or prepared in time.

    ``reason`` is one of ``unreachable``, ``refused``, ``unknown_host``, ``timeout``, ``tls``,
    ``replica_set``, ``no_primary``, ``no_reader``, ``slow``, ``not_ready`` and ``rejected``;
    ``elapsed`` is the time spent in seconds. The message says what to check.
    """

    def __init__(
        self,
        message: str,
        *,
        alias: str | None = None,
        reason: str = "unreachable",
        elapsed: float = 0.0,
    ) -> None:
        super().__init__(message, alias=alias)
        self.reason = reason
        self.elapsed = elapsed


class AuthenticationError(ConnectError):
    """The server refused the credentials. Never retried: waiting does not heal it.

    Check the user, the password and the ``authSource`` of the URI.
    """


class UnavailableError(DataLayerError):
    """The server can't be used at the moment and the operation had no effect: try it again."""


class OutcomeUnknownError(DataLayerError):
    """The reply to a write was lost, so it may or may not have happened.

    Read the document to find out before writing again.
    """


class DeadlineExceededError(DataLayerError):
    """The operation's deadline passed before it had an effect.

    Make the query cheaper, or allow more time with ``db.deadline(seconds)``.
    """


class PoolExhaustedError(DataLayerError):
    """No connection became free within the wait-queue limit.

    Look for operations that hold connections for long, or raise ``MAX_POOL_SIZE``.
    """


class TransactionError(DataLayerError):
    """A transaction was refused (it spans clusters, say) or could not be finished."""


class StaleDocumentError(DataLayerError):
    """A document was to be written that isn't any more what was loaded.

    It was deleted meanwhile, its primary key was changed, or only a part of it was loaded, by
    ``only()``, ``exclude()`` or ``fields()``, and the write would put that part in the place of
    the whole: it would leave a fragment. Or it is of a versioned model and was changed by others,
    whose change would be lost. Nothing was written. ``collection`` and ``id`` name it. Load it
    again, all of it, and make the change there (``Model.change()`` does, of versioned models);
    ``save(force_insert=True)`` stores a complete one anew. A value that was not loaded can't be
    read of a document that is gone either.
    """

    def __init__(
        self,
        message: str,
        *,
        alias: str | None = None,
        collection: str | None = None,
        id: Any = None,
    ) -> None:
        super().__init__(message, alias=alias)
        self.collection = collection
        self.id = id


class TenantError(DataLayerError):
    """A database of the server may not be used, or isn't the one that a document belongs to.

    A name is refused that is the server's or the application's own, that no database can have, or
    that ``db.tenants()`` was not told of: ``database`` has it. And a document that was read from
    one database is written, deleted or read again in the block of another: nothing was sent. Do it
    inside of a block for the document's own, or copy it with ``switch_db``.
    """

    def __init__(
        self, message: str, *, alias: str | None = None, database: str | None = None
    ) -> None:
        super().__init__(message, alias=alias)
        self.database = database


class TransferError(DataLayerError):
    """A plan, run, verification or rollback of a data move stopped.

    The journal in the target database says how far it got.
    """


class MigrationError(DataLayerError):
    """A migration was refused or stopped.

    The message names its file. What was refused has written nothing; what had begun is in the
    history with its steps, and `datalayer migrations apply` goes on there, once the reason is
    gone. `datalayer migrations status` shows how each one stands.
    """


class IndexBuildError(DataLayerError):
    """A collection or an index that a model declares could not be built.

    ``collection`` and ``index`` name it. Typical reasons are duplicate values under a new
    unique index and an existing index of the same name with other options.
    """

    def __init__(
        self,
        message: str,
        *,
        alias: str | None = None,
        collection: str | None = None,
        index: str | None = None,
    ) -> None:
        super().__init__(message, alias=alias)
        self.collection = collection
        self.index = index


class EmbeddedError(DataLayerError):
    """The embedded server could not be found or started, or it ended by itself."""
