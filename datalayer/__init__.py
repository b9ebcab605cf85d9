"""MongoEngine documents over several MongoDB databases, with connections that can be trusted.

    from datalayer import db

    db.connect_all()

Importing connects to nothing, starts no thread and imports no framework and no models.
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
    NotConnectedError,
    OutcomeUnknownError,
    PoolExhaustedError,
    StaleDocumentError,
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
    "NotConnectedError",
    "OutcomeUnknownError",
    "PoolExhaustedError",
    "Settings",
    "StaleDocumentError",
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


def __getattr__(name: str) -> Any:
    if name == "db":
        return import_module("datalayer.db")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
