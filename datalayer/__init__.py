"""MongoEngine documents over several MongoDB databases, with connections that can be trusted.

    from datalayer import db

    db.connect_all()

Importing connects to nothing, starts no thread and imports no framework and no models.

Which folder answers which question::

    settings/      which variables are there, and what becomes of a URI?
    connections/   who holds the client of a database?
    service/       how does one database get connected, and how is it doing?
    failures/      which errors of server and driver become which of ours (errors.py)?
    monitoring/    what does the driver do?
    context/       what has a ``with`` block set?
    concurrency/   what holds for threads, forks and greenlets?
    indexes/       do the collections have the indexes that the models declare?
    transactions/  what is written together, or not at all?
    documents/     how are documents read, changed and written?
    fields/        which fields are there, and what do they hold?
    schema/        do stored documents fit what the models say?
    models/        what do a user, a payment, an event look like?
    recorder/      how do events get to analytics without a request waiting?
    outbox/        how does a document get to another database after its transaction?
    transfer/      how are documents moved from one database to another?
    migrations/    how does the shape of stored documents change?
    embedded/      how is a private server started and ended?
    doctor/        what commonly goes wrong?
    web/           what do health and status pages answer?
    contrib/       how do frameworks, servers and monitoring use all this?
    mypy_plugin/   how does mypy get to know the names made of a model's fields?
    cli/           what does the command ``datalayer`` do?

The facade over them is ``db.py``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DataLayerError,
    DeadlineExceededError,
    EmbeddedError,
    IndexBuildError,
    MigrationError,
    NotConnectedError,
    OutcomeUnknownError,
    PoolExhaustedError,
    StaleDocumentError,
    TenantError,
    TransactionError,
    TransferError,
    UnavailableError,
)

if TYPE_CHECKING:
    from datalayer import db
    from datalayer.documents import (
        AnalyticsDocument,
        BusinessDocument,
        DynamicAnalyticsDocument,
        DynamicBusinessDocument,
    )
    from datalayer.logs import configure_logging
    from datalayer.settings import DatabaseSettings, Settings

__version__ = "0.1.0"
__all__ = [
    "AnalyticsDocument",
    "AuthenticationError",
    "BusinessDocument",
    "ConfigurationError",
    "ConnectError",
    "DataLayerError",
    "DatabaseSettings",
    "DeadlineExceededError",
    "DynamicAnalyticsDocument",
    "DynamicBusinessDocument",
    "EmbeddedError",
    "IndexBuildError",
    "MigrationError",
    "NotConnectedError",
    "OutcomeUnknownError",
    "PoolExhaustedError",
    "Settings",
    "StaleDocumentError",
    "TenantError",
    "TransactionError",
    "TransferError",
    "UnavailableError",
    "configure_logging",
    "db",
]

# No NullHandler on the logger "datalayer", against the custom of libraries: where an application
# has not configured logging, Python then writes warnings to standard error. "Trying again" is
# what who has mistyped a port waits to read. Handlers of the application get each record as ever.

# Found at the first use, so that pytest and other tools that load an entry point of this
# package don't pay for the driver.
_HOMES = {
    "AnalyticsDocument": "datalayer.documents",
    "BusinessDocument": "datalayer.documents",
    "DatabaseSettings": "datalayer.settings",
    "DynamicAnalyticsDocument": "datalayer.documents",
    "DynamicBusinessDocument": "datalayer.documents",
    "Settings": "datalayer.settings",
    "configure_logging": "datalayer.logs",
}


if not TYPE_CHECKING:  # else each name would be one of ours to a type checker

    def __getattr__(name: str) -> Any:
        if name == "db":
            return import_module("datalayer.db")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
