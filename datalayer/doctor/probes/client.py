"""A short-lived client for diagnostics. It has no listeners: figures and breakers of the
application's clients are not to count what it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo import MongoClient

from datalayer.settings import DatabaseSettings

_CLOSING_SECONDS = 0.5


@contextmanager
def diagnostic_client(
    settings: DatabaseSettings, uri: str | None, timeout_seconds: float, *, name: str
) -> Iterator[MongoClient[Any]]:
    """One connection with the options of ``settings``, for questions of ``timeout_seconds`` each.

    ``uri`` takes the place of the settings' own. The server knows it as ``datalayer:NAME``.
    """
    milliseconds = max(round(timeout_seconds * 1000), 1)
    options = {
        **settings.client_kwargs(),
        # Keyword arguments beat what the URI says.
        "appname": f"datalayer:{name}",
        "maxPoolSize": 1,
        "minPoolSize": 0,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": milliseconds,
        "socketTimeoutMS": milliseconds,
        "waitQueueTimeoutMS": milliseconds,
        "timeoutMS": milliseconds,
        "retryReads": False,
    }
    if uri is not None:
        options["host"] = uri
    client: MongoClient[Any] = MongoClient(**options)
    try:
        yield client
    finally:
        with pymongo.timeout(_CLOSING_SECONDS):
            client.close()
